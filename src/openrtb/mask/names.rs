//! Names of members that may stand where a person is described. Any other may itself say who it is:
//! `"userIds":{"janedoe-9988":{}}`.

use super::super::guard::names_dii;
use super::places;

/// Of OpenRTB's `user`, `device`, `geo`, `data` and `eids`, and of what is common in their `ext`; in lower case, without
/// `_` and `-`. Those that [places] lists are known as well.
const KNOWN: [&str; 64] = [
    "id",
    "ext",
    "data",
    "name",
    "segment",
    "segments",
    "value",
    "values",
    "keywords",
    "kwarray",
    "user",
    "device",
    "geo",
    "lat",
    "lon",
    "latitude",
    "longitude",
    "lng",
    "long",
    "ip",
    "ipv4",
    "ipv6",
    "ipaddress",
    "clientip",
    "userip",
    "xff",
    "zip",
    "postalcode",
    "dob",
    "age",
    "birthday",
    "customdata",
    "prebid",
    "bidders",
    "buyeruids",
    "bidder",
    "amx",
    "token",
    "sessionduration",
    "impdepth",
    "browsers",
    "brand",
    "version",
    "platform",
    "architecture",
    "bitness",
    "mobile",
    "source",
    "household",
    "linktype",
    "rank",
    "res",
    "cdep",
    "ifatype",
    "consentedproviderssettings",
    "additionalconsent",
    "tcf",
    "rtipartner",
    "permissions",
    "vendor",
    "mac",
    "did",
    "dpid",
    "key",
];

/// Whether a name says nothing of one person. Case, `_` and `-` do not count.
pub(super) fn is_known(name: &str) -> bool {
    let plain = places::plain(name);
    KNOWN.contains(&plain.as_str()) || places::lists(&plain) || names_dii(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_names_say_nothing() {
        for name in [
            "id",
            "buyeruid",
            "publisher_user_id",
            "rtiPartner",
            "uid2",
            "device-id",
            "hashed_email",
            "w",
            "yob",
        ] {
            assert!(is_known(name), "{name}");
        }
        for name in ["", "janedoe", "janedoe-9988", "4711", "id1", "uid3", "jane@example.com", "\u{e9}"] {
            assert!(!is_known(name), "{name}");
        }
    }
}

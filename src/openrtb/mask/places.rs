//! What is done with a value, by where it stands and what it is called.

use super::super::guard::names_dii;

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The request itself.
    Root,
    /// What is about the ad, the property, the deal: text.
    Open,
    /// `user` and what is in it, and whatever else is known by its name to be about a person.
    Person,
    /// `user.data`: the names of providers and segments say nothing of one person.
    Segments,
    /// Keywords: text, but for what gives a word a value.
    Keywords,
    /// `device`.
    Device,
    /// `geo`.
    Geo,
    /// Latitude or longitude.
    Position,
    /// An IP address.
    Address,
    /// Page and referrer: text, and a URL even if it does not begin as one.
    Url,
}

/// Members under `user` that are about how it is said, not about whom.
const OF_PERSON: [&str; 22] = [
    "source",
    "inserter",
    "matcher",
    "mm",
    "atype",
    "stype",
    "provider",
    "rtipartner",
    "gender",
    "consent",
    "consentedproviders",
    "consentedprovidersstring",
    "gdpr",
    "gpp",
    "gppsid",
    "usprivacy",
    "coppa",
    "gpc",
    "segtax",
    "yob",
    "segclass",
    "idmatchtype",
];

/// Members of `device` that many devices have in common.
const OF_DEVICE: [&str; 14] = [
    "ua", "sua", "make", "model", "os", "osv", "hwv", "language", "langb", "carrier", "mccmnc", "ifatype",
    "atts", "type",
];

/// Members of `geo` that are about a region.
const OF_GEO: [&str; 10] = [
    "country",
    "region",
    "regionfips104",
    "metro",
    "city",
    "type",
    "utcoffset",
    "accuracy",
    "lastfix",
    "ipservice",
];

/// Names of ids of persons and their devices wherever they stand.
const PERSONAL: [&str; 32] = [
    "ifa",
    "idfa",
    "idfv",
    "ifv",
    "gaid",
    "aaid",
    "rida",
    "tifa",
    "didsha1",
    "didmd5",
    "dpidsha1",
    "dpidmd5",
    "macsha1",
    "macmd5",
    "imei",
    "deviceid",
    "advertisingid",
    "buyeruid",
    "userid",
    "uid",
    "uids",
    "uid2",
    "eids",
    "publisheruserid",
    "ppid",
    "cookieid",
    "sessionid",
    "visitorid",
    "firstname",
    "lastname",
    "fullname",
    "advertisingtoken",
];

impl Place {
    /// Where the value of a member stands whose object stands here.
    pub(super) fn member(self, name: &str) -> Self {
        let plain: String =
            name.chars().filter(|c| !matches!(c, '_' | '-')).collect::<String>().to_ascii_lowercase();
        let plain = plain.as_str();
        match (self, plain) {
            (Self::Root, "id") | (_, "tid" | "user") => Self::Person,
            (_, "device") => Self::Device,
            (_, "geo") => Self::Geo,
            (_, "lat" | "lon" | "latitude" | "longitude") => Self::Position,
            (_, "ip" | "ipv6" | "ipaddress" | "clientip") => Self::Address,
            _ => self.inner(name, plain),
        }
    }

    fn inner(self, name: &str, plain: &str) -> Self {
        let text_if = |list: &[&str]| if list.contains(&plain) { Self::Open } else { Self::Person };
        match self {
            Self::Person => match plain {
                "data" => Self::Segments,
                "keywords" | "kwarray" => Self::Keywords,
                _ => text_if(&OF_PERSON),
            },
            Self::Segments => match plain {
                "segment" | "ext" => Self::Segments,
                "name" => Self::Open,
                _ => text_if(&OF_PERSON),
            },
            Self::Device if OF_DEVICE.contains(&plain) => Self::Open,
            Self::Device => Self::Person,
            Self::Geo => text_if(&OF_GEO),
            Self::Root | Self::Open | Self::Url | Self::Position | Self::Address | Self::Keywords => {
                match plain {
                    "page" | "ref" | "referrer" | "referer" => Self::Url,
                    _ if PERSONAL.contains(&plain) || names_dii(name) => Self::Person,
                    _ => Self::Open,
                }
            }
        }
    }
}

/// Whether a name is that of an id.
pub(super) fn is_id(name: &str) -> bool {
    let end = name.len().saturating_sub(2);
    name.get(end..).is_some_and(|end| end.eq_ignore_ascii_case("id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> Place {
        path.split('.').fold(Place::Root, Place::member)
    }

    #[test]
    fn members_stand_where_they_say() {
        for (path, place) in [
            ("id", Place::Person),
            ("source.tid", Place::Person),
            ("imp.id", Place::Open),
            ("imp.ext.tid", Place::Person),
            ("imp.ext.bidder.user_id", Place::Person),
            ("imp.ext.hashed_email", Place::Person),
            ("site.page", Place::Url),
            ("site.publisher.id", Place::Open),
            ("site.keywords", Place::Open),
            ("ext.prebid.data.eids.uids.id", Place::Person),
            ("user.id", Place::Person),
            ("user.name", Place::Person),
            ("user.consent", Place::Open),
            ("user.ext.eids.source", Place::Open),
            ("user.ext.eids.uids.id", Place::Person),
            ("user.ext.uid2.email", Place::Person),
            ("user.keywords", Place::Keywords),
            ("user.data.name", Place::Open),
            ("user.data.segment.name", Place::Open),
            ("user.data.segment.value", Place::Person),
            ("user.geo.lat", Place::Position),
            ("device.ua", Place::Open),
            ("device.sua.browsers.brand", Place::Open),
            ("device.ifa", Place::Person),
            ("device.dpid_sha1", Place::Person),
            ("device.ext.vendor_thing", Place::Person),
            ("device.ext.ifa_type", Place::Person),
            ("device.ip", Place::Address),
            ("device.geo.zip", Place::Person),
            ("device.geo.country", Place::Open),
            ("regs.gpp", Place::Open),
        ] {
            assert_eq!(at(path), place, "{path}");
        }
        assert!(
            is_id("id") && is_id("buyerId") && is_id("x_ID") && !is_id("idx") && !is_id("d") && !is_id("é")
        );
    }
}

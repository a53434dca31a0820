//! What is done with a value, by where it stands and what it is called.

use super::super::guard::names_dii;

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The request itself.
    Root,
    /// What is about the ad, the property, the deal: text.
    Open,
    /// `user` itself.
    User,
    /// What is in `user`, and whatever else is known by its name to be about a person.
    Person,
    /// A member of a person or a device that is listed as harmless: a text or number; an object in it is a person's.
    Said,
    /// `user.data`.
    Segments,
    /// `user.data.segment`.
    Segment,
    /// What a provider of segments or a segment is called. Without a digit it says nothing of one person.
    Label,
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
const OF_PERSON: [&str; 25] = [
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
    "atts",
    "dnt",
    "lmt",
];

/// Members of `device` that many devices have in common.
const OF_DEVICE: [&str; 24] = [
    "ua",
    "make",
    "model",
    "os",
    "osv",
    "hwv",
    "language",
    "langb",
    "carrier",
    "mccmnc",
    "ifatype",
    "atts",
    "type",
    "devicetype",
    "connectiontype",
    "geofetch",
    "w",
    "h",
    "ppi",
    "pxratio",
    "js",
    "dnt",
    "lmt",
    "flashver",
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
const PERSONAL: [&str; 48] = [
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
    "clientid",
    "oaid",
    "adid",
    "androidid",
    "gpsadid",
    "userids",
    "puid",
    "username",
    "transactionid",
    "auctionid",
    "requestid",
    "externalid",
    "accountid",
    "uuid",
    "guid",
    "rid",
];

/// A name in lower case, without `_` and `-`.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).collect::<String>().to_ascii_lowercase()
}

/// Whether a [plain] name stands in one of the lists.
pub(super) fn lists(plain: &str) -> bool {
    [&OF_PERSON[..], &OF_DEVICE, &OF_GEO, &PERSONAL].iter().any(|list| list.contains(&plain))
        || plain == "sua"
}

impl Place {
    /// Whether what stands here is about a person or a device of one, so that names of members may be too.
    pub(super) const fn is_personal(self) -> bool {
        !matches!(self, Self::Root | Self::Open | Self::Url)
    }

    /// Where the value of a member stands whose object stands here.
    pub(super) fn member(self, name: &str) -> Self {
        let plain = plain(name);
        let plain = plain.as_str();
        match (self, plain) {
            (Self::Root, "id") | (_, "tid") => Self::Person,
            (Self::Root | Self::Open | Self::Url, "user") => Self::User,
            (_, "device") => Self::Device,
            (_, "geo") => Self::Geo,
            (_, "lat" | "lon" | "lng" | "long" | "latitude" | "longitude") => Self::Position,
            (_, "ip" | "ipv4" | "ipv6" | "ipaddress" | "clientip" | "userip" | "xff") => Self::Address,
            _ => self.inner(name, plain),
        }
    }

    fn inner(self, name: &str, plain: &str) -> Self {
        match (self, plain) {
            (Self::User, "data") => Self::Segments,
            (Self::Segments, "segment") => Self::Segment,
            (Self::Segments | Self::Segment, "name") => Self::Label,
            (Self::Root | Self::Open | Self::Url, "page" | "ref" | "referrer" | "referer") => Self::Url,
            (Self::Root | Self::Open | Self::Url, _) if PERSONAL.contains(&plain) || names_dii(name) => {
                Self::Person
            }
            (Self::Device, "sua") | (Self::Root | Self::Open | Self::Url, _) => Self::Open,
            (Self::Device, _) if OF_DEVICE.contains(&plain) => Self::Said,
            (Self::Geo, _) if OF_GEO.contains(&plain) => Self::Said,
            (Self::Device | Self::Geo, _) => Self::Person,
            (_, "keywords" | "kwarray") => Self::Keywords,
            _ if OF_PERSON.contains(&plain) => Self::Said,
            _ => Self::Person,
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
            ("user.consent", Place::Said),
            ("user.ext.eids.source", Place::Said),
            ("user.ext.eids.uids.id", Place::Person),
            ("user.ext.uid2.email", Place::Person),
            ("user.keywords", Place::Keywords),
            ("user.data.name", Place::Label),
            ("user.data.segment.name", Place::Label),
            ("user.data.ext.name", Place::Person),
            ("user.ext.data.name", Place::Person),
            ("user.ext.user.data.name", Place::Person),
            ("user.ext.provider.name", Place::Person),
            ("user.ext.kwarray.crm", Place::Person),
            ("device.ip.x", Place::Person),
            ("imp.ext.user.data.name", Place::Label),
            ("source.ext.schain.nodes.rid", Place::Person),
            ("ext.client_id", Place::Person),
            ("ext.xff", Place::Address),
            ("ext.lng", Place::Position),
            ("user.data.segment.value", Place::Person),
            ("user.geo.lat", Place::Position),
            ("device.ua", Place::Said),
            ("device.sua.browsers.brand", Place::Open),
            ("device.ifa", Place::Person),
            ("device.dpid_sha1", Place::Person),
            ("device.ext.vendor_thing", Place::Person),
            ("device.ext.ifa_type", Place::Person),
            ("device.ip", Place::Address),
            ("device.geo.zip", Place::Person),
            ("device.geo.country", Place::Said),
            ("regs.gpp", Place::Open),
        ] {
            assert_eq!(at(path), place, "{path}");
        }
        assert!(
            is_id("id") && is_id("buyerId") && is_id("x_ID") && !is_id("idx") && !is_id("d") && !is_id("é")
        );
    }
}

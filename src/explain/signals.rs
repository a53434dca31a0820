//! Where privacy signals stand in a request, as they stand there (OpenRTB facts §3.1). For showing only: what they mean is
//! decided by `privacy`.

use http::HeaderMap;

use crate::openrtb::BidRequest;

/// A signal and its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Signal {
    pub(super) place: &'static str,
    /// JSON as it stands there; of a header, its text.
    pub(super) value: String,
}

/// Every signal of a request, place by place. Members that are null count as not there.
pub(super) fn of(request: &BidRequest, headers: &HeaderMap) -> Vec<Signal> {
    let signal = |place, value| Signal { place, value: String::from_utf8_lossy(value).into_owned() };
    let in_body = PLACES.iter().filter_map(|place| {
        let value = request.raw(place).filter(|value| *value != b"null")?;
        Some(signal(place, value))
    });
    let in_headers = headers.get_all(SEC_GPC).iter();
    let in_headers = in_headers.map(|value| signal("header Sec-GPC", value.as_bytes()));
    in_body.chain(in_headers).collect()
}

const SEC_GPC: &str = "sec-gpc";

const PLACES: [&str; 20] = [
    "regs.coppa",
    "regs.ext.coppa",
    "regs.gdpr",
    "regs.ext.gdpr",
    "regs.gpp_sid",
    "regs.ext.gpp_sid",
    "regs.gpp",
    "regs.ext.gpp",
    "user.consent",
    "user.ext.consent",
    "regs.us_privacy",
    "regs.ext.us_privacy",
    "regs.ext.gpc",
    "device.lmt",
    "device.dnt",
    "device.ext.atts",
    "device.os",
    "device.geo.country",
    "user.geo.country",
    "test",
];

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::openrtb::Limits;

    #[test]
    fn each_place_is_shown_with_its_value() {
        let body = Bytes::from_static(
            br#"{"id":"1","imp":[{"id":"a","bidfloor":1e999}],"regs":{"gdpr":0,"ext":{"gdpr":1,"gpc":null}},
               "user":{"consent":"C","keywords":"\ud800"},"test":0,"device":1}"#,
        );
        let request = BidRequest::parse(body, &Limits::default()).unwrap();
        let headers: HeaderMap = [(SEC_GPC.parse().unwrap(), "1".parse().unwrap())].into_iter().collect();
        let shown: Vec<String> =
            of(&request, &headers).into_iter().map(|s| format!("{}={}", s.place, s.value)).collect();
        assert_eq!(
            shown,
            ["regs.gdpr=0", "regs.ext.gdpr=1", "user.consent=\"C\"", "test=0", "header Sec-GPC=1"]
        );
    }
}

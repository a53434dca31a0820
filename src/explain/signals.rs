//! Where privacy signals stand in a request, as they stand there (OpenRTB facts §3.1). For showing only: what they mean is
//! decided by `privacy`.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

/// A signal and its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Signal {
    pub(super) place: &'static str,
    /// JSON; of a header, its text.
    pub(super) value: String,
}

/// Every signal of a request, place by place. Members that are null count as not there.
pub(super) fn of(body: &Bytes, headers: &HeaderMap) -> Vec<Signal> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let in_body = PLACES.iter().filter_map(|place| {
        let value = place.split('.').try_fold(&body, |at, name| at.get(name))?;
        (!value.is_null()).then(|| Signal { place, value: value.to_string() })
    });
    let in_headers = headers.get_all(SEC_GPC).iter();
    let in_headers = in_headers.map(|value| Signal {
        place: "header Sec-GPC",
        value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
    });
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
    use super::*;

    #[test]
    fn each_place_is_shown_with_its_value() {
        let body = Bytes::from_static(
            br#"{"regs":{"gdpr":0,"ext":{"gdpr":1,"gpc":null}},"user":{"consent":"C"},"test":0,"device":1}"#,
        );
        let headers: HeaderMap = [(SEC_GPC.parse().unwrap(), "1".parse().unwrap())].into_iter().collect();
        let shown: Vec<String> =
            of(&body, &headers).into_iter().map(|s| format!("{}={}", s.place, s.value)).collect();
        assert_eq!(
            shown,
            ["regs.gdpr=0", "regs.ext.gdpr=1", "user.consent=\"C\"", "test=0", "header Sec-GPC=1"]
        );
    }
}

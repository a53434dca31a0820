//! Whether a request says anything that can explain why identifiers were taken out of it. Deliberately coarse, and
//! generous: what the verdict has to be is the business of `policy-test`; here it is only asked whether there can be one.

use http::HeaderMap;

use super::tree::Tree;

/// What a request says of privacy.
#[expect(clippy::struct_excessive_bools, reason = "four answers that do not exclude each other")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Signals {
    /// Something that can forbid identifiers.
    pub(super) any: bool,
    /// Something that can mean GDPR.
    pub(super) gdpr: bool,
    /// `Sec-GPC: 1`.
    pub(super) gpc_header: bool,
    /// It names its user by DII, whose hashes must not stand elsewhere.
    pub(super) hints: bool,
}

impl Signals {
    /// Of a request as it was sent.
    pub(super) fn of(body: &Tree<'_>, headers: &HeaderMap) -> Self {
        let gpc_header = headers.get_all("sec-gpc").iter().any(|value| value == "1");
        let regs = |name| [body.at(&["regs", name]), body.at(&["regs", "ext", name])].into_iter().flatten();
        let on = |value: &Tree<'_>| !matches!(value.text, "0" | "false" | "\"0\"" | "\"\"");
        let countries = [body.at(&["device", "geo", "country"]), body.at(&["user", "geo", "country"])];
        let abroad = countries.into_iter().flatten().any(|country| {
            !country.string().is_some_and(|name| matches!(name.to_ascii_uppercase().as_str(), "US" | "USA"))
        });
        let gpp = regs("gpp").chain(regs("gpp_sid")).any(on);
        let gdpr = regs("gdpr").any(on) || abroad || gpp;
        let us = regs("us_privacy").any(|text| !is_harmless(&text.string().unwrap_or_default()));
        let device = [["device", "lmt"].as_slice(), &["device", "dnt"], &["device", "ext", "atts"]];
        let limited = device.into_iter().filter_map(|path| body.at(path)).any(|value| {
            // `atts` 3 is consent; 0 and 1 mean what is forbidden there, or nothing; it counts as something.
            value.text != "3" && on(value)
        }) || body.at(&["device", "ext", "atts"]).is_some_and(|value| value.text == "0");
        let regs_on = regs("coppa").any(on) || regs("gpc").any(on);
        let hints = body.at(&["user", "ext", "uid2"]).is_some()
            || headers.keys().any(|name| name.as_str().starts_with("x-uid2-"));
        Self { any: gdpr || us || limited || regs_on || gpc_header, gdpr, gpc_header, hints }
    }
}

/// `1YNN` and its like: nobody opted out. `1---`: the law does not apply.
fn is_harmless(us_privacy: &str) -> bool {
    us_privacy == "1---" || (us_privacy.len() == 4 && us_privacy.chars().nth(2) == Some('N'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signals(body: &str) -> Signals {
        Signals::of(&Tree::parse(body.as_bytes()).unwrap(), &HeaderMap::new())
    }

    #[test]
    fn a_request_that_says_nothing_explains_nothing() {
        for body in [
            "{}",
            r#"{"regs":{"coppa":0,"gdpr":0,"us_privacy":"1YNN","ext":{"us_privacy":"1---","gpp":""}}}"#,
            r#"{"device":{"lmt":0,"dnt":0,"ext":{"atts":3},"geo":{"country":"USA"}},"user":{"geo":{"country":"us"}}}"#,
            r#"{"regs":null,"device":7}"#,
        ] {
            assert_eq!(signals(body), Signals::default(), "{body}");
        }
    }

    #[test]
    fn every_signal_can_explain() {
        for body in [
            r#"{"regs":{"coppa":1}}"#,
            r#"{"regs":{"ext":{"coppa":true}}}"#,
            r#"{"regs":{"us_privacy":"1YYN"}}"#,
            r#"{"regs":{"us_privacy":"x"}}"#,
            r#"{"regs":{"ext":{"gpc":"1"}}}"#,
            r#"{"device":{"lmt":1}}"#,
            r#"{"device":{"dnt":1}}"#,
            r#"{"device":{"ext":{"atts":0}}}"#,
            r#"{"device":{"ext":{"atts":2}}}"#,
        ] {
            assert_eq!(signals(body), Signals { any: true, ..Signals::default() }, "{body}");
        }
        for body in [
            r#"{"regs":{"gdpr":1}}"#,
            r#"{"regs":{"ext":{"gpp":"DBAA"}}}"#,
            r#"{"regs":{"gpp_sid":[2]}}"#,
            r#"{"device":{"geo":{"country":"DEU"}}}"#,
        ] {
            assert!(signals(body).any && signals(body).gdpr, "{body}");
        }
        let gpc = HeaderMap::from_iter([(http::HeaderName::from_static("sec-gpc"), "1".parse().unwrap())]);
        assert!(Signals::of(&Tree::parse(b"{}").unwrap(), &gpc).gpc_header);
        assert!(signals(r#"{"user":{"ext":{"uid2":{"email":"a@b.co"}}}}"#).hints);
    }
}

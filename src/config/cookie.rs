//! `publisher.cookie`: the cookie that is kept for a publisher's users, one for each scope it has.

use super::reader::{At, Section};
use crate::uid2::Scope;
use crate::uid2::cookie::write::{Attributes, SameSite};

/// Names that SDKs read and write; sealed values there would be lost on them.
const SDK: [&str; 2] = ["__uid_2", "__euid"];
const PREBID: [&str; 2] = ["__uid2_advertising_token", "__euid_advertising_token"];

/// Longest name, path and domain, bytes.
const MAX_NAME: usize = 64;
const MAX_PATH: usize = 255;
const MAX_DOMAIN: usize = 253;

/// What holds for the cookie of every scope.
pub(super) struct Cookie {
    name: Option<String>,
    attributes: Attributes,
}

impl Cookie {
    /// The cookie of a scope.
    pub(super) fn of(&self, scope: Scope) -> Attributes {
        let default = match (scope, self.attributes.sealed) {
            (Scope::Uid2, false) => "__uid_2",
            (Scope::Euid, false) => "__euid",
            (Scope::Uid2, true) => "__uid2_gw",
            (Scope::Euid, true) => "__euid_gw",
        };
        Attributes {
            name: self.name.clone().unwrap_or_else(|| default.to_owned()),
            ..self.attributes.clone()
        }
    }
}

/// Reads it; `both`: the publisher has UID2 and EUID. `None`: it has no cookie.
pub(super) fn cookie(publisher: &Section<'_>, both: bool) -> Option<Cookie> {
    let section = publisher.table("cookie", "publisher.cookie")?;
    let sealed = section.choice("mode", &[("sdk", false), ("sealed", true)]);
    let path = section.text("path").map_or_else(|| String::from("/"), |placed| path(&section, placed));
    let domain = section.text("domain").map(|placed| domain(&section, placed));
    let attributes = Attributes {
        name: String::new(),
        domain,
        path,
        same_site: same_site(&section),
        sealed: sealed.unwrap_or_default(),
    };
    let name = section.text("name");
    if let Some((name, at)) = &name
        && let Some(fault) = fault_of_name(name, &attributes, both)
    {
        section.wrong(at, "name", fault);
    }
    if let Some((name, at)) =
        name.as_ref().filter(|(name, _)| !attributes.sealed && !SDK.contains(&name.as_str()))
    {
        section.warn(
            at,
            "name",
            format!("the browser SDK reads \"__uid_2\" and \"__euid\" alone, not \"{name}\""),
        );
    }
    Some(Cookie { name: name.map(|(name, _)| name), attributes })
}

fn fault_of_name(name: &str, attributes: &Attributes, both: bool) -> Option<&'static str> {
    // A token of RFC 9110 §5.6.2.
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let lower = name.to_ascii_lowercase();
    let host_only = attributes.path == "/" && attributes.domain.is_none();
    match name {
        _ if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(legal) => {
            Some("must be 1 to 64 characters of a-z, A-Z, 0-9 and !#$%&'*+-.^_`|~")
        }
        _ if both => Some("must be left out: UID2 and EUID have a cookie each"),
        _ if PREBID.contains(&name) => Some("must not be the name of a cookie of Prebid"),
        _ if attributes.sealed && SDK.contains(&name) => Some(
            "must not be the name of the browser SDK's cookie when mode = \"sealed\": the SDK could not read it",
        ),
        _ if lower.starts_with("__host-") && !host_only => {
            Some("that begins with __Host- needs path = \"/\" and no domain")
        }
        _ => None,
    }
}

fn same_site(section: &Section<'_>) -> SameSite {
    let Some((text, at)) = section.text("same_site") else { return SameSite::default() };
    match text.to_ascii_lowercase().as_str() {
        "lax" => SameSite::Lax,
        "strict" => SameSite::Strict,
        "none" => SameSite::None,
        _ => {
            section.wrong(&at, "same_site", "must be one of \"lax\", \"strict\", \"none\"");
            SameSite::default()
        }
    }
}

fn path(section: &Section<'_>, (path, at): (String, At<'_>)) -> String {
    let legal = |b: u8| b.is_ascii_graphic() && b != b';';
    if !path.starts_with('/') || path.len() > MAX_PATH || !path.bytes().all(legal) {
        section.wrong(
            &at,
            "path",
            "must begin with / and hold no white space and no semicolon, at most 255 characters",
        );
    }
    path
}

fn domain(section: &Section<'_>, (domain, at): (String, At<'_>)) -> String {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(legal)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if domain.len() > MAX_DOMAIN || !domain.split('.').all(label) {
        let shape = "must be a domain in small letters such as example.com, without a dot in front";
        section.wrong(&at, "domain", shape);
    }
    domain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(sealed: bool) -> Attributes {
        let (name, domain) = (String::new(), None);
        Attributes { name, domain, path: "/".into(), same_site: SameSite::Lax, sealed }
    }

    #[test]
    fn each_scope_has_a_name_of_its_own() {
        let names = |sealed| {
            let cookie = Cookie { name: None, attributes: attributes(sealed) };
            [Scope::Uid2, Scope::Euid].map(|scope| cookie.of(scope).name)
        };
        assert_eq!(names(false), SDK);
        assert_eq!(names(true), ["__uid2_gw", "__euid_gw"]);
        let other = Cookie { name: Some("x".into()), attributes: attributes(true) };
        assert_eq!(other.of(Scope::Uid2).name, "x");
    }

    #[test]
    fn names_are_tokens_and_nobody_elses() {
        let fault = |name: &str, sealed| fault_of_name(name, &attributes(sealed), false);
        for name in ["x", "__uid_2", "__Host-x", &"n".repeat(64)] {
            assert_eq!(fault(name, false), None, "{name}");
        }
        for name in ["", "a b", "a=b", "a;b", "é", "__uid2_advertising_token", &"n".repeat(65)] {
            assert!(fault(name, false).is_some(), "{name}");
        }
        assert!(fault("__uid_2", true).is_some() && fault("__euid", true).is_some());
        assert!(fault_of_name("x", &attributes(false), true).is_some(), "one name for two cookies");
        let elsewhere = Attributes { path: "/x".into(), ..attributes(true) };
        assert!(fault_of_name("__host-x", &elsewhere, false).is_some());
        assert!(fault_of_name("__Secure-x", &elsewhere, false).is_none());
    }
}

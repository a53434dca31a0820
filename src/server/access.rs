//! Who may start something on the admin listener: whoever has the token; on loopback also a program of this machine, and
//! a page of the listener's own, but no page of elsewhere that a browser on this machine happens to show.

use ::http::header::{HOST, ORIGIN};
use ::http::{HeaderMap, Method};

use crate::gateway::bearer;
use crate::secret::Secret;

/// Where the page stands that made a browser ask. Pages cannot set or remove it.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The token was presented.
pub(super) fn has_token(token: Option<&Secret<String>>, headers: &HeaderMap) -> bool {
    let Some(expected) = token else { return false };
    let presented = bearer(headers).ok().flatten();
    presented.is_some_and(|token| Secret::new(token.to_owned()) == *expected)
}

/// Without a token, on loopback: the request names this machine (a page behind a name that was pointed here does not), and
/// comes from nowhere else. Browsers say where a POST comes from, so one that does not say is refused as well. For an image
/// or a link they name no origin, but whether the page is of elsewhere.
pub(super) fn is_from_here(method: &Method, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text(HOST).filter(|host| is_this_machine(host)) else { return false };
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    if !sites.all(|site| matches!(site.as_bytes(), b"same-origin" | b"none")) {
        return false;
    }
    match text(ORIGIN) {
        Some(origin) => origin.strip_prefix("http://") == Some(host),
        None => !headers.contains_key(ORIGIN) && *method != Method::POST,
    }
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_the_whole_token_counts() {
        let token = Secret::new(String::from("t0ken"));
        let has = |value| has_token(Some(&token), &headers(&[("authorization", value)]));
        assert!(has("Bearer t0ken") && has("Bearer  t0ken "));
        assert!(has("bearer t0ken") && has("BEARER t0ken"), "schemes have no case (RFC 9110 §11.1)");
        assert!(!has("Bearer t0ke") && !has("t0ken") && !has("Basic t0ken"));
        assert!(
            !has_token(None, &headers(&[("authorization", "Bearer ")]))
                && !has_token(Some(&token), &headers(&[]))
        );
    }

    #[test]
    fn a_program_of_this_machine_may_get_and_its_own_page_may_post() {
        for host in ["127.0.0.1:9090", "localhost", "LOCALHOST:1", "[::1]:9090", "127.9.9.9"] {
            assert!(is_from_here(&Method::GET, &headers(&[("host", host)])), "{host}");
            assert!(!is_from_here(&Method::POST, &headers(&[("host", host)])), "{host}: no origin");
        }
        let own = headers(&[("host", "127.0.0.1:9090"), ("origin", "http://127.0.0.1:9090")]);
        assert!(is_from_here(&Method::POST, &own) && is_from_here(&Method::GET, &own));
        for site in ["none", "same-origin"] {
            let typed = headers(&[("host", "127.0.0.1:9090"), ("sec-fetch-site", site)]);
            assert!(is_from_here(&Method::GET, &typed), "{site}");
        }
    }

    #[test]
    fn pages_of_elsewhere_may_nothing() {
        for pairs in [
            vec![("host", "evil.example:9090")],
            vec![("host", "evil.example"), ("origin", "http://evil.example")],
            vec![("host", "127.0.0.1:9090"), ("origin", "http://evil.example")],
            vec![("host", "127.0.0.1:9090"), ("origin", "http://127.0.0.1:8080")],
            vec![("host", "127.0.0.1:9090"), ("origin", "https://127.0.0.1:9090")],
            vec![("host", "127.0.0.1:9090"), ("origin", "null")],
            vec![("host", "127.0.0.1.evil.example")],
            vec![("host", "203.0.113.9")],
            vec![("host", "127.0.0.1:9090"), ("sec-fetch-site", "cross-site")],
            vec![("host", "127.0.0.1:9090"), ("sec-fetch-site", "same-site")],
            vec![("host", "127.0.0.1:9090"), ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
            vec![
                ("host", "127.0.0.1:9090"),
                ("origin", "http://127.0.0.1:9090"),
                ("sec-fetch-site", "cross-site"),
            ],
            vec![],
        ] {
            let headers = headers(&pairs);
            assert!(
                !is_from_here(&Method::GET, &headers) && !is_from_here(&Method::POST, &headers),
                "{pairs:?}"
            );
        }
    }
}

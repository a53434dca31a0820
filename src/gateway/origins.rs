//! `server.cors_origins`: whose pages may call us from a browser with what it keeps for the user.
//!
//! A browser says with `Origin` whose page made it call (Fetch standard, "origin request header"). It writes it in one
//! form only, so origins are compared byte by byte, and what can never be sent is refused when the file is read.

use std::fmt;
use std::str::FromStr;

use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue, Uri};

/// The form of an origin, for whoever wrote another one.
const SHAPE: &str = "must be an origin as browsers send it, such as https://www.example.com: scheme and host in small \
                     letters, the port only where it is not the scheme's own, nothing behind it";

/// One page's origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin(HeaderValue);

/// Why a text is no origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OriginError {
    /// `*`: any page could then use the identities of whoever visits it.
    #[error("\"*\" is refused: list the origins whose pages may use what the browser keeps for the user")]
    Any,
    /// No origin, or one that no browser sends like this.
    #[error("{SHAPE}")]
    Shape,
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text == "*" {
            return Err(OriginError::Any);
        }
        let uri: Uri = text.parse().map_err(|_| OriginError::Shape)?;
        let (scheme, host) = uri.scheme_str().zip(uri.host()).ok_or(OriginError::Shape)?;
        let own_port = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return Err(OriginError::Shape),
        };
        let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        let sent = format!("{scheme}://{host}{port}");
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_:[]".contains(&b);
        if text != sent || uri.port_u16() == Some(own_port) || host.is_empty() || !host.bytes().all(legal) {
            return Err(OriginError::Shape);
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| OriginError::Shape)
    }
}

/// The origins of `server.cors_origins`.
#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<Origin>);

impl Origins {
    /// No page at all: nothing is looked for in a request then.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The caller's `Origin`, when it is one of these.
    pub fn admitted(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.is_empty() {
            return None;
        }
        let mut sent = headers.get_all(ORIGIN).iter();
        match (sent.next(), sent.next()) {
            (Some(origin), None) => self.0.iter().find(|one| one.0 == origin).map(|one| one.0.clone()),
            _ => None,
        }
    }

    /// No other site's page made this call: it has no `Origin`, or one of these.
    pub fn trusts(&self, headers: &HeaderMap) -> bool {
        !headers.contains_key(ORIGIN) || self.admitted(headers).is_some()
    }
}

impl FromIterator<Origin> for Origins {
    fn from_iter<I: IntoIterator<Item = Origin>>(origins: I) -> Self {
        Self(origins.into_iter().collect())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_browser_sends_is_an_origin() {
        for text in [
            "https://www.example.com",
            "https://www.example.com:8443",
            "http://localhost:3000",
            "http://127.0.0.1:3000",
            "https://[2001:db8::1]",
            "http://example.com:443",
        ] {
            assert_eq!(text.parse::<Origin>().map(|origin| origin.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("*".parse::<Origin>(), Err(OriginError::Any));
        for text in [
            "",
            "null",
            "www.example.com",
            "//www.example.com",
            "https://",
            "https://*.example.com",
            "https://www.example.com/",
            "https://www.example.com/path",
            "https://www.example.com?x",
            "https://WWW.example.com",
            "HTTPS://www.example.com",
            "https://www.example.com:443",
            "https://www.example.com:08443",
            "http://www.example.com:80",
            "https://user@www.example.com",
            "https://www.example.com ",
            "https://bücher.example",
            "ftp://www.example.com",
            "https://a.example,https://b.example",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(OriginError::Shape), "{text}");
        }
    }

    #[test]
    fn an_origin_is_admitted_whole_and_alone() {
        let origins: Origins = ["https://a.example".parse().unwrap()].into_iter().collect();
        let of = |sent: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for origin in sent {
                headers.append(ORIGIN, HeaderValue::from_static(origin));
            }
            (origins.admitted(&headers).is_some(), origins.trusts(&headers))
        };
        assert_eq!(of(&[]), (false, true));
        assert_eq!(of(&["https://a.example"]), (true, true));
        for foreign in ["https://a.example.evil", "http://a.example", "https://A.example", "null", ""] {
            assert_eq!(of(&[foreign]), (false, false), "{foreign}");
        }
        assert_eq!(of(&["https://a.example", "https://evil.example"]), (false, false));
        assert!(
            !Origins::default().trusts(&HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static("null"))]))
        );
    }
}

//! `--header`: names and values, of which no message shows a value, because it may be a key.

use anyhow::{Context, anyhow};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers that these texts stand for: `NAME=VALUE`, `NAME: VALUE`, or `NAME=@FILE` with the value in a file.
pub(super) fn parse(texts: &[String]) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (place, text) in (1..).zip(texts) {
        let (name, value) = header(text).with_context(|| format!("--header, the {place}. one"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn header(text: &str) -> anyhow::Result<(HeaderName, HeaderValue)> {
    const FORM: &str = "must be NAME=VALUE, NAME: VALUE or NAME=@FILE";
    let (name, value) = text.split_once(['=', ':']).ok_or_else(|| anyhow!(FORM))?;
    // What is no name may be a key whose name was forgotten.
    let name: HeaderName = name.trim().parse().map_err(|_| anyhow!("{FORM}: this is no name of a header"))?;
    let value = match value.trim().strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("{name}: {file}"))?,
        None => value.to_owned(),
    };
    let value = HeaderValue::from_str(value.trim());
    let mut value = value.map_err(|_| anyhow!("{name}: a character in its value can be in no header"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> anyhow::Result<HeaderMap> {
        parse(&[text.to_owned()])
    }

    #[test]
    fn each_form_is_understood() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "Bearer a=b\n").unwrap();
        let from_file = format!("Authorization=@{}", file.display());
        for text in ["Authorization=Bearer a=b", "authorization: Bearer a=b", from_file.as_str()] {
            let headers = parsed(text).unwrap();
            assert_eq!(headers["authorization"], "Bearer a=b", "{text}");
            assert!(headers["authorization"].is_sensitive());
        }
    }

    #[test]
    fn no_message_shows_what_may_be_a_key() {
        for text in ["Bearer s3cr3t", "Bearer s3cr3t=", "X-Key=s3cr3t\n2", "X-Key: s3cr3t\u{7f}"] {
            let said = format!("{:#}", parsed(text).unwrap_err());
            assert!(said.contains("--header, the 1. one") && !said.contains("s3cr3t"), "{text}: {said}");
        }
        assert!(format!("{:#}", parsed("A=@/no/such").unwrap_err()).contains("/no/such"));
    }
}

//! Text that is no id: what in it has to go.

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memchr_iter;

use super::super::guard::holds_dii;
use super::super::text::unescape;
use super::echo::percent_decoded;
use super::pseudonym::Pseudonyms;

/// The shortest text that is looked at as base64 or hex: `a@b.cd` has six bytes.
const SHORTEST_CODE: usize = 8;

/// The content of a string with what has to go masked, as it stands; `None` when that is nothing. `url`: it is a URL,
/// whatever it begins with.
pub(super) fn masked(raw: &str, url: bool, pseudonyms: Pseudonyms<'_>) -> Option<String> {
    let raw_is_text = !raw.replace("\\/", "").contains('\\');
    if !raw_is_text {
        let text = unescape(raw);
        let document = text.trim_start().starts_with(['{', '[']);
        let goes = document || holds_dii(&text) || !spans(&text, url).is_empty() || hides_in_percent(&text);
        return goes.then(|| pseudonyms.of(raw));
    }
    let spans = spans(raw, url);
    let mut left = String::from(raw);
    let mut out = String::from(raw);
    for span in spans {
        let Some(part) = raw.get(span.clone()) else { continue };
        left.replace_range(span.clone(), &" ".repeat(part.len()));
        out.replace_range(span, &pseudonyms.of(part));
    }
    if holds_dii(&left) || hides_in_percent(&left) || left.contains('\\') && hides(&unescape(&left)) {
        return Some(pseudonyms.of(raw)); // in an encoding, or under a name in the text
    }
    (out != raw).then_some(out)
}

/// Keywords: each is text, but what stands behind `=` or `:` in one is a value of the user's.
pub(super) fn keywords(raw: &str, pseudonyms: Pseudonyms<'_>) -> String {
    let sign = |text: &str| text.find(['=', ':']);
    let words = raw.split(',').map(|word| {
        let text = masked(word, false, pseudonyms).unwrap_or_else(|| word.to_owned());
        match sign(word).map(|at| text.split_at_checked(at + 1).unwrap_or((&text, ""))) {
            // An escape before the sign may be a sign itself.
            Some((name, value)) if !name.contains('\\') => format!("{name}{}", pseudonyms.of(value)),
            None if !word.contains('\\') || sign(&unescape(word)).is_none() => text,
            _ => pseudonyms.of(word),
        }
    });
    let masked = words.collect::<Vec<_>>().join(",");
    if holds_dii(raw) && masked == raw { pseudonyms.of(raw) } else { masked }
}

/// The values among keywords, decoded: what is masked there is looked for elsewhere.
pub(super) fn keyword_values(raw: &str) -> Vec<String> {
    let text = unescape(raw);
    text.split(',').filter_map(|word| Some(word.split_once(['=', ':'])?.1.trim().to_owned())).collect()
}

/// What has to go in a text without escapes, in order and apart from one another.
fn spans(text: &str, url: bool) -> Vec<Range<usize>> {
    let mut spans = url_values(text, url);
    spans.extend(people(text));
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(spans.len());
    for span in spans {
        match apart.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => apart.push(span),
        }
    }
    apart
}

/// Addresses and numbers.
fn people(text: &str) -> impl Iterator<Item = Range<usize>> {
    addresses(text).chain(phones(text)).chain(codes(text))
}

/// Whether there are any under one or two layers of per cent encoding.
fn hides_in_percent(text: &str) -> bool {
    let mut text = text.as_bytes().to_vec();
    for _ in 0..2 {
        if !text.contains(&b'%') {
            return false;
        }
        text = percent_decoded(&text);
        if hides(&String::from_utf8_lossy(&text)) {
            return true;
        }
    }
    false
}

/// Whether a text that was in an encoding has to go.
fn hides(text: &str) -> bool {
    text.contains("{\"") || text.contains("[\"") || people(text).next().is_some()
}

/// Whether a text begins as a JSON object or list of strings or objects does: `{"uid":…`.
fn is_document(text: &str) -> bool {
    let mut signs = text.chars().filter(|c| !c.is_whitespace());
    matches!((signs.next(), signs.next()), (Some('{' | '['), Some('"')) | (Some('['), Some('{')))
}

/// The values of a URL's query, parameters of its path, its fragment, and who logs in there.
fn url_values(text: &str, url: bool) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let scheme = text.find("://").map(|at| at + 3).or_else(|| text.find(":\\/\\/").map(|at| at + 5));
    let Some(from) = scheme.or(url.then_some(0)) else { return spans };
    let rest = text.get(from..).unwrap_or_default();
    let authority = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    if let Some(at) = rest.get(..authority).and_then(|authority| authority.rfind('@')) {
        spans.push(from..from + at);
    }
    let query = rest.find(['?', '#']).map(|at| from + at);
    spans.extend(path_values(text, from..query.unwrap_or(text.len())));
    let Some(query) = query else { return spans };
    // In the fragment everything goes, as in a query everything that has no name.
    let (mut start, mut value, mut fragment) = (query + 1, false, text.as_bytes().get(query) == Some(&b'#'));
    for (at, byte) in text.bytes().enumerate().skip(query + 1).chain([(text.len(), b'&')]) {
        match byte {
            b'=' if !value && !fragment => (start, value) = (at + 1, true),
            b'&' | b';' | b'#' | b'?' => {
                spans.push(start..at);
                (start, value) = (at + 1, false);
                fragment |= byte == b'#';
            }
            _ => {}
        }
    }
    spans.retain(|span| span.start < span.end);
    spans
}

/// What stands behind `;` in a path, up to the next part of it; what has a name keeps the name.
fn path_values(text: &str, path: Range<usize>) -> Vec<Range<usize>> {
    let (mut spans, mut open) = (Vec::new(), None);
    let end = (path.end, b'/');
    for (at, byte) in text.bytes().enumerate().take(path.end).skip(path.start).chain([end]) {
        match byte {
            b';' | b'/' | b'\\' => {
                spans.extend(open.take().map(|(start, _): (usize, bool)| start..at));
                open = (byte == b';').then_some((at + 1, false));
            }
            b'=' => open = open.map(|(start, value)| if value { (start, value) } else { (at + 1, true) }),
            _ => {}
        }
    }
    spans.retain(|span: &Range<usize>| span.start < span.end);
    spans
}

/// E-mail addresses.
fn addresses(text: &str) -> impl Iterator<Item = Range<usize>> {
    let local = |c: char| c.is_alphanumeric() || ".!#$%'*+-^_`{|}~".contains(c);
    let domain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    memchr_iter(b'@', text.as_bytes()).filter_map(move |at| {
        let (before, after) = (text.get(..at)?, text.get(at + 1..)?);
        let start =
            before.len() - before.chars().rev().take_while(|c| local(*c)).map(char::len_utf8).sum::<usize>();
        let end = at + 1 + after.chars().take_while(|c| domain(*c)).map(char::len_utf8).sum::<usize>();
        (start < at && text.get(at + 1..end)?.contains('.')).then_some(start..end)
    })
}

/// `+` and 10 to 15 digits, anywhere; blanks, dashes, points and brackets may part them.
fn phones(text: &str) -> impl Iterator<Item = Range<usize>> {
    memchr_iter(b'+', text.as_bytes()).filter_map(move |plus| {
        let (mut digits, mut end) = (0, plus + 1);
        for (at, byte) in (plus + 1..).zip(text.as_bytes().get(plus + 1..)?) {
            match byte {
                b'0'..=b'9' => (digits, end) = (digits + 1, at + 1),
                b' ' | b'-' | b'.' | b'(' | b')' if at < end + 2 => {}
                _ => break,
            }
        }
        (10..=15).contains(&digits).then_some(plus..end)
    })
}

/// What is an address, a phone number or a document in base64 or hex.
fn codes(text: &str) -> impl Iterator<Item = Range<usize>> {
    let code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_');
    let words =
        text.split(move |c: char| !code(c)).map(|word| (word.as_ptr().addr() - text.as_ptr().addr(), word));
    words
        .filter(|(_, word)| word.len() >= SHORTEST_CODE && hides_dii(word))
        .map(|(start, word)| start..start + word.len())
}

fn hides_dii(word: &str) -> bool {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let base64 =
        [&STANDARD, &URL_SAFE].map(|alphabet| GeneralPurpose::new(alphabet, lenient).decode(word).ok());
    let decoded = base64.into_iter().flatten().chain(from_hex(word));
    let goes = |text: &str| is_document(text) || holds_dii(text);
    decoded.into_iter().any(|bytes| std::str::from_utf8(&bytes).is_ok_and(goes))
}

fn from_hex(word: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = word.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD as BASE64;

    use super::super::echo::hex;
    use super::super::tests::key;
    use super::*;

    fn of(raw: &str) -> String {
        let masked = masked(raw, false, Pseudonyms::new(&key)).unwrap_or_else(|| raw.to_owned());
        assert_eq!(masked.len(), raw.len(), "{raw} → {masked}");
        masked
    }

    #[test]
    fn ordinary_text_stays() {
        for raw in [
            "",
            "News of today",
            "https://www.example.com/a/b.html",
            "1.5 + 2 = 3.5",
            "@handle",
            "image/jpeg",
            "80ce30c53c16e6ede735f123ef6e32361bfc7b22",
            r"https:\/\/www.example.com\/",
            "Caf\u{e9} a\u{f1}o",
            "a\\nb",
            "tMmiiTI7IaAcPpQPFQ65uMVCWH8av9jw4cwf/F5HVRQ=",
            "10 a.m. + 12 p.m.",
            "IAB1-5",
        ] {
            assert_eq!(of(raw), raw);
        }
    }

    #[test]
    fn addresses_and_numbers_go_and_the_rest_stays() {
        assert!(
            of("by jane.doe@example.com, today").starts_with("by ")
                && of("by j@example.com, today").ends_with(", today")
        );
        for (raw, secret) in [
            ("by jane.doe@example.com, today", "jane"),
            ("call +1 (555) 123-4567 now", "555"),
            ("x+15551234567", "5551234"),
            ("a jane%40example.com b", "jane"),
            ("x=%6A%61%6E%65%40example.com", "6A%61"),
            (r"jane\u0040example.com", "jane"),
            (r#"{\"mail\":\"x\",\"ifa\":\"abc-1\"}"#, "abc-1"),
            ("hem=b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514", "b4c9a2"),
            ("ünï@bücher.example", "ünï"),
        ] {
            assert!(!of(raw).contains(secret), "{raw} → {}", of(raw));
        }
        for text in ["jane@example.com", "+15551234567"] {
            let hex = hex(text);
            for code in [BASE64.encode(text), hex.to_ascii_uppercase(), hex] {
                let masked = of(&format!("é x={code}; y"));
                assert!(
                    !masked.contains(&code) && masked.starts_with("é x=") && masked.ends_with("; y"),
                    "{masked}"
                );
            }
        }
    }

    #[test]
    fn urls_keep_their_path_and_the_names_of_their_query() {
        let masked = of("https://www.example.com/a?x=12ab&y=&flag&z=a=b;w=7#top");
        assert!(masked.starts_with("https://www.example.com/a?x="), "{masked}");
        let names: Vec<&str> =
            masked.split(['?', '&', ';']).skip(1).map(|part| part.split('=').next().unwrap()).collect();
        assert_eq!((names[0], names[1], names[3], names[4]), ("x", "y", "z", "w"), "{masked}");
        for secret in ["12ab", "flag", "z=a=b", "w=7", "top"] {
            assert!(!masked.contains(secret), "{secret} in {masked}");
        }
        assert!(!of(r"https:\/\/www.example.com\/?uid=17ab").contains("17ab"));
        assert!(!of("https://jane:secret@example.com/").contains("secret"));
        assert!(of("what? nothing=1").contains("nothing=1"), "no URL");
        let page = |raw| super::masked(raw, true, Pseudonyms::new(&key)).unwrap_or_default();
        assert!(!page("www.example.com/?uid=17ab").contains("17ab"));
    }

    #[test]
    fn parameters_of_a_path_are_values() {
        for (raw, start, secret) in [
            (
                "https://www.example.com/a;jsessionid=1A2B?x=1",
                "https://www.example.com/a;jsessionid=",
                "1A2B",
            ),
            ("https://www.example.com/a;jsessionid=1A2B", "https://www.example.com/a;jsessionid=", "1A2B"),
            ("https://www.example.com/a;4711x/b", "https://www.example.com/a;", "4711x"),
            ("https://www.example.com/a;v=1a=2b;w=3c/b#f", "https://www.example.com/a;v=", "3c"),
            (r"https:\/\/www.example.com\/a;sid=1A2B\/b", r"https:\/\/www.example.com\/a;sid=", "1A2B"),
        ] {
            let masked = of(raw);
            assert!(masked.starts_with(start) && !masked.contains(secret), "{raw} → {masked}");
        }
        assert!(of("https://www.example.com/a;s=1A2B/b/c").ends_with("/b/c"));
        assert_eq!(of("a;s=1A2B"), "a;s=1A2B", "no URL");
    }

    #[test]
    fn documents_in_an_encoding_go() {
        for document in [r#"{"uid":"user-4711"}"#, r#" [ "user-4711" ]"#, r#"[{"uid":"4711"}]"#] {
            let hex = hex(document);
            for code in [BASE64.encode(document), hex.to_ascii_uppercase(), hex] {
                let masked = of(&format!("x={code}; y"));
                assert!(!masked.contains(code.trim_end_matches('=')), "{masked}");
            }
        }
        assert!(!of("x=%7B%22uid%22%3A%22user-4711%22%7D").contains("4711"));
        // A slash of base64 that is written as an escape.
        let code = BASE64.encode("???>>>jane@example.com").replace('/', r"\/");
        let (_, address) = code.rsplit_once('/').unwrap();
        assert!(!of(&code).contains(address), "{code}");
    }

    #[test]
    fn an_escape_among_keywords_uncovers_none() {
        let of = |raw: &str| keywords(raw, Pseudonyms::new(&key));
        for raw in [
            r"crm=user-4711,path=a\/b",
            r"path=a\/b,crm:user-4711",
            r"a\/b,crm\u003duser-4711",
            r"crm\u003duser-4711=x",
            r"a\u002ccrm=user-4711",
            r"crm\u003auser-4711",
        ] {
            let masked = of(raw);
            assert!(masked.len() == raw.len() && !masked.contains("4711"), "{raw} → {masked}");
            let json = serde_json::from_str::<String>(&format!("\"{masked}\""));
            assert!(json.is_ok_and(|text| !text.contains("4711")), "{raw} → {masked}");
        }
        assert_eq!(of(r"caf\u00e9,rock\/pop"), r"caf\u00e9,rock\/pop");
        assert!(of(r"a\/b,crm=17").starts_with(r"a\/b,crm="));
    }

    #[test]
    fn keywords_stay_and_their_values_go() {
        let of = |raw: &str| keywords(raw, Pseudonyms::new(&key));
        assert_eq!(of("sports, cars,"), "sports, cars,");
        let masked = of("sports,age=34,jane@example.com,crm:17");
        assert!(masked.starts_with("sports,age=") && masked.contains("crm:"), "{masked}");
        assert!(!masked.contains("34") && !masked.contains("jane") && !masked.contains("17"), "{masked}");
    }
}

//! Identifiers that stand a second time, somewhere nobody expects them: an id in a path, in a deal's name, in base64 in an
//! extension. Whatever was masked is looked for in every string, and in every number.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem::Finder;

use super::super::cursor::Cursor;
use super::super::text::{Span, unescape};
use super::Unmasked;
use super::pseudonym::Pseudonyms;

/// A shorter one, or one without a digit, is too often part of something else.
const SHORTEST: usize = 8;

/// Bytes that may be searched for one request, all ids together: some milliseconds.
const MOST_SEARCHED: usize = 64 << 20;

/// Masks the ids wherever they stand in a text that is well-formed JSON, but in the strings that are kept.
pub(super) fn mask(
    out: &mut [u8],
    (ids, kept): (&[String], &[Span]),
    pseudonyms: Pseudonyms<'_>,
) -> Result<(), Unmasked> {
    let forms: BTreeSet<String> = ids.iter().filter(|id| tells(id)).flat_map(|id| forms(id)).collect();
    if forms.is_empty() {
        return Ok(());
    }
    if forms.len().saturating_mul(out.len()) > MOST_SEARCHED {
        return Err(Unmasked::TooMuch);
    }
    let mut places = places(out);
    places.strings.retain(|span| !kept.contains(span));
    places.numbers.retain(|span| !kept.contains(span));
    let finders: Vec<Finder<'_>> = forms.iter().map(Finder::new).collect();
    for (form, finder) in forms.iter().zip(&finders) {
        everywhere(out, (form, finder), &places, pseudonyms);
    }
    encoded(out, &finders, &places, pseudonyms);
    Ok(())
}

fn tells(id: &str) -> bool {
    id.len() >= SHORTEST && id.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) || id.contains('@')
}

/// How an id may be written.
fn forms(id: &str) -> [String; 7] {
    let hex = hex(id);
    [
        id.to_ascii_lowercase(),
        id.to_ascii_uppercase(),
        hex.to_ascii_uppercase(),
        hex,
        STANDARD_NO_PAD.encode(id),
        URL_SAFE_NO_PAD.encode(id),
        id.to_owned(),
    ]
}

/// The bytes of a text in lower-case hex.
pub(super) fn hex(text: &str) -> String {
    let nibbles = text.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
}

/// The contents of strings and the numbers, in order.
struct Places {
    strings: Vec<Span>,
    numbers: Vec<Span>,
}

fn places(text: &[u8]) -> Places {
    let mut places = Places { strings: Vec::new(), numbers: Vec::new() };
    let mut cursor = Cursor::new(text, 0);
    loop {
        match cursor.peek() {
            0 => return places,
            b'"' => places.strings.push(cursor.string().content),
            b'{' | b'[' | b'}' | b']' | b',' | b':' => cursor.open(),
            _ => {
                let start = cursor.position();
                cursor.scalar();
                places.numbers.push(Span { start, end: cursor.position() });
            }
        }
    }
}

/// One form, as it stands.
fn everywhere(
    out: &mut [u8],
    (form, finder): (&str, &Finder<'_>),
    places: &Places,
    pseudonyms: Pseudonyms<'_>,
) {
    let mut from = 0;
    while let Some(at) = out.get(from..).and_then(|rest| finder.find(rest)).map(|at| from + at) {
        let end = at + form.len();
        from = end;
        let (range, masked) = if around(&places.strings, at, end).is_some() {
            (at..end, pseudonyms.of(form))
        } else if let Some(number) = around(&places.numbers, at, end) {
            // All of it: in some digits of a number the sign or the first digit cannot be told.
            let raw =
                out.get(number.range()).and_then(|raw| std::str::from_utf8(raw).ok()).unwrap_or_default();
            (number.range(), pseudonyms.of_number(raw))
        } else {
            continue; // across the border of a string: another text that looks like it
        };
        if let Some(place) = out.get_mut(range).filter(|place| place.len() == masked.len()) {
            place.copy_from_slice(masked.as_bytes());
        }
    }
}

/// The one that holds all of it.
fn around(spans: &[Span], start: usize, end: usize) -> Option<&Span> {
    let after = spans.partition_point(|span| span.start as usize <= start);
    after.checked_sub(1).and_then(|at| spans.get(at)).filter(|span| end <= span.end as usize)
}

/// Strings that hold one of them once their escapes or their per cent encoding are undone go as a whole.
fn encoded(out: &mut [u8], finders: &[Finder<'_>], places: &Places, pseudonyms: Pseudonyms<'_>) {
    for span in &places.strings {
        let Some(raw) = out.get(span.range()).and_then(|raw| std::str::from_utf8(raw).ok()) else { continue };
        if !raw.contains(['\\', '%']) {
            continue;
        }
        let once = percent_decoded(unescape(raw).as_bytes());
        let twice = percent_decoded(&once);
        if finders.iter().any(|finder| finder.find(&once).is_some() || finder.find(&twice).is_some()) {
            let masked = pseudonyms.of(raw);
            if let Some(place) = out.get_mut(span.range()).filter(|place| place.len() == masked.len()) {
                place.copy_from_slice(masked.as_bytes());
            }
        }
    }
}

/// One layer of per cent encoding taken off; what is none stays.
pub(super) fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        let code = match after {
            [high, low, tail @ ..] if *byte == b'%' => digit(*high).zip(digit(*low)).map(|code| (code, tail)),
            _ => None,
        };
        if let Some(((high, low), tail)) = code {
            out.push(high << 4 | low);
            rest = tail;
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    out
}

//! IP addresses and positions: others of the same length that are somewhere else, or nowhere in particular.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::pseudonym::{Chance, Pseudonyms};

/// How often another draw is tried when an address comes out as itself.
const TRIES: u8 = 24;

/// An address of the same length that is nobody's: of a range for benchmarks (RFC 2544), documentation (RFC 3849) or
/// private use. The few lengths that none has become all zeros. A text that is no address gets a pseudonym.
pub(super) fn ip(raw: &str, pseudonyms: Pseudonyms<'_>) -> String {
    let make: fn(&str, Chance<'_>) -> String = if raw.parse::<Ipv4Addr>().is_ok() {
        |raw, chance| v4(raw.len(), chance)
    } else if raw.parse::<Ipv6Addr>().is_ok() {
        v6
    } else {
        return pseudonyms.of(raw);
    };
    let mut drawn = (0..TRIES).map(|attempt| make(raw, pseudonyms.chance(raw.as_bytes(), attempt)));
    drawn.find(|other| other != raw).unwrap_or_else(|| raw.to_owned())
}

fn v4(length: usize, mut chance: Chance<'_>) -> String {
    let mut part = |digits| match digits {
        1 => (1 + chance.next() % 9).to_string(),
        2 => (10 + chance.next() % 90).to_string(),
        _ => (100 + chance.next() % 155).to_string(),
    };
    match length {
        7 => String::from("0.0.0.0"),
        8 | 9 => format!("10.0.0.{}", part(length - 7)),
        10..=12 => format!("198.18.0.{}", part(length - 9)),
        13 | 14 => format!("198.18.{}.{}", part(length - 11), part(3)),
        _ => format!("192.168.{}.{}", part(3), part(3)),
    }
}

fn v6(raw: &str, mut chance: Chance<'_>) -> String {
    let mut parts: Vec<String> = raw.split(':').map(str::to_owned).collect();
    let documentation = match parts.as_slice() {
        [first, second, ..] => match (first.len(), second.len()) {
            (4, 3) => Some("db8"),
            (4, 4) => Some("0db8"),
            _ => None,
        },
        _ => None,
    };
    if let Some(second) = documentation {
        let prefix = ["2001", second];
        for (at, part) in parts.iter_mut().enumerate() {
            *part = match prefix.get(at) {
                Some(fixed) => (*fixed).to_owned(),
                None => part.chars().map(|c| other_digit(c, &mut chance)).collect(),
            };
        }
        let address = parts.join(":");
        if address.parse::<Ipv6Addr>().is_ok() {
            return address;
        }
    }
    let dotted = raw.rfind(':').filter(|_| raw.contains('.')).map_or(raw.len(), |colon| colon + 1);
    let (groups, tail) = raw.split_at_checked(dotted).unwrap_or((raw, ""));
    let zeros: String = groups.chars().map(|c| if c.is_ascii_hexdigit() { '0' } else { c }).collect();
    if tail.is_empty() { zeros } else { zeros + &v4(tail.len(), chance) }
}

fn other_digit(digit: char, chance: &mut Chance<'_>) -> char {
    match digit {
        '.' => '.',
        _ => char::from_digit(u32::from(chance.next() % 16), 16).unwrap_or('0'),
    }
}

/// A latitude or longitude to one decimal; the further ones are zeros, so that it is as long. `None`: it is no plain
/// decimal number, and which of its digits are fine cannot be told.
pub(super) fn position(raw: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | ' ');
    raw.trim().parse::<f64>().ok().filter(|_| raw.chars().all(plain))?;
    let fine = raw.find('.').map_or(raw.len(), |point| point + 2);
    Some(raw.char_indices().map(|(at, c)| if at >= fine && c.is_ascii_digit() { '0' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::super::tests::key;
    use super::*;

    #[test]
    fn every_length_of_an_address_has_another() {
        let of = |raw: &str| ip(raw, Pseudonyms::new(&key));
        for raw in [
            "1.2.3.4",
            "1.2.3.45",
            "1.2.3.200",
            "1.2.30.200",
            "1.20.30.200",
            "8.8.199.200",
            "81.20.30.200",
            "81.120.30.200",
            "81.120.130.200",
            "181.120.130.200",
        ] {
            let other = of(raw);
            assert_eq!(other.len(), raw.len(), "{raw} → {other}");
            let parsed: Ipv4Addr = other.parse().unwrap_or_else(|_| panic!("{raw} → {other}"));
            assert!(
                parsed.is_private() || parsed.is_unspecified() || other.starts_with("198.18."),
                "{other}"
            );
        }
        for raw in [
            "2a02:26f0:9d00:1b1::356e",
            "2a02:6f0::1",
            "fe80::1",
            "::1",
            "::",
            "2001:4860:4860:0:0:0:0:8888",
            "::ffff:81.2.69.142",
            "1111:2222:3333:4444:5555:6666:7777:8888",
            "2a02:26f::81.2.69.142",
        ] {
            let other = of(raw);
            assert_eq!(other.len(), raw.len(), "{raw} → {other}");
            let parsed: Ipv6Addr = other.parse().unwrap_or_else(|_| panic!("{raw} → {other}"));
            let segments = parsed.segments();
            assert!(segments[..2] == [0x2001, 0xdb8] || segments[..5] == [0; 5], "{raw} → {other}");
        }
        for raw in
            ["10.0.0.1", "10.0.0.2", "10.0.0.3", "198.18.0.4", "2001:db8::5", "2001:db8::6", "2001:db8::7"]
        {
            assert_ne!(of(raw), raw);
        }
        assert_eq!(of("81.2.69.x").len(), 9);
        assert_ne!(of("81.2.69.x"), "81.2.69.x");
    }

    #[test]
    fn positions_keep_one_decimal() {
        for (raw, blurred) in [
            ("48.858370", Some("48.800000")),
            ("-0.1276", Some("-0.1000")),
            ("48", Some("48")),
            ("48.8", Some("48.8")),
            ("4885837e-5", None),
            ("4.885e1", None),
            ("x", None),
        ] {
            assert_eq!(position(raw).as_deref(), blurred, "{raw}");
        }
    }
}

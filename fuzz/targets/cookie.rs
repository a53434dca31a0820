//! Invariant: reading whatever stands in a `Cookie` header never panics; what is believed is within the bounds of a
//! token, reads back from what we would write, and does not depend on other cookies; an opt-out beside it wins.
#![cfg_attr(not(test), no_main)]

use uid2_gateway::time::UnixMillis;
use uid2_gateway::uid2::cookie::{Claim, Held, MAX_HEADER_BYTES, MAX_LIFE_MS, MAX_VALUE_BYTES, read};
use uid2_gateway::uid2::{AdvertisingToken, Scope};

/// The time of the fixtures.
const NOW: UnixMillis = UnixMillis(1_768_478_400_000);

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    for (scope, name) in [(Scope::Uid2, "__uid_2"), (Scope::Euid, "__euid")] {
        let of = |headers: &[&[u8]]| read(headers.iter().copied(), scope, NOW);
        let claim = of(&[data]);
        if let Some(Claim::Held(held)) = &claim {
            within_bounds(held);
            let value = held.to_value();
            if value.len() <= MAX_VALUE_BYTES {
                let written = format!("{name}={value}");
                assert_eq!(of(&[written.as_bytes()]), claim, "what we write reads back");
            }
        }
        let optout = format!(r#"{name}={{"status":"optout"}}"#);
        if data.len() + 100 < MAX_HEADER_BYTES {
            let among = [b"a=b; c ;", data, b"; d=__uid_2={}"].concat();
            assert_eq!(of(&[&among]), claim, "other cookies are nothing");
            assert_eq!(of(&[b"a=b", data]), claim, "nor are other headers");
            assert_eq!(of(&[&[data, b"; ", optout.as_bytes()].concat()]), Some(Claim::OptedOut));
            assert_eq!(of(&[optout.as_bytes(), data]), Some(Claim::OptedOut));
        }
    }
}

fn within_bounds(held: &Held) {
    let token = held.advertising_token.as_str();
    assert!((1..=500).contains(&token.len()) && token.len() != 44, "{} characters", token.len());
    assert_eq!(AdvertisingToken::parse(token).as_ref(), Ok(&held.advertising_token));
    assert!(token.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')));
    let times = held.times;
    assert!(times.identity_expires.since(NOW) <= MAX_LIFE_MS);
    assert!(times.refresh_from <= times.identity_expires && times.identity_expires <= times.refresh_expires);
    assert!(held.refresh_token.as_ref().is_none_or(|token| token.expose().len() <= 4_096));
}

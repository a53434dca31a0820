//! Invariant: reading whatever stands in a `Cookie` header never panics; what is believed is within the bounds of a
//! token and reads back by itself, and does not depend on other cookies; an opt-out beside it, of either scope, wins. What of
//! the publisher's own cookie can be renewed reads back whole from what the gateway writes of it.
#![cfg_attr(not(test), no_main)]

use uid2_gateway::time::UnixMillis;
use uid2_gateway::uid2::cookie::{
    Claim, Held, MAX_HEADER_BYTES, MAX_LIFE_MS, MAX_VALUE_BYTES, Own, read, write,
};
use uid2_gateway::uid2::token::{MAX_TOKEN_CHARS, MIN_TOKEN_CHARS};
use uid2_gateway::uid2::{AdvertisingToken, Scope};

/// The time of the fixtures.
const NOW: UnixMillis = UnixMillis(1_768_478_400_000);

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    let scopes = [(Scope::Uid2, "__uid_2"), (Scope::Euid, "__euid")];
    for ((scope, name), own) in scopes.into_iter().flat_map(|scope| [(scope, false), (scope, true)]) {
        let own = own.then_some(Own { name, open: None });
        let of = |headers: &[&[u8]]| read(headers.iter().copied(), (scope, own), NOW);
        let claim = of(&[data]);
        if let Some(Claim::Held(held)) = &claim {
            within_bounds(held, scope);
            let by_itself = written(held);
            if by_itself.len() <= MAX_VALUE_BYTES {
                assert_eq!(of(&[format!("{name}={by_itself}").as_bytes()]), claim, "it reads back");
            }
        }
        let optout = r#"__euid={"status":"optout"}"#;
        if data.len() + 100 < MAX_HEADER_BYTES {
            let among = [b"a=b; c ;", data, b"; d=__uid_2={}"].concat();
            assert_eq!(of(&[&among]), claim, "other cookies are nothing");
            assert_eq!(of(&[b"a=b", data]), claim, "nor are other headers");
            assert_eq!(of(&[&[data, b"; ", optout.as_bytes()].concat()]), Some(Claim::OptedOut));
            assert_eq!(of(&[optout.as_bytes(), data]), Some(Claim::OptedOut));
        }
    }
}

fn written(held: &Held) -> String {
    let (Some(renewal), Some(identity)) = (&held.renewal, held.identity()) else { return json(held) };
    let ticket = renewal.ticket.as_ref().map(|ticket| ticket.expose().as_str());
    let value = write::readable(write::text(&identity, ticket, renewal.others.expose()).expose());
    assert!(value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b';' | b'=' | b'"' | b',')));
    value
}

fn json(held: &Held) -> String {
    let (token, times) = (held.advertising_token.as_str(), held.times);
    let [from, expires, refresh] =
        [times.refresh_from, times.identity_expires, times.refresh_expires].map(|time| time.0);
    format!(
        r#"{{"advertising_token":"{token}","refresh_from":{from},"identity_expires":{expires},"refresh_expires":{refresh}}}"#
    )
}

fn within_bounds(held: &Held, scope: Scope) {
    let token = held.advertising_token.as_str();
    assert!((MIN_TOKEN_CHARS..=MAX_TOKEN_CHARS).contains(&token.len()), "{} characters", token.len());
    assert!(held.advertising_token.looks_made_for(scope));
    assert!(!held.advertising_token.looks_made_for(scope.other()));
    assert_eq!(AdvertisingToken::parse(token).as_ref(), Ok(&held.advertising_token));
    assert!(token.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')));
    let times = held.times;
    assert!(times.identity_expires.since(NOW) <= MAX_LIFE_MS);
    assert!(times.refresh_from <= times.identity_expires && times.identity_expires <= times.refresh_expires);
}

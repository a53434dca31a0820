//! Records as tests of this floor use them.

use crate::privacy::Said;
use crate::secret::Secret;
use crate::time::UnixMillis;
use crate::uid2::{AdvertisingToken, Environment, Identity, Scope, Times};

use super::key::RecordKey;
use super::record::{Draft, Origin, Record, State};

/// Shaped like a token: 120 bytes in base64url.
pub(super) const TOKEN: &str = "AgAAAANAAAAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4_QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9g";
/// 388 characters of base64, as operators send them.
pub(super) const REFRESH: &str = "AAAAAANAAAAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9gAAAAAANAAAAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9gAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/QEFCQ0RF";
/// 32 bytes in base64.
pub(super) const RESPONSE_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

pub(super) const KEEP_UNTIL: UnixMillis = UnixMillis(100_000);

pub(super) fn key(byte: u8) -> RecordKey {
    RecordKey::from_bytes([byte; 32])
}

pub(super) fn draft() -> Draft {
    let identity = Identity {
        advertising_token: AdvertisingToken::parse(TOKEN).unwrap(),
        refresh_token: Secret::new(REFRESH.to_owned()),
        refresh_response_key: Secret::new(RESPONSE_KEY.to_owned()),
        times: Times {
            refresh_from: UnixMillis(10_000),
            identity_expires: UnixMillis(50_000),
            refresh_expires: KEEP_UNTIL,
        },
    };
    Draft {
        publisher: String::from("acme"),
        scope: Scope::Uid2,
        environment: Environment::Local,
        dii: Some(key(200)),
        origin: Origin::Login,
        provider: Some(String::from("sign-in")),
        said: Said { gdpr: Some(false), gpp_sid: Some(vec![7]), ..Said::default() },
        created: UnixMillis(1_000),
        keep_until: KEEP_UNTIL,
        state: State::Active(identity),
    }
}

pub(super) fn record(generation: u64) -> Record {
    draft().into_record(generation, UnixMillis(2_000))
}

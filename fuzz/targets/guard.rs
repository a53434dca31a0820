//! Invariant: the guard never panics, whatever request is accepted; what it leaves is a request again, in which a second
//! look finds nothing; what it removes stood under `user`, and everything else is there as it was written.
#![cfg_attr(not(test), no_main)]

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use uid2_gateway::openrtb::guard::{Found, Watch, inspect};
use uid2_gateway::openrtb::{BidRequest, Limits};

/// SHA-256 of `test@example.com`.
const OWN: [u8; 32] = [
    0x97, 0x3d, 0xfe, 0x46, 0x3e, 0xc8, 0x57, 0x85, 0xf5, 0xf9, 0x5a, 0xf5, 0xba, 0x39, 0x06, 0xee, 0xdb,
    0x2d, 0x93, 0x1c, 0x24, 0xe6, 0x98, 0x24, 0xa8, 0x9e, 0xa6, 0x5d, 0xba, 0x4e, 0x81, 0x3b,
];

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    let Ok(request) = BidRequest::parse(Bytes::copy_from_slice(data), &Limits::default()) else { return };
    for dii in [true, false] {
        for own in [&[OWN][..], &[]] {
            let watch = Watch { dii, own, tokens_of: &["uidapi.com", "euid.eu"] };
            if let Some(found) = inspect(&request, &watch) {
                holds(&request, &found, &watch);
            }
        }
    }
}

fn holds(request: &BidRequest, found: &Found, watch: &Watch<'_>) {
    let cleaned = found.cleaned(request).expect("what is left is a request");
    assert!(inspect(&cleaned, watch).is_none(), "a second look finds something");
    assert!(cleaned.body().len() < request.body().len(), "found, but not removed");
    assert_eq!(request.wrong_type().is_some(), cleaned.wrong_type().is_some());
    let (before, after) = (Members::of(request.body()), Members::of(cleaned.body()));
    assert_eq!(before.others(), after.others(), "something else changed");
    let user = before.user().expect("only there is anything found").as_bytes().as_ptr_range();
    for hit in found.hits() {
        assert!(user.contains(&request.body()[hit.offset..].as_ptr()), "a hit outside of user");
        assert!(watch.dii || hit.raw);
    }
    let mut rest = before.user().unwrap_or_default().bytes();
    let user = after.user().unwrap_or_default();
    assert!(user.bytes().all(|byte| rest.any(|there| there == byte)), "something was added to user");
}

/// The members of a request, as they are written.
struct Members<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Members<'a> {
    fn of(body: &'a [u8]) -> Self {
        serde_json::from_slice(body).expect("a JSON object")
    }

    fn is_user(name: &str) -> bool {
        serde_json::from_str::<String>(name).is_ok_and(|name| name == "user")
    }

    fn user(&self) -> Option<&'a str> {
        self.0.iter().find(|(name, _)| Self::is_user(name)).map(|(_, value)| *value)
    }

    fn others(&self) -> Vec<(&'a str, &'a str)> {
        self.0.iter().copied().filter(|(name, _)| !Self::is_user(name)).collect()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    members.push((name.get(), value.get()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

//! Some members of one JSON object, each as the bytes it stands in: an endpoint must not fall over a member that it
//! has no interest in.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of the object `json` called `names`; `null` counts as absent, and of duplicates the last one stands.
///
/// An error means that `json` is no JSON object.
pub(super) fn members<'a, const N: usize>(
    json: &'a [u8],
    names: [&'static str; N],
) -> Result<[Option<&'a RawValue>; N], serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let found = reader.deserialize_map(Members { names, found: [None; N] })?;
    reader.end()?;
    Ok(found)
}

struct Members<'a, const N: usize> {
    names: [&'static str; N],
    found: [Option<&'a RawValue>; N],
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a, const N: usize> Visitor<'a> for Members<'a, N> {
    type Value = [Option<&'a RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut object: A) -> Result<Self::Value, A::Error> {
        while let Some(Name(name)) = object.next_key()? {
            let value: &'a RawValue = object.next_value()?;
            for (wanted, place) in self.names.iter().zip(&mut self.found) {
                if *wanted == name {
                    *place = (value.get() != "null").then_some(value);
                }
            }
        }
        Ok(self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<[Option<&str>; 2]> {
        let found = members(json.as_bytes(), ["id", "imp"]).ok()?;
        Some(found.map(|member| member.map(RawValue::get)))
    }

    #[test]
    fn members_come_as_they_stand() {
        let json = r#"{"x":{"id":1},"i\u0064": "a\ud800" ,"imp":[1.10, 1e999]}"#;
        assert_eq!(read(json), Some([Some(r#""a\ud800""#), Some("[1.10, 1e999]")]));
    }

    #[test]
    fn null_is_absent_and_the_last_duplicate_stands() {
        assert_eq!(read(r#"{"id":null,"imp":1,"imp":2}"#), Some([None, Some("2")]));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for json in ["", "[]", "1", "null", r#"{"id":}"#, r#"{"id":1} x"#, r#"{"id":"#, r#"{"id":1,}"#] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}

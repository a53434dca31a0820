//! The other side: readers and trees that a gateway could be made of.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::TOKEN;

/// The members we read, borrowed; the rest is checked and passed over.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only the reading is measured")]
pub(super) struct Request<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    imp: Vec<Imp<'a>>,
    #[serde(borrow)]
    user: Option<User<'a>>,
    #[serde(borrow)]
    device: Option<&'a RawValue>,
    #[serde(borrow)]
    site: Option<&'a RawValue>,
    #[serde(borrow)]
    app: Option<&'a RawValue>,
    #[serde(borrow)]
    dooh: Option<&'a RawValue>,
    #[serde(borrow)]
    regs: Option<&'a RawValue>,
    #[serde(borrow)]
    cur: Option<Vec<Cow<'a, str>>>,
    tmax: Option<u64>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only the reading is measured")]
struct Imp<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only the reading is measured")]
struct User<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    eids: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    ext: Option<&'a RawValue>,
}

pub(super) fn borrowed(body: &[u8]) -> Option<Request<'_>> {
    serde_json::from_slice(body).ok()
}

pub(super) fn serde_json(body: &[u8]) -> Option<Vec<u8>> {
    use serde_json::{Value, json};
    let mut tree: Value = serde_json::from_slice(body).ok()?;
    tree["user"]["eids"] = json!([{"source": "uidapi.com", "uids": [{"id": TOKEN, "atype": 3}]}]);
    tree["tmax"] = json!(123);
    serde_json::to_vec(&tree).ok()
}

pub(super) fn sonic(body: &[u8]) -> Option<Vec<u8>> {
    use sonic_rs::{JsonValueMutTrait, Value, json};
    let mut tree: Value = sonic_rs::from_slice(body).ok()?;
    let eids = json!([{"source": "uidapi.com", "uids": [{"id": TOKEN, "atype": 3}]}]);
    let root = tree.as_object_mut()?;
    root.insert("tmax", 123_u64);
    match root.get_mut(&"user").and_then(|user| user.as_object_mut()) {
        Some(user) => drop(user.insert("eids", eids)),
        None => drop(root.insert("user", json!({"eids": eids}))),
    }
    sonic_rs::to_vec(&tree).ok()
}

/// It reads in place: the copy that this takes of a shared body is part of the price.
pub(super) fn simd(body: &[u8]) -> Option<Vec<u8>> {
    use simd_json::json;
    use simd_json::prelude::*;
    let mut text = body.to_vec();
    let mut tree = simd_json::to_owned_value(&mut text).ok()?;
    let eids = json!([{"source": "uidapi.com", "uids": [{"id": TOKEN, "atype": 3}]}]);
    tree.insert("tmax", 123_u64).ok()?;
    match tree.get_mut("user").filter(|user| user.is_object()) {
        Some(user) => drop(user.insert("eids", eids).ok()?),
        None => drop(tree.insert("user", json!({"eids": eids})).ok()?),
    }
    Some(tree.encode().into_bytes())
}

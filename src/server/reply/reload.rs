//! What `POST /reload` came to.

use ::http::StatusCode;
use serde_json::{Map, json};

use super::{Reply, json_reply, problem};
use crate::server::ReloadFault;

/// 200 with the keys that changed, or why everything stays as it is.
pub(in crate::server) fn reloaded(result: &Result<Vec<String>, ReloadFault>) -> Reply {
    let fault = match result {
        Ok(changed) => return json_reply(&json!({ "status": "success", "changed": changed })),
        Err(fault) => fault,
    };
    let mut more = Map::new();
    let status = match fault {
        ReloadFault::NoFile => StatusCode::CONFLICT,
        ReloadFault::Restart(keys) => {
            more.insert("keys".into(), json!(keys));
            StatusCode::CONFLICT
        }
        ReloadFault::Faulty(faults) => {
            more.insert("faults".into(), json!(faults));
            StatusCode::UNPROCESSABLE_ENTITY
        }
        ReloadFault::Unusable(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    problem(status, &fault.to_string(), more)
}

//! `[debug]`.

use std::collections::HashSet;
use std::time::Duration;

use super::reader::Section;
use super::resolved::Value;
use crate::gateway::DebugAllow;
use crate::server::CaptureSettings;

const SHAPE: &str = "must be true, false or a list of publisher ids";

/// `capture_seconds`, `capture_requests`, `capture_bytes`: how much one capture may record.
pub(super) fn capture(section: &Section<'_>) -> CaptureSettings {
    CaptureSettings {
        max_time: Duration::from_secs(section.integer("capture_seconds", 1..=86_400, 600)),
        max_requests: section.integer("capture_requests", 1..=10_000_000, 100_000),
        max_bytes: section.integer("capture_bytes", 1024..=1 << 40, 1 << 28),
    }
}

/// `allow`: nobody (default), everybody, or these publishers. `publishers` are the ids in the files, also of those that
/// have faults: these are told where they are.
pub(super) fn allow(section: &Section<'_>, publishers: &HashSet<&str>) -> DebugAllow {
    let (word, at) = match (section.overriding("allow"), section.raw("allow")) {
        (Some((text, at)), _) => (text.parse().ok(), at),
        (None, Some(value)) if value.get_ref().is_array() => {
            let listed = section.list("allow").into_iter().filter_map(|(id, at)| {
                if !publishers.contains(id.as_str()) {
                    section.wrong(&at, "allow", format!("\"{id}\" is no [[publisher]]"));
                    return None;
                }
                Some(id)
            });
            return DebugAllow::Publishers(listed.collect());
        }
        (None, Some(value)) => (value.get_ref().as_bool(), section.at(value)),
        (None, None) => return DebugAllow::Nobody,
    };
    if let Some(word) = word {
        section.note("allow", Value::Flag(word));
    }
    match word {
        Some(true) => DebugAllow::Everybody,
        Some(false) => DebugAllow::Nobody,
        None => {
            section.wrong(&at, "allow", SHAPE);
            DebugAllow::Nobody
        }
    }
}

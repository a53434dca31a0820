//! `[debug]`.

use super::reader::Section;
use crate::gateway::{DebugAllow, PublisherSettings};

const SHAPE: &str = "must be true, false or a list of publisher ids";

/// `allow`: nobody (default), everybody, or these publishers, which have to be configured.
pub(super) fn allow(section: &Section<'_>, publishers: &[PublisherSettings]) -> DebugAllow {
    let (word, at) = match (section.overriding("allow"), section.raw("allow")) {
        (Some((text, at)), _) => (text.parse().ok(), at),
        (None, Some(value)) if value.get_ref().is_array() => {
            let known = |id: &str| publishers.iter().any(|publisher| publisher.id == id);
            let listed = section.list("allow").into_iter().filter_map(|(id, at)| {
                if !known(&id) {
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
    match word {
        Some(true) => DebugAllow::Everybody,
        Some(false) => DebugAllow::Nobody,
        None => {
            section.wrong(&at, "allow", SHAPE);
            DebugAllow::Nobody
        }
    }
}

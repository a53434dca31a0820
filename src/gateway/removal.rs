//! Which EIDs go: what a verdict or a marker says, as sources, and two of them together.

use crate::openrtb::Strip;
use crate::privacy::StripWhat;

/// The sources of ours; removed for a user who opted out or logged out, whoever wrote them.
pub(super) const OURS: &[&str] = &["uidapi.com", "euid.eu"];
pub(super) const FAMILY: &[&str] = &["uidapi.com", "euid.eu", "adserver.org"];
pub(super) const UID2: &[&str] = &["uidapi.com"];
pub(super) const EUID: &[&str] = &["euid.eu"];

/// Everything that either removes.
pub(super) fn both(a: Strip<'static>, b: Strip<'static>) -> Strip<'static> {
    match (a, b) {
        (Strip::Nothing, only) | (only, Strip::Nothing) => only,
        (Strip::All, _) | (_, Strip::All) => Strip::All,
        (Strip::Sources(a), Strip::Sources(b)) => {
            let widest = if a.len() >= b.len() { a } else { b };
            Strip::Sources(if a.len() == 1 && b.len() == 1 && a != b { OURS } else { widest })
        }
    }
}

pub(super) fn strip_of(what: StripWhat) -> Strip<'static> {
    match what {
        StripWhat::All => Strip::All,
        StripWhat::UidFamily => Strip::Sources(FAMILY),
        StripWhat::Uid2Only => Strip::Sources(UID2),
        StripWhat::EuidOnly => Strip::Sources(EUID),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_removals_together_remove_what_either_does() {
        let all = [
            Strip::Nothing,
            Strip::Sources(UID2),
            Strip::Sources(EUID),
            Strip::Sources(OURS),
            Strip::Sources(FAMILY),
        ];
        let sources = |strip: Strip<'static>| match strip {
            Strip::Sources(sources) => sources.to_vec(),
            Strip::Nothing | Strip::All => Vec::new(),
        };
        for a in all {
            for b in all {
                let union = sources(both(a, b));
                let mut expected = [sources(a), sources(b)].concat();
                expected.sort_unstable();
                expected.dedup();
                assert!(
                    expected.iter().all(|s| union.contains(s)) && union.len() == expected.len(),
                    "{a:?} {b:?}"
                );
            }
            assert_eq!(both(a, Strip::All), Strip::All);
        }
    }
}

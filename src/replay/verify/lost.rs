//! Which requests arrived where: those that arrived twice, and those that were answered and arrived nowhere.

use super::super::numbers::{Answered, Numbers};
use super::Origin;
use super::content::{Content, EXAMPLES, Example, Finding};

/// What was seen of a load.
pub(super) struct Arrivals {
    /// At each SSP.
    seen: Vec<Numbers>,
}

impl Arrivals {
    pub(super) fn at(ssps: usize) -> Self {
        Self { seen: vec![Numbers::default(); ssps] }
    }

    /// A request arrived at an SSP; whether for the first time.
    pub(super) fn came(&mut self, ssp: usize, number: u64) -> bool {
        self.seen.get_mut(ssp).is_none_or(|seen| seen.insert(number))
    }

    /// Adds what did not arrive. A bid comes from an SSP, so that a request answered with one was received by one; a
    /// gateway may answer without a bid when it has asked nobody, for want of time.
    pub(super) fn conclude(&self, content: &mut Content, origin: &dyn Origin, answered: &Answered) {
        let (bid, other) = answered.numbers();
        let (with_bid, without) =
            (self.missing(&bid, content, origin), self.missing(&other, content, origin));
        content.unasked = u64::try_from(without.len()).unwrap_or(u64::MAX);
        // What was not looked at may have been among what is missing.
        if !content.is_whole() {
            return;
        }
        for number in with_bid.iter().take(EXAMPLES) {
            let entry = origin.sent(*number).entry;
            content.note(Finding::Lost, Example { entry, member: String::new(), ssp: "no SSP".to_owned() });
        }
        let more = u64::try_from(with_bid.len().saturating_sub(EXAMPLES)).unwrap_or(u64::MAX);
        if let Some(found) = content.findings.get_mut(&Finding::Lost) {
            found.count += more;
        }
    }

    /// Of these, the ones that should have been seen and were not; counts those that could not be.
    fn missing(&self, numbers: &Numbers, content: &mut Content, origin: &dyn Origin) -> Vec<u64> {
        let mut missing = Vec::new();
        for number in numbers.iter() {
            let Some(id) = origin.trace_id(number) else {
                content.own_trace += 1;
                continue;
            };
            if !is_chosen(&id, content.one_in) {
                continue;
            }
            content.checkable += 1;
            if !self.seen.iter().any(|seen| seen.contains(number)) {
                missing.push(number);
            }
        }
        missing
    }
}

/// Whether SSPs show the request with this trace id when they are asked for one in so many.
fn is_chosen(id: &str, one_in: u64) -> bool {
    one_in < 2 || u64::from(crc32fast::hash(id.as_bytes())) % one_in == 0
}

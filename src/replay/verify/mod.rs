//! Content checks: whether what the SSPs received is what they should have received.

use std::collections::BTreeMap;

/// What the content checks of a load came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Content {
    /// Requests whose bodies were compared.
    pub checked: u64,
    /// How often each thing was wrong, by its name.
    pub faults: BTreeMap<String, u64>,
    /// A few of them, for people; never with a token or an identifier in it.
    pub examples: Vec<String>,
}

impl Content {
    /// Nothing was wrong.
    pub fn passed(&self) -> bool {
        self.faults.values().all(|number| *number == 0)
    }
}

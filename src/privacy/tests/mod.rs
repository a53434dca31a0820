//! The policy as a whole: every row for both identities, and hostile input.

mod hostile;
mod legs;
mod places;
mod rows;
mod said;
mod tcf;

use std::sync::LazyLock;

use super::{Gvl, Policy, Rules};

/// The default policy and the vendors built in.
fn rules() -> Rules<'static> {
    static POLICY: LazyLock<Policy> = LazyLock::new(Policy::default);
    static GVL: LazyLock<Gvl> = LazyLock::new(Gvl::default);
    Rules { policy: &POLICY, gvl: &GVL }
}

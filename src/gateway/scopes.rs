//! UID2 and EUID side by side: which of them a request is about, for a publisher with credentials of both.
//!
//! A publisher with one of them has that one, whatever a request says, at no cost. Never both: one request is about one
//! scope, and an entry of the other scope stands under the other's table.

use crate::identity;
use crate::privacy::{Regime, Signals, regime_for};
use crate::uid2::Scope;

use super::directory::PublisherSettings;

impl PublisherSettings {
    /// The scope that these signals ask for: EUID where GDPR applies, if there is one, else the publisher's own.
    pub fn scope_for<'a>(&self, signals: impl FnOnce() -> Signals<'a>) -> Scope {
        let both = self.euid.is_some();
        if both && regime_for(&signals()) == Regime::Euid { Scope::Euid } else { self.identity.scope() }
    }

    /// The tenant of a scope; of a scope it has no credentials of, its own.
    pub fn tenant(&self, scope: Scope) -> &identity::Publisher {
        self.euid.as_ref().filter(|euid| euid.scope() == scope).unwrap_or(&self.identity)
    }

    /// Every tenant it is: its own first.
    pub fn tenants(&self) -> impl Iterator<Item = &identity::Publisher> {
        std::iter::once(&self.identity).chain(&self.euid)
    }

    /// The tenants of other scopes than this.
    pub fn others(&self, scope: Scope) -> impl Iterator<Item = &identity::Publisher> {
        self.tenants().filter(move |tenant| tenant.scope() != scope)
    }
}

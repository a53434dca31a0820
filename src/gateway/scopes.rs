//! UID2 and EUID side by side: which of them a request is about, for a publisher with credentials of both.
//!
//! A publisher with one of them has that one, whatever a request says, at no cost. Never both: one request is about one
//! scope, and an entry of the other scope stands under the other's table.

use std::sync::Arc;

use crate::identity;
use crate::privacy::{Policy, Regime, Signals, regime_for};
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

    /// Puts another privacy policy in force.
    pub fn set_policy(&mut self, policy: &Policy) {
        let rules = Arc::new(policy.clone());
        let under = |tenant: identity::Publisher| {
            let notice = tenant.notice();
            tenant.under(Arc::clone(&rules), notice)
        };
        self.policy = policy.clone();
        self.identity = under(self.identity.clone());
        self.euid = self.euid.take().map(under);
    }

    /// The tenants of other scopes than this.
    pub fn others(&self, scope: Scope) -> impl Iterator<Item = &identity::Publisher> {
        self.tenants().filter(move |tenant| tenant.scope() != scope)
    }
}

//! What one SSP may know of the user: the decision of the request, narrowed by what is configured for this SSP and by
//! the EID permissions that the request itself states.

use smallvec::SmallVec;

use super::admit::Admitted;
use super::decision::Decision;
use super::reason::{Reason, ResultLabel};
use super::removal::{both, strip_of};
use crate::openrtb::{EidPermissions, Forbidden, SourceName, Strip};
use crate::ssp::{EnvironmentRule, PermissionMode, Settings};
use crate::uid2::{Environment, Scope};

/// What one SSP may know.
#[derive(Debug)]
pub(super) struct Knows<'a> {
    /// It gets the token of the decision.
    pub token: bool,
    /// What is removed for it.
    pub strip: Removal<'a>,
    /// What it gets to know, in one word.
    pub result: ResultLabel,
    /// Why that is less than the decision, when it is.
    pub refused: Option<Reason>,
    /// Why more is removed than for the request as a whole.
    pub narrowed: Narrowed,
}

/// What narrowed what an SSP may know. Counted when there was something to remove or to hold back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Narrowed {
    /// `ssp.scopes`.
    pub scope: bool,
    /// `ext.prebid.data.eidpermissions`.
    pub permission: bool,
}

/// The one place that decides it.
pub(super) fn knows<'a>(
    admitted: &Admitted,
    decision: &Decision,
    (ssp, settings): (usize, &Settings),
    permissions: Option<&'a EidPermissions<'a>>,
) -> Knows<'a> {
    let mut narrowed = Narrowed::default();
    let unconsented = admitted.leg_strip(ssp);
    let mut strip = Removal::of(both(decision.strip, unconsented.map_or(Strip::Nothing, strip_of)));
    for scope in [Scope::Uid2, Scope::Euid] {
        if !settings.scopes.contains(scope) && strip.add(scope.source()) {
            narrowed.scope |= concerns(admitted, decision, scope.source());
        }
    }
    if let Some(permissions) = permissions.filter(|_| settings.eid_permissions == PermissionMode::Apply) {
        match permissions.forbidden(&settings.id) {
            Forbidden::All => {
                narrowed.permission =
                    !strip.all && (decision.token.is_some() || admitted.request.eids().any());
                strip.all = true;
            }
            Forbidden::Sources(sources) => {
                narrowed.permission = strip.add_all(&sources);
            }
        }
    }
    let (result, refused) = if decision.result.sends() && unconsented.is_some() {
        (ResultLabel::Denied, Some(Reason::TcfPurpose))
    } else {
        outcome(admitted, decision, settings, &strip)
    };
    let token = decision.token.is_some() && matches!(result, ResultLabel::Injected | ResultLabel::Replaced);
    Knows { token, strip, result, refused, narrowed }
}

/// Whether removing this source changes anything.
fn concerns(admitted: &Admitted, decision: &Decision, source: &str) -> bool {
    let ours = decision.token.is_some() && admitted.scope().source() == source;
    ours || admitted.request.eids().may_have_source(source)
}

/// What is left of the decision for this SSP, and why it is less.
fn outcome(
    admitted: &Admitted,
    decision: &Decision,
    settings: &Settings,
    strip: &Removal<'_>,
) -> (ResultLabel, Option<Reason>) {
    let result = decision.result;
    let hidden = |scope: Scope| strip.removes(scope.source());
    match result {
        ResultLabel::Injected | ResultLabel::Replaced if hidden(admitted.scope()) => {
            (ResultLabel::Absent, Some(Reason::Disabled))
        }
        // A token made outside production stays away from an SSP that takes production only.
        ResultLabel::Injected if !takes_environment(settings, admitted) => {
            (ResultLabel::Absent, Some(Reason::Environment))
        }
        ResultLabel::Replaced if !takes_environment(settings, admitted) => {
            (ResultLabel::Kept, Some(Reason::Theirs))
        }
        ResultLabel::Kept => {
            let stays = |scope: Scope| !hidden(scope) && admitted.request.eids().has_source(scope.source());
            let any = stays(Scope::Uid2) || stays(Scope::Euid);
            if any { (result, None) } else { (ResultLabel::Absent, Some(Reason::Disabled)) }
        }
        _ => (result, None),
    }
}

fn takes_environment(settings: &Settings, admitted: &Admitted) -> bool {
    match settings.environment {
        EnvironmentRule::Any => true,
        EnvironmentRule::Prod => admitted.tenant().environment() == Environment::Production,
    }
}

/// EIDs that are removed: all, or those of these sources.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Removal<'a> {
    all: bool,
    sources: SmallVec<[&'a str; 4]>,
}

impl<'a> Removal<'a> {
    fn of(strip: Strip<'static>) -> Self {
        match strip {
            Strip::Nothing => Self { all: false, sources: SmallVec::new() },
            Strip::Sources(sources) => Self { all: false, sources: SmallVec::from_slice(sources) },
            Strip::All => Self { all: true, sources: SmallVec::new() },
        }
    }

    /// Removes EIDs of this source too; whether that is more than before.
    pub(super) fn add(&mut self, source: &'a str) -> bool {
        let more = !self.removes(source);
        if more {
            self.sources.push(source);
        }
        more
    }

    /// As [`Self::add`], of many that differ: they are not compared with each other.
    fn add_all(&mut self, sources: &[&'a str]) -> bool {
        if self.all {
            return false;
        }
        let before = self.sources.clone();
        let known =
            |source: &str| before.iter().any(|known| SourceName::new(known) == SourceName::new(source));
        self.sources.extend(sources.iter().copied().filter(|source| !known(source)));
        self.sources.len() > before.len()
    }

    pub(super) fn removes(&self, source: &str) -> bool {
        let source = SourceName::new(source);
        self.all || self.sources.iter().any(|known| SourceName::new(known) == source)
    }

    pub(super) fn strip(&self) -> Strip<'_> {
        match (self.all, self.sources.as_slice()) {
            (true, _) => Strip::All,
            (false, []) => Strip::Nothing,
            (false, sources) => Strip::Sources(sources),
        }
    }
}

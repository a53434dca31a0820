//! Renewing what browsers keep: each refresh token of a cookie is asked with once, and what came of it is remembered for
//! the requests that still bring the old one.
//!
//! ```text
//! cookie ── key of its refresh token ─► renewed: identity ── key of that one's ─► renewed … or nothing yet ─► flight
//! ```
//!
//! Anybody can bring any cookie, so nothing of this goes into the store but that an operator said opt-out; what is remembered
//! is bounded, and so is what is asked at once, apart from what users of the publisher's own need. A cookie that a login of
//! ours made is a copy of a record, and is renewed through that.

use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use smallvec::SmallVec;

use super::browser::{OwnCookie, token_in};
use super::flight::{Boarding, Flights, Pilot};
use super::refresher::DAY_MS;
use super::resolver::jittered;
use super::{Absence, Denial, How, Identities, Injectable, Inner, Publisher, Resolution, Settings};
use crate::operator::Minted;
use crate::privacy::Consent;
use crate::store::{RecordKey, State};
use crate::time::UnixMillis;
use crate::uid2::cookie::Held;
use crate::uid2::{AdvertisingToken, Identity, Phase};

/// A refresh that failed is not tried again for so long, milliseconds, before jitter; so many times longer after each further
/// failure, up to the second.
const FIRST_PAUSE_MS: i64 = 2_000;
const LONGEST_PAUSE_MS: i64 = 120_000;

/// Longest way from an old cookie to what is newest.
const MAX_STEPS: usize = 16;

/// What is remembered of refresh tokens.
pub(super) struct Renewals {
    results: Cache<RecordKey, Arc<Standing>>,
    flights: Flights,
}

/// What is remembered of one refresh token.
struct Standing {
    /// Keys of the tokens that it came of: with its user, theirs opted out.
    trail: Trail,
    what: What,
}

type Trail = SmallVec<[RecordKey; 4]>;

enum What {
    /// A refresh gave it, and nobody asked with it yet.
    New,
    /// This came of it.
    Renewed(Arc<Identity>),
    /// Nothing came of it so far; not before then.
    Later { at: UnixMillis, failures: u32 },
    /// Nothing will ever come of it.
    Spent,
}

/// What may be sent now, and what is to be done.
pub(super) struct Present {
    pub(super) resolution: Resolution,
    pub(super) job: Option<Job>,
}

/// An identity is to be renewed.
pub(super) struct Job {
    /// Stands for its refresh token.
    key: RecordKey,
    identity: Identity,
    /// What goes with its user: this key, and those of the tokens that it came of.
    trail: Trail,
    failures: u32,
}

impl Renewals {
    pub(super) fn new(settings: &Settings) -> Self {
        let results = Cache::builder()
            .max_capacity(settings.cookie_entries)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { results, flights: Flights::new(settings.cookie_refreshes) }
    }

    fn set(&self, key: RecordKey, trail: Trail, what: What) {
        self.results.insert(key, Arc::new(Standing { trail, what }));
    }

    /// What a restart does.
    #[cfg(test)]
    pub(super) fn forget_all(&self) {
        self.results.invalidate_all();
    }

    /// Refresh tokens of which something is remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> u64 {
        self.results.run_pending_tasks();
        self.results.entry_count()
    }
}

impl Inner {
    /// The newest that is known to have come of a cookie, and the refresh that it asks for.
    pub(super) fn renewed_so_far(&self, publisher: &Publisher, held: &Held, own: &OwnCookie) -> Present {
        let (mut key, mut newest) = (own.refresh, None);
        let mut standing = self.renewals.results.get(&key);
        for _ in 0..MAX_STEPS {
            let Some(What::Renewed(identity)) = standing.as_deref().map(|standing| &standing.what) else {
                break;
            };
            let identity = Arc::clone(identity);
            key = self.cookie_key(publisher, identity.refresh_token.expose());
            if self.store.opted_out(&key, self.clock.now()) {
                // Told to whoever asked with the newer token, which was another gateway or long ago.
                return Present { resolution: Resolution::Denied(Denial::OptedOut), job: None };
            }
            standing = self.renewals.results.get(&key);
            newest = Some(identity);
        }
        let resolution = match &newest {
            Some(identity) => self.token_of_renewed(identity, None),
            None => Resolution::Absent(Absence::Lapsed),
        };
        // A new token that is dead on arrival leaves the old one, while that lives.
        let resolution = match resolution {
            Resolution::Absent(_) => token_in(&held.advertising_token, self.phase(&held.times)),
            resolution => resolution,
        };
        let identity = newest.map_or_else(|| held.identity(), |identity| Some(Identity::clone(&identity)));
        let fresh = matches!(&resolution, Resolution::Token(token) if token.how == How::Fresh);
        let Some(identity) = identity.filter(|_| !fresh) else { return Present { resolution, job: None } };
        self.to_renew(resolution, (key, identity, own), standing.as_deref())
    }

    /// Whether a refresh token is to be asked with, and what its lapsed token comes to if not.
    fn to_renew(
        &self,
        resolution: Resolution,
        (key, identity, own): (RecordKey, Identity, &OwnCookie),
        standing: Option<&Standing>,
    ) -> Present {
        let lapsed = matches!(resolution, Resolution::Absent(Absence::Lapsed));
        let instead = |absence| if lapsed { Resolution::Absent(absence) } else { resolution.clone() };
        let failures = match standing.map(|standing| &standing.what) {
            Some(What::Spent) => return Present { resolution: instead(Absence::Dead), job: None },
            Some(What::Later { at, .. }) if self.clock.now() < *at => {
                return Present { resolution: instead(Absence::Operator), job: None };
            }
            Some(What::Later { failures, .. }) => *failures,
            Some(What::New | What::Renewed(_)) | None => 0,
        };
        if self.phase(&identity.times) == Phase::Dead {
            return Present { resolution: instead(Absence::Dead), job: None };
        }
        let mut trail: Trail = standing.map(|standing| standing.trail.clone()).unwrap_or_default();
        for key in [own.refresh, own.token, key] {
            if !trail.contains(&key) {
                trail.push(key);
            }
        }
        Present { resolution, job: Some(Job { key, identity, trail, failures }) }
    }

    /// Starts a refresh that nobody waits for. When there is no room the next request tries again.
    pub(super) fn renew_beside(self: &Arc<Self>, publisher: &Publisher, job: Job, consent: Consent) {
        if let Boarding::First(pilot, _) = self.renewals.flights.board(job.key) {
            self.fly_renewal((pilot, publisher.clone()), job, consent);
        }
    }

    /// Refreshes, or joins whoever does, and waits for it so long.
    pub(super) async fn renew_in_time(
        self: &Arc<Self>,
        publisher: &Publisher,
        job: Job,
        consent: Consent,
        patience: Duration,
    ) -> Resolution {
        let key = job.key;
        let answer = match self.renewals.flights.board(key) {
            Boarding::First(pilot, answer) => {
                self.fly_renewal((pilot, publisher.clone()), job, consent);
                answer
            }
            Boarding::Joined(answer) => answer,
            Boarding::Full => return Resolution::Absent(Absence::Busy),
        };
        self.wait_for(key, answer, patience).await
    }

    fn fly_renewal(self: &Arc<Self>, (pilot, publisher): (Pilot, Publisher), job: Job, consent: Consent) {
        let inner = Arc::clone(self);
        self.control.spawn(async move {
            // Who boards just after a landing finds here what has come of it.
            let resolution =
                match inner.renewals.results.get(&job.key).as_deref().map(|standing| &standing.what) {
                    Some(What::Renewed(identity)) => inner.token_of_renewed(identity, None),
                    _ => inner.renew_cookie(&publisher, job, consent).await,
                };
            pilot.land(&resolution);
        });
    }

    /// One call to the operator, and what it means for whoever still brings the old token.
    async fn renew_cookie(&self, publisher: &Publisher, job: Job, _consent: Consent) -> Resolution {
        let operator = self.operators.of(&publisher.credentials);
        let Job { key, identity, trail, failures } = job;
        match operator.refresh(&publisher.credentials, &identity).await {
            Ok(Minted::Identity(renewed)) => self.renewed_cookie(publisher, (key, trail), renewed),
            Ok(Minted::OptedOut) => {
                let now = self.clock.now();
                let until = now.plus(i64::from(self.settings.optout_days) * DAY_MS);
                let token = self.cookie_key(publisher, identity.advertising_token.as_str());
                self.renewals.set(key, Trail::new(), What::Spent);
                // In force here whatever the store says, and written until it is durable.
                drop(self.remember_opt_out(trail.into_iter().chain([token]).collect(), now, until).await);
                Resolution::Denied(Denial::OptedOut)
            }
            Ok(Minted::InsufficientConsent) => self.spent_cookie(key, trail),
            Err(error) if error.fault.is_final() => self.spent_cookie(key, trail),
            Err(error) => {
                tracing::debug!(fault = error.fault.as_str(), "refresh of a cookie failed");
                let pause = FIRST_PAUSE_MS.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE_MS);
                let at = self.clock.now().plus(jittered(pause));
                self.renewals.set(key, trail, What::Later { at, failures: failures.saturating_add(1) });
                Resolution::Absent(Absence::Operator)
            }
        }
    }

    fn renewed_cookie(
        &self,
        publisher: &Publisher,
        (key, trail): (RecordKey, Trail),
        renewed: Identity,
    ) -> Resolution {
        let renewed = Arc::new(renewed);
        let resolution = self.token_of_renewed(&renewed, Some(How::Refreshed));
        let next = self.cookie_key(publisher, renewed.refresh_token.expose());
        let token = self.cookie_key(publisher, renewed.advertising_token.as_str());
        let what = match &resolution {
            Resolution::Token(_) => What::New,
            // Dead on arrival: the next request need not ask for another such token.
            _ => What::Later { at: self.clock.now().plus(jittered(LONGEST_PAUSE_MS)), failures: 0 },
        };
        let mut longer: Trail = trail.iter().copied().chain([token, next]).collect();
        // The oldest of a long way have expired.
        let surplus = longer.len().saturating_sub(2 * MAX_STEPS);
        longer.drain(..surplus);
        self.renewals.set(next, longer, what);
        self.renewals.set(key, trail, What::Renewed(renewed));
        resolution
    }

    /// This refresh token is never answered again.
    fn spent_cookie(&self, key: RecordKey, trail: Trail) -> Resolution {
        self.renewals.set(key, trail, What::Spent);
        Resolution::Absent(Absence::Dead)
    }

    /// What may be sent of a renewed identity, with what a new cookie is written of.
    fn token_of_renewed(&self, identity: &Arc<Identity>, how: Option<How>) -> Resolution {
        match token_in(&identity.advertising_token, self.phase(&identity.times)) {
            Resolution::Token(token) => Resolution::Token(Injectable {
                renewed: Some(Arc::clone(identity)),
                how: how.unwrap_or(token.how),
                ..token
            }),
            resolution => resolution,
        }
    }

    /// The identity of this token as the user's record has it, for a browser whose copy under `refresh` is an old one; waits
    /// no longer than it is told to. `None`: not this time.
    pub(super) async fn copy(
        self: &Arc<Self>,
        refresh: RecordKey,
        user: RecordKey,
        (token, patience): (&AdvertisingToken, Duration),
    ) -> Option<Arc<Identity>> {
        let known = || match &self.renewals.results.get(&refresh)?.what {
            What::Renewed(identity) if identity.advertising_token == *token => Some(Arc::clone(identity)),
            _ => None,
        };
        if let Some(identity) = known() {
            return Some(identity);
        }
        let answer = match self.renewals.flights.board(refresh) {
            Boarding::First(pilot, answer) => {
                let inner = Arc::clone(self);
                self.control.spawn(async move {
                    let resolution = inner.copy_record(refresh, user).await;
                    pilot.land(&resolution);
                });
                answer
            }
            Boarding::Joined(answer) => answer,
            Boarding::Full => return None,
        };
        drop(tokio::time::timeout(self.settings.wait.min(patience), answer).await);
        known()
    }

    async fn copy_record(&self, refresh: RecordKey, user: RecordKey) -> Resolution {
        match self.store.read(user).await.map(|record| record.map(|record| record.state)) {
            Ok(Some(State::Active(identity))) => {
                self.renewals.set(refresh, Trail::new(), What::Renewed(Arc::new(identity)));
            }
            Ok(_) => {}
            Err(fault) => tracing::debug!(error = %fault, "a record could not be copied into a cookie"),
        }
        // Nobody reads it: what was found is remembered.
        Resolution::Absent(Absence::NoHint)
    }
}

impl Identities {
    /// Refresh tokens of cookies of which something is remembered.
    #[cfg(test)]
    pub(super) fn renewals(&self) -> u64 {
        self.0.renewals.len()
    }
}

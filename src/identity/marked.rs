//! Whether a user must not be represented: asked for everybody a request names, before anything is ranked.
//!
//! Memory answers nearly always. What it forgot (a restart, an eviction) is read from the store, without asking the
//! operator, so no consent is needed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::cache::{Entry, What};
use super::flight::Boarding;
use super::metrics::Found;
use super::{Absence, Denial, How, Identities, Inner, Publisher, Resolution, Subject};
use crate::privacy::Said;
use crate::store::RecordKey;
use crate::time::UnixMillis;
use crate::uid2::Phase;
use crate::uid2::cookie::Claim;

/// Whether there is a marker for anybody in a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Marked {
    /// There is none.
    Clear,
    /// This one.
    Denied(Denial),
    /// It could not be told in time.
    Unknown,
}

/// What memory holds of a subject: looked up once, for whoever asks first whether there is a marker and then what may be
/// sent, with nothing awaited in between.
pub struct Seen {
    denial: Option<Denial>,
    /// What it holds of the user.
    user: Option<Sight>,
    /// It tells of everybody else that there is no marker.
    others_clear: bool,
    at: UnixMillis,
}

impl Seen {
    /// Whether anybody in the request must not be represented, as far as memory tells.
    pub fn denial(&self) -> Option<Denial> {
        self.denial
    }

    /// Whether memory tells of everybody besides the user, and there is no marker.
    pub fn others_are_clear(&self) -> bool {
        self.denial.is_none() && self.others_clear
    }

    /// What the user said of their privacy at login, as far as memory tells; `None`: nothing that a judgement goes by.
    pub fn said(&self) -> Option<&Said> {
        match self.user.as_ref()? {
            Sight::Entry(entry) => match &entry.what {
                What::Token(token) => token.said.as_deref(),
                What::Denied { .. } | What::Nothing { .. } => None,
            },
            Sight::Stranger | Sight::OptedOut | Sight::Forgotten => None,
        }
    }

    /// The user is known, but memory tells nothing of them any more.
    pub fn forgot_user(&self) -> bool {
        matches!(self.user, Some(Sight::Forgotten))
    }

    pub(super) fn into_user(self) -> (Option<Sight>, UnixMillis) {
        (self.user, self.at)
    }
}

/// What memory holds of one key.
pub(super) enum Sight {
    /// Nobody was ever here under this key: certain.
    Stranger,
    OptedOut,
    Entry(Arc<Entry>),
    /// Known, but no longer in the cache.
    Forgotten,
}

impl Subject {
    /// Everybody.
    fn keys(&self) -> impl Iterator<Item = &RecordKey> {
        let user = self.user.as_ref().filter(|user| !self.named.contains(user));
        user.into_iter().chain(&self.named)
    }
}

impl Identities {
    /// Looks at what memory holds of everybody in the request. Never waits.
    pub fn see(&self, subject: &Subject) -> Seen {
        let mut seen = Seen { denial: None, user: None, others_clear: true, at: self.0.clock.now() };
        if subject.browser == Some(Claim::OptedOut) {
            seen.denial = Some(Denial::OptedOut);
            return seen;
        }
        if self.0.opted_out_elsewhere(subject, seen.at) {
            seen.denial = Some(Denial::OptedOut);
            return seen;
        }
        for key in subject.keys() {
            let sight = self.0.sight(key, seen.at);
            let told = self.0.told(&sight, seen.at);
            if let Some(Marked::Denied(denial)) = told {
                seen.denial = Some(denial);
                return seen;
            }
            if subject.user == Some(*key) {
                seen.user = Some(sight);
            } else {
                seen.others_clear &= told == Some(Marked::Clear);
            }
        }
        seen
    }

    /// Whether anybody in the request must not be represented; where memory does not tell, the store is read. Waits
    /// no longer than `patience` and `identity.wait_ms`; what could not be told in time is there for the next request.
    pub async fn denial(
        &self,
        publisher: &Publisher,
        subject: &Subject,
        patience: impl FnOnce() -> Duration,
    ) -> Marked {
        let inner = &self.0;
        if subject.keys().next().is_none() {
            return Marked::Clear;
        }
        let now = inner.clock.now();
        if inner.opted_out_elsewhere(subject, now) {
            return Marked::Denied(Denial::OptedOut);
        }
        let mut marked = Marked::Clear;
        let mut untold: SmallVec<[RecordKey; 4]> = SmallVec::new();
        for key in subject.keys() {
            match inner.told(&inner.sight(key, now), now) {
                Some(Marked::Denied(denial)) => return Marked::Denied(denial),
                Some(Marked::Unknown) => marked = Marked::Unknown,
                Some(Marked::Clear) => {}
                None => untold.push(*key),
            }
        }
        if untold.is_empty() {
            return marked;
        }
        let mut asked = FuturesUnordered::new();
        for key in untold {
            match inner.glance(publisher, key) {
                Some(answer) => asked.push(answer),
                None => marked = Marked::Unknown,
            }
        }
        let heard = async {
            while let Some(answer) = asked.next().await {
                match answer.map_or(Marked::Unknown, |resolution| Marked::of(&resolution)) {
                    Marked::Denied(denial) => return Marked::Denied(denial),
                    Marked::Unknown => marked = Marked::Unknown,
                    Marked::Clear => {}
                }
            }
            marked
        };
        tokio::time::timeout(inner.settings.wait.min(patience()), heard).await.unwrap_or(Marked::Unknown)
    }
}

impl Marked {
    /// What the answer of a look-up says of markers.
    fn of(resolution: &Resolution) -> Self {
        match resolution {
            Resolution::Denied(denial) => Self::Denied(*denial),
            Resolution::Absent(Absence::Store | Absence::Busy) => Self::Unknown,
            Resolution::Token(_) | Resolution::Absent(_) => Self::Clear,
        }
    }
}

impl Inner {
    /// Whoever opted out of one scope is represented in neither.
    fn opted_out_elsewhere(&self, subject: &Subject, now: UnixMillis) -> bool {
        subject.elsewhere.iter().any(|key| self.store.opted_out(key, now))
    }

    /// The marker of a key, as far as memory tells.
    pub(super) fn marker(&self, key: &RecordKey, now: UnixMillis) -> Option<Denial> {
        match self.told(&self.sight(key, now), now) {
            Some(Marked::Denied(denial)) => Some(denial),
            _ => None,
        }
    }

    /// Looks for a key where memory could have it.
    pub(super) fn sight(&self, key: &RecordKey, now: UnixMillis) -> Sight {
        if !self.known.contains(key) {
            return Sight::Stranger;
        }
        if self.store.opted_out(key, now) {
            return Sight::OptedOut;
        }
        self.cache.find(key).map_or(Sight::Forgotten, Sight::Entry)
    }

    /// What memory tells of markers; `None`: nothing.
    pub(super) fn told(&self, sight: &Sight, now: UnixMillis) -> Option<Marked> {
        let entry = match sight {
            Sight::Stranger => return Some(Marked::Clear),
            Sight::OptedOut => return Some(Marked::Denied(Denial::OptedOut)),
            Sight::Forgotten => return None,
            Sight::Entry(entry) => entry,
        };
        match &entry.what {
            What::Token(token) if self.dii_opted_out(token.dii.as_ref(), now) => {
                Some(Marked::Denied(Denial::OptedOut))
            }
            // Expired or not: whoever leaves is marked here, too.
            What::Token(_) => Some(Marked::Clear),
            What::Denied { why, until } if now < *until => Some(Marked::Denied(*why)),
            // What is remembered as busy was read; it was its refresh that found no room.
            What::Nothing { why: Absence::Busy, until } if now < *until => Some(Marked::Clear),
            What::Nothing { why, until } if now < *until => Some(Marked::of(&Resolution::Absent(*why))),
            What::Denied { .. } | What::Nothing { .. } => None,
        }
    }

    /// Reads a key's record on the control plane, for whoever asks meanwhile. `None`: too much is being read.
    fn glance(
        self: &Arc<Self>,
        publisher: &Publisher,
        key: RecordKey,
    ) -> Option<oneshot::Receiver<Resolution>> {
        match self.glances.board(key) {
            Boarding::First(pilot, answer) => {
                self.metrics.found(Found::Miss);
                let (inner, publisher) = (Arc::clone(self), publisher.clone());
                self.control.spawn(async move {
                    let resolution = inner.read_only(&publisher, key).await;
                    pilot.land(&resolution);
                });
                Some(answer)
            }
            Boarding::Joined(answer) => {
                self.metrics.found(Found::Coalesced);
                Some(answer)
            }
            Boarding::Full => None,
        }
    }

    /// What the record says as it stands, cached.
    async fn read_only(&self, publisher: &Publisher, key: RecordKey) -> Resolution {
        let record = match self.usable_record(publisher, key).await {
            Ok(record) => record,
            Err(resolution) => return resolution,
        };
        match self.record_phase(&record) {
            Phase::Dead => self.nothing(key, record.generation, Absence::Dead),
            Phase::Fresh | Phase::Due | Phase::Lapsed => self.keep(key, &record, How::Fresh),
        }
    }
}

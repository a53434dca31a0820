//! Users whom a request names by an e-mail address, a phone number or an ID token: found by the key of the identifier, and
//! made when nobody has them yet.
//!
//! ```text
//! ID token ─(verified, remembered)─► key of the identifier ─┬─► record of its own
//!                                    e-mail, phone ─────────┘└─► alias ─► record of the user who logged in with it
//! ```
//!
//! What memory knows is answered at once; everything else is one flight per key on the control plane, and the request waits
//! for it no longer than its budget.

mod make;
mod vouched;

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::cache::What;
use super::consent::noticed;
use super::flight::{Boarding, Pilot};
use super::marked::Sight;
use super::metrics::Found;
use super::resolver::Hot;
use super::{Absence, Denial, Identities, Inner, Origin, Publisher, Resolution};
use crate::privacy::Consent;
use crate::secret::Secret;
use crate::sso::Verified;
use crate::store::RecordKey;
use crate::time::UnixMillis;
use crate::uid2::{DiiHash, Scope};

use make::Maker;

/// How long it is remembered where an identifier, or the one in a verified ID token, leads. Short: a login elsewhere, or the
/// end of the token, must be seen soon. Milliseconds.
const POINTER_MS: i64 = 60_000;
/// Pointers kept.
const POINTERS: u64 = 200_000;

/// What a request claims of its user besides ids of the publisher's own.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    /// A valid e-mail address or phone number, as a hash, with its key.
    pub dii: Option<(RecordKey, DiiHash)>,
    /// An ID token as it came, with a key that stands for it.
    pub id_token: Option<(RecordKey, Arc<Secret<String>>)>,
    /// A hint with an e-mail address or phone number is there, and none is valid.
    pub invalid: bool,
    /// The request's TCF string: an EUID is made with it.
    pub tcf: Option<String>,
}

/// Where a key leads.
#[derive(Clone)]
pub(super) struct Pointer {
    to: RecordKey,
    until: UnixMillis,
    /// Of an ID token: the identifier that it vouches for, and its provider.
    vouched: Option<(DiiHash, Arc<str>)>,
}

/// Where keys lead, as far as is remembered, and of ID tokens also that they lead nowhere: anybody can send those, and they
/// must not take the room of users in the hot cache.
pub(super) struct Pointers {
    known: Cache<RecordKey, Pointer>,
    refused: Cache<RecordKey, (Absence, UnixMillis)>,
}

impl Pointers {
    pub(super) fn new() -> Self {
        Self { known: Cache::new(POINTERS), refused: Cache::new(POINTERS) }
    }

    fn find(&self, key: &RecordKey, now: UnixMillis) -> Option<RecordKey> {
        self.pointer(key, now).map(|pointer| pointer.to)
    }

    fn pointer(&self, key: &RecordKey, now: UnixMillis) -> Option<Pointer> {
        self.known.get(key).filter(|pointer| pointer.until > now)
    }

    fn set(&self, key: RecordKey, to: RecordKey, now: UnixMillis) {
        self.known.insert(key, Pointer { to, until: now.plus(POINTER_MS), vouched: None });
    }

    /// An ID token was verified.
    fn vouch(&self, key: RecordKey, (to, verified): (RecordKey, &Verified), now: UnixMillis) {
        let vouched = Some((verified.dii, Arc::clone(&verified.provider)));
        // Never longer than the token itself counts.
        let until = verified.until.min(now.plus(POINTER_MS));
        self.known.insert(key, Pointer { to, until, vouched });
    }

    /// An ID token is not believed, for so long.
    fn refuse(&self, key: RecordKey, why: Absence, until: UnixMillis) {
        self.refused.insert(key, (why, until));
    }

    /// Why an ID token is not believed.
    fn refusal(&self, key: &RecordKey, now: UnixMillis) -> Option<Absence> {
        self.refused.get(key).filter(|(_, until)| *until > now).map(|(why, _)| why)
    }

    pub(super) fn forget(&self, key: &RecordKey) {
        self.known.invalidate(key);
    }

    /// Any of them may lead elsewhere now. Of whom a token is refused, everybody knows.
    pub(super) fn forget_all(&self) {
        self.known.invalidate_all();
    }
}

impl Identities {
    /// The longest ID token that counts for the publisher's users, bytes.
    pub fn longest_id_token(&self, publisher: &Publisher) -> usize {
        self.0.providers.longest(&publisher.trusted)
    }

    /// The key that stands for an ID token.
    pub fn id_token_key(&self, publisher: &Publisher, token: &[u8]) -> RecordKey {
        self.0.store.keys().id_token(&publisher.tenant(), token)
    }

    /// The key of a user who is known by an identity provider's word alone.
    pub fn subject_key(&self, publisher: &Publisher, issuer: &str, subject: &str) -> RecordKey {
        self.0.store.keys().subject(&publisher.tenant(), issuer, subject)
    }

    /// Longest time an ad request may wait for its identity.
    pub fn wait(&self) -> Duration {
        self.0.settings.wait
    }

    /// What may be sent for the identifier that a request claims. Never fails and never waits longer than `patience` and
    /// `identity.wait_ms`.
    pub async fn of_dii(
        &self,
        publisher: &Publisher,
        claimed: &Claimed,
        consent: Consent,
        patience: impl FnOnce() -> Duration,
    ) -> Resolution {
        let Some((key, hash)) = claimed.dii else {
            let why = if claimed.invalid { Absence::DiiInvalid } else { Absence::NoHint };
            return Resolution::Absent(why);
        };
        if let Some(told) = self.0.remembered(publisher, key, consent) {
            return noticed(publisher, told);
        }
        let maker = Maker { key, hash, tcf: tcf(publisher, claimed), origin: Origin::Dii, provider: None };
        let (inner, tenant) = (Arc::clone(&self.0), publisher.clone());
        let work = async move { inner.made(&tenant, maker, consent).await };
        noticed(publisher, self.0.fly_for(key, patience(), work).await)
    }

    /// What may be sent for the user of an ID token that came with a request; as [`of_dii`](Self::of_dii).
    pub async fn of_id_token(
        &self,
        publisher: &Publisher,
        claimed: &Claimed,
        consent: Consent,
        patience: impl FnOnce() -> Duration,
    ) -> Resolution {
        let Some((key, token)) = &claimed.id_token else { return Resolution::Absent(Absence::NoHint) };
        let now = self.0.clock.now();
        if let Some(dii) = self.0.pointers.find(key, now)
            && let Some(told) = self.0.remembered(publisher, dii, consent)
        {
            return noticed(publisher, told);
        }
        if let Some(absence) = self.0.pointers.refusal(key, now) {
            return Resolution::Absent(absence);
        }
        let (inner, tenant) = (Arc::clone(&self.0), publisher.clone());
        let (key, token, tcf) = (*key, Arc::clone(token), tcf(publisher, claimed));
        let vouched = self.0.pointers.pointer(&key, now);
        if let Some(Pointer { to, vouched: Some((hash, provider)), .. }) = vouched {
            // Whether its user left was asked before, and for that it was verified.
            let maker = Maker { key: to, hash, tcf, origin: Origin::IdToken, provider: Some(provider) };
            let work = async move { inner.made(&tenant, maker, consent).await };
            return noticed(publisher, self.0.fly_for(to, patience(), work).await);
        }
        let work = async move { inner.of_token(&tenant, (key, &token), tcf, consent).await };
        noticed(publisher, self.0.fly_for(key, patience(), work).await)
    }
}

/// The TCF string that goes with a generate of an EUID.
fn tcf(publisher: &Publisher, claimed: &Claimed) -> Option<String> {
    claimed.tcf.clone().filter(|_| publisher.scope() == Scope::Euid)
}

impl Inner {
    /// What memory says of an identifier, through the user whom it leads to; `None`: somebody must look.
    fn remembered(
        self: &Arc<Self>,
        publisher: &Publisher,
        key: RecordKey,
        consent: Consent,
    ) -> Option<Resolution> {
        let now = self.clock.now();
        let own = self.sight(&key, now);
        if matches!(own, Sight::OptedOut) {
            return Some(Resolution::Denied(Denial::OptedOut));
        }
        let (at, sight) = match self.pointers.find(&key, now) {
            Some(to) if !matches!(&own, Sight::Entry(entry) if entry.is_denied(now)) => {
                (to, self.sight(&to, now))
            }
            _ => (key, own),
        };
        if at != key && is_of_another(&sight, key) {
            return None;
        }
        match self.hot(publisher, &sight, now) {
            Hot::Answer(Resolution::Absent(Absence::UnknownUser | Absence::Dead)) | Hot::Ask(_) => None,
            Hot::Answer(resolution) => Some(resolution),
            Hot::Due(resolution) => {
                self.start(publisher, at, consent);
                Some(resolution)
            }
        }
    }

    /// Does the work of a key on the control plane, or joins whoever does, and waits for it so long.
    async fn fly_for(
        self: &Arc<Self>,
        key: RecordKey,
        patience: Duration,
        work: impl Future<Output = Resolution> + Send + 'static,
    ) -> Resolution {
        let boarding = self.claims.board(key);
        let joined = matches!(boarding, Boarding::Joined(_));
        self.metrics.found(if joined { Found::Coalesced } else { Found::Miss });
        let answer = match boarding {
            Boarding::First(pilot, answer) => {
                self.control.spawn(land(pilot, work));
                answer
            }
            Boarding::Joined(answer) => answer,
            Boarding::Full => return Resolution::Absent(Absence::Busy),
        };
        self.wait_for(key, answer, patience).await
    }
}

/// A user's identity that is made of another identifier than this by now is not this one's.
fn is_of_another(sight: &Sight, key: RecordKey) -> bool {
    match sight {
        Sight::Entry(entry) => matches!(&entry.what, What::Token(token) if token.dii != Some(key)),
        Sight::Stranger | Sight::OptedOut | Sight::Forgotten => false,
    }
}

async fn land(pilot: Pilot, work: impl Future<Output = Resolution>) {
    let resolution = work.await;
    pilot.land(&resolution);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever its pointer could live, a token vouches for nobody once it has expired.
    #[test]
    fn a_token_vouches_no_longer_than_it_counts() {
        let pointers = Pointers::new();
        let (token, dii) = (RecordKey::from_bytes([1; 32]), RecordKey::from_bytes([2; 32]));
        let now = UnixMillis(1_000_000);
        for (until, counts) in [(now.plus(5_000), 5_000), (now.plus(10 * POINTER_MS), POINTER_MS)] {
            let verified = Verified {
                provider: "sign-in".into(),
                issuer: "https://accounts.example.com".into(),
                subject: "s".into(),
                dii: DiiHash::of_email(&crate::uid2::Email::parse("a@example.com").unwrap()),
                until,
            };
            pointers.vouch(token, (dii, &verified), now);
            assert_eq!(pointers.find(&token, now.plus(counts - 1)), Some(dii));
            assert_eq!(pointers.find(&token, now.plus(counts)), None);
        }
    }
}

//! Opt-outs in Redis: in hashes that never expire, written with WAIT, held in the memory of every gateway, and said again
//! by those that learned of them when a fail-over may have lost some.
//!
//! ```text
//! field: record key, 32 bytes      value: "known until stamp on", decimal
//!   known, until   when the operator's opt-out became known, and until when it holds; 0 0: there is none
//!   stamp, on      when the publisher's own was last put in or out, and whether it holds
//! ```

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use redis::{Pipeline, Value, cmd};

use super::super::error::StoreError;
use super::super::key::RecordKey;
use super::super::offline::OptOut;
use super::super::optout_log::{Entry, Kind};
use super::super::optouts::{By, Held};
use super::learned::Noted;
use super::wire::Wire;
use super::{Shared, names};
use crate::time::UnixMillis;

/// Hashes the opt-outs are spread over; as many as the shards in memory, so that one is compared with one.
pub(super) const BUCKETS: usize = super::super::optouts::SHARDS;

/// So long after a publisher's own opt-out was taken back that is remembered, milliseconds: a gateway which was cut off
/// meanwhile must not bring it back.
const TAKEN_BACK_MS: i64 = 7 * 86_400_000;

/// No time that means anything is later: a script counts in doubles.
const LAST: i64 = 1 << 52;

/// Fields of a hash that are read at once.
const STRIDE: usize = 1_000;

/// Names and values of fields.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What a field says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Field {
    known: i64,
    until: i64,
    stamp: i64,
    on: bool,
}

impl Field {
    fn read(value: &[u8]) -> Option<Self> {
        let mut numbers = std::str::from_utf8(value).ok()?.split(' ').map(|it| it.parse::<i64>().ok());
        let mut next = || numbers.next().flatten();
        let field = Self { known: next()?, until: next()?, stamp: next()?, on: next()? == 1 };
        numbers.next().is_none().then_some(field)
    }

    /// Says nothing any more.
    fn is_over(self, now: UnixMillis) -> bool {
        let nobody_brings_it_back = self.stamp == 0 || self.stamp < now.plus(-TAKEN_BACK_MS).0;
        self.until <= now.0 && !self.on && nobody_brings_it_back
    }
}

/// How an entry is said: now, or again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Now,
    Again,
}

impl Shared {
    /// Notes opt-outs: durable, on a replica too where there is one, and told to the others when this returns.
    pub(super) async fn opt_outs(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let noted: Vec<Noted> = entries.into_iter().map(|entry| Noted { entry, stamp: entry.at.0 }).collect();
        // Before anything can fail: what is learned is said until it is written. What is taken back is not: before Redis has put it
        // into its order it could undo what somebody said later.
        for said in noted.iter().filter(|it| matches!(it.entry.kind, Kind::Add | Kind::SiteAdd)) {
            self.learned.add(*said);
        }
        let kept = self.keep(&noted).await;
        if kept.is_err() {
            // The next look at a Redis that answers makes good for it.
            self.owed.store(true, Ordering::Release);
        }
        kept
    }

    async fn keep(&self, noted: &[Noted]) -> Result<(), StoreError> {
        let stamped = self.note_all(noted, Said::Now).await?;
        for stamped in stamped.iter().filter(|it| it.stamp > 0) {
            self.learned.is_newest(stamped.entry.key, stamped.stamp);
            self.learned.add(*stamped);
        }
        self.announce_all(&stamped).await
    }

    /// Takes in what another gateway told.
    pub(super) fn learn(&self, noted: Noted) {
        let Noted { entry, stamp } = noted;
        match entry.kind {
            Kind::Add => self.optouts.add(entry.key, By::Operator, entry.until),
            Kind::Remove => self.optouts.remove(&entry.key, By::Operator),
            Kind::SiteAdd | Kind::SiteRemove => {
                self.learn_site(entry.key, stamp, entry.kind == Kind::SiteAdd);
            }
        }
        self.learned.add(noted);
    }

    fn learn_site(&self, key: RecordKey, stamp: i64, on: bool) {
        if !self.learned.is_newest(key, stamp) {
            return;
        }
        if on {
            self.optouts.add(key, By::Site, UnixMillis(i64::MAX));
        } else {
            self.optouts.remove(&key, By::Site);
        }
    }

    /// Says again what was learned lately, then compares everything in memory with everything in Redis: each gets what
    /// it lacks. What only memory had is told to the others.
    pub(super) async fn reconcile(&self) -> Result<(), StoreError> {
        let recent = self.learned.recent();
        self.say_again(&recent).await?;
        for bucket in 0..BUCKETS {
            let there = self.load(bucket).await?;
            let lacks = |held: &Held| self.lacking(held, there.get(&held.key).copied().unwrap_or_default());
            let lost: Vec<Noted> =
                self.optouts.in_shard(bucket, self.clock.now()).iter().flat_map(lacks).collect();
            self.say_again(&lost).await?;
        }
        Ok(())
    }

    async fn say_again(&self, noted: &[Noted]) -> Result<(), StoreError> {
        self.note_all(noted, Said::Again).await?;
        self.announce_all(noted).await
    }

    /// What Redis does not know of a key that memory holds.
    fn lacking(&self, held: &Held, there: Field) -> Vec<Noted> {
        let (key, at) = (held.key, self.clock.now());
        let mut lacking = Vec::new();
        if held.operator > at && held.operator.0.min(LAST) > there.until {
            let entry = Entry { kind: Kind::Add, key, at, until: held.operator };
            lacking.push(Noted { entry, stamp: 0 });
        }
        let stamp = self.learned.stamp(&key).unwrap_or(1);
        if held.site > at && there.stamp < stamp {
            let entry = Entry { kind: Kind::SiteAdd, key, at, until: held.site };
            lacking.push(Noted { entry, stamp });
        }
        lacking
    }

    /// Reads a hash into memory; what it holds.
    async fn load(&self, bucket: usize) -> Result<HashMap<RecordKey, Field>, StoreError> {
        let (mut there, now) = (HashMap::new(), self.clock.now());
        for (key, _, field) in self.fields(bucket).await? {
            if field.until > now.0 {
                self.optouts.add(key, By::Operator, UnixMillis(field.until));
            }
            if field.stamp > 0 {
                self.learn_site(key, field.stamp, field.on);
            }
            there.insert(key, field);
        }
        Ok(there)
    }

    /// Every opt-out in force, as it is kept.
    pub(super) async fn opt_outs_in_force(&self) -> Result<Vec<OptOut>, StoreError> {
        let (now, mut in_force) = (self.clock.now(), Vec::new());
        for bucket in 0..BUCKETS {
            for (key, _, Field { known, until, stamp, on }) in self.fields(bucket).await? {
                let (at, until) = (UnixMillis(known), UnixMillis(until));
                let operator = OptOut { key, by: By::Operator, at, until };
                let (at, until) = (UnixMillis(stamp), UnixMillis(i64::MAX));
                let site = OptOut { key, by: By::Site, at, until };
                in_force.extend((operator.until > now).then_some(operator));
                in_force.extend(on.then_some(site));
            }
        }
        Ok(in_force)
    }

    async fn fields(&self, bucket: usize) -> Result<Vec<(RecordKey, Vec<u8>, Field)>, StoreError> {
        let (mut cursor, mut fields) = (String::from("0"), Vec::new());
        loop {
            let mut scan = cmd("HSCAN");
            scan.arg(names::bucket(bucket)).arg(&cursor).arg("COUNT").arg(STRIDE);
            let (next, pairs): (String, Pairs) = self.main.ask(&scan).await?;
            fields.extend(pairs.into_iter().filter_map(|(name, value)| {
                let key = RecordKey::from_bytes(name.try_into().ok()?);
                let field = Field::read(&value)?;
                Some((key, value, field))
            }));
            if next == "0" {
                return Ok(fields);
            }
            cursor = next;
        }
    }

    /// Writes entries, those of one hash together, and waits for the replicas; each with the stamp it got.
    async fn note_all(&self, noted: &[Noted], said: Said) -> Result<Vec<Noted>, StoreError> {
        let mut buckets: HashMap<usize, Vec<Noted>> = HashMap::new();
        for noted in noted {
            buckets.entry(bucket_of(&noted.entry.key)).or_default().push(*noted);
        }
        let mut stamped = Vec::with_capacity(noted.len());
        for (bucket, noted) in buckets {
            for part in noted.chunks(STRIDE) {
                stamped.extend(self.note(bucket, part, said).await?);
            }
        }
        Ok(stamped)
    }

    async fn note(&self, bucket: usize, noted: &[Noted], said: Said) -> Result<Vec<Noted>, StoreError> {
        let name = names::bucket(bucket);
        let mut together = Pipeline::new();
        for Noted { entry, stamp } in noted {
            let (what, at) = match (entry.kind, said) {
                (Kind::Add, _) => ("o", entry.at.0),
                (Kind::Remove, _) => ("r", entry.at.0),
                (Kind::SiteAdd, Said::Now) => ("s", entry.at.0),
                (Kind::SiteRemove, Said::Now) => ("i", entry.at.0),
                (Kind::SiteAdd, Said::Again) => ("S", *stamp),
                (Kind::SiteRemove, Said::Again) => ("I", *stamp),
            };
            let (at, until) = (at.min(LAST).to_string(), entry.until.0.min(LAST).to_string());
            let arguments =
                [entry.key.as_bytes().as_slice(), what.as_bytes(), at.as_bytes(), until.as_bytes()];
            together.add_command(self.scripts.note.whole(&[&name], &arguments));
        }
        let answers = self.assuredly(&name, together).await?;
        let stamp = |value: &Value| redis::from_redis_value_ref::<i64>(value).unwrap_or_default();
        let site = |noted: &Noted| matches!(noted.entry.kind, Kind::SiteAdd | Kind::SiteRemove);
        let stamped = |(noted, answer): (&Noted, &Value)| Noted {
            stamp: if site(noted) { stamp(answer) } else { 0 },
            ..*noted
        };
        Ok(noted.iter().zip(&answers).map(stamped).collect())
    }

    /// Sends commands to the primary that holds `name`, and waits until they are on a replica, where there is one.
    pub(super) async fn assuredly(
        &self,
        name: &str,
        mut together: Pipeline,
    ) -> Result<Vec<Value>, StoreError> {
        let replicas = self.replicas(name).await?;
        if replicas > 0 {
            let mut wait = cmd("WAIT");
            wait.arg(replicas).arg(self.timeout.as_millis().to_string());
            together.add_command(wait);
        }
        let work = |mut wire: Wire| async move { wire.ask_together(name, together).await };
        let answers = self.assured.call(self.timeout * 2, work).await?;
        if replicas > 0 && !matches!(answers.last(), Some(Value::Int(n)) if *n >= i64::from(replicas)) {
            return Err(StoreError::Redis(String::from(
                "what must not be lost did not reach a replica in time",
            )));
        }
        Ok(answers)
    }

    /// Replicas an opt-out must have reached: as configured, otherwise one if the primary has any.
    async fn replicas(&self, name: &str) -> Result<u32, StoreError> {
        if let Some(replicas) = self.wait_replicas {
            return Ok(replicas);
        }
        let mut info = cmd("INFO");
        info.arg("replication");
        let work = |mut wire: Wire| async move { wire.ask_holder::<String>(name, info).await };
        let info = match self.assured.call(self.timeout, work).await {
            // Who may not look cannot know.
            Err(StoreError::Redis(reason)) if reason.contains("NOPERM") => return Ok(0),
            info => info?,
        };
        Ok(u32::from(super::info::number(&info, "connected_slaves").unwrap_or(0) > 0))
    }

    /// Removes what says nothing any more from one hash; the number removed.
    pub(super) async fn sweep_bucket(&self, bucket: usize) -> Result<u64, StoreError> {
        let (now, name) = (self.clock.now(), names::bucket(bucket));
        let mut removed = 0;
        for (key, value, field) in self.fields(bucket).await? {
            if !field.is_over(now) {
                continue;
            }
            let (keys, arguments) = ([name.as_str()], [key.as_bytes().as_slice(), &value]);
            let run = |wire| self.scripts.remove_field.run::<u64>(wire, &keys, &arguments);
            removed += self.main.call(self.timeout, run).await?;
        }
        Ok(removed)
    }
}

/// The last byte, as the shards in memory.
fn bucket_of(key: &RecordKey) -> usize {
    usize::from(key.as_bytes()[31]) % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_four_numbers() {
        let field = Field { known: -1, until: 20, stamp: 30, on: true };
        assert_eq!(Field::read(b"-1 20 30 1"), Some(field));
        for odd in [&b"1 2 3"[..], b"1 2 3 0 5", b"", b"1 2 x 0", b"\xff"] {
            assert_eq!(Field::read(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_field_is_over_when_neither_holds_and_nobody_could_bring_it_back() {
        let now = UnixMillis(TAKEN_BACK_MS * 2);
        let over = |until, stamp, on| Field { known: 0, until, stamp, on }.is_over(now);
        assert!(over(now.0, TAKEN_BACK_MS - 1, false));
        assert!(!over(now.0 + 1, 0, false), "the operator's holds");
        assert!(!over(0, 0, true), "the publisher's holds");
        assert!(!over(0, TAKEN_BACK_MS, false), "taken back lately");
    }
}

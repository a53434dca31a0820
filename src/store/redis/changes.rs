//! The stream of changes: what each gateway tells the others, read by all of them from where they stopped.
//!
//! A stream remembers what nobody was there to hear, which publish/subscribe does not. It is cut off at its old end; a
//! reader that was away for longer, or whose last entry a fail-over lost, is told to look at everything again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Pipeline, Value, cmd};
use tokio::sync::mpsc;

use super::super::error::StoreError;
use super::super::key::RecordKey;
use super::super::optout_log::{Entry, Kind};
use super::learned::Noted;
use super::{Shared, names};
use crate::time::UnixMillis;

/// Entries the stream keeps, roughly: about 10 MB, and at 100 changes a second more than a quarter of an hour.
const KEPT: usize = 100_000;

/// Entries read at once.
const BATCH: usize = 1_000;

/// How long a read waits for news: short enough to notice soon that the server does not answer any more.
pub(super) const BLOCK: Duration = Duration::from_secs(1);

/// Pause after a read that failed.
const PAUSE: Duration = Duration::from_millis(200);

/// Records whose change could not be told yet, at most; when there were more, everybody looks at everything again.
pub(super) const UNTOLD: usize = 10_000;

/// What is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// A record was replaced, whatever by.
    Written { key: RecordKey, generation: u64 },
    /// Somebody opted out, or in again.
    OptOut(Noted),
    /// More was written than could be told.
    Much,
}

/// What a gateway hears of the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    /// The record under this key has this generation now.
    Written {
        /// Whose.
        key: RecordKey,
        /// At least this one.
        generation: u64,
    },
    /// This key is opted out, in this process too; or no longer.
    OptOut(RecordKey),
    /// Something may have been missed: whatever is remembered may be old.
    Missed,
}

impl Change {
    /// The command that adds it to the stream.
    fn added(&self) -> Cmd {
        let mut add = cmd("XADD");
        add.arg(names::CHANGES).arg("MAXLEN").arg("~").arg(KEPT).arg("*");
        for (name, value) in self.fields() {
            add.arg(name).arg(value);
        }
        add
    }

    fn fields(&self) -> Vec<(&'static str, Vec<u8>)> {
        match self {
            Self::Much => vec![("c", b"m".to_vec())],
            Self::Written { key, generation } => vec![
                ("c", b"w".to_vec()),
                ("k", key.as_bytes().to_vec()),
                ("g", generation.to_string().into_bytes()),
            ],
            Self::OptOut(Noted { entry, stamp }) => {
                let kind = match entry.kind {
                    Kind::Add => b"o",
                    Kind::Remove => b"r",
                    Kind::SiteAdd => b"s",
                    Kind::SiteRemove => b"i",
                };
                vec![
                    ("c", kind.to_vec()),
                    ("k", entry.key.as_bytes().to_vec()),
                    ("a", entry.at.0.to_string().into_bytes()),
                    ("u", entry.until.0.to_string().into_bytes()),
                    ("s", stamp.to_string().into_bytes()),
                ]
            }
        }
    }

    /// `None`: of a version of the gateway that says more than this one knows.
    fn read(fields: &[(String, Vec<u8>)]) -> Option<Self> {
        let field = |name: &str| fields.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_slice());
        let number = |name| -> Option<i64> { std::str::from_utf8(field(name)?).ok()?.parse().ok() };
        if field("c")? == b"m" {
            return Some(Self::Much);
        }
        let key = RecordKey::from_bytes(field("k")?.try_into().ok()?);
        let kind = match field("c")? {
            b"w" => {
                return Some(Self::Written { key, generation: number("g")?.try_into().ok()? });
            }
            b"o" => Kind::Add,
            b"r" => Kind::Remove,
            b"s" => Kind::SiteAdd,
            b"i" => Kind::SiteRemove,
            _ => return None,
        };
        let entry = Entry { kind, key, at: UnixMillis(number("a")?), until: UnixMillis(number("u")?) };
        Some(Self::OptOut(Noted { entry, stamp: number("s")? }))
    }
}

impl Shared {
    /// Tells the others of a record. What cannot be told now is told later, and this says why.
    pub(super) async fn tell(&self, change: Change) -> Result<(), StoreError> {
        let told = self.announce(&change).await;
        if told.is_err() && self.untold.try_send(change).is_err() {
            // When it can be told again, they look at everything.
            self.overflowed.store(true, Ordering::Release);
        }
        told
    }

    /// Tells the others, or says why not.
    async fn announce(&self, change: &Change) -> Result<(), StoreError> {
        self.main.ask::<Value>(&change.added()).await.map(|_| ())
    }

    /// Tells the others of opt-outs; on a replica too when this returns, where there is one.
    pub(super) async fn announce_all(&self, noted: &[Noted]) -> Result<(), StoreError> {
        for part in noted.chunks(BATCH) {
            let mut together = Pipeline::new();
            for noted in part {
                together.add_command(Change::OptOut(*noted).added());
            }
            self.assuredly(names::CHANGES, together).await?;
        }
        Ok(())
    }

    /// The id of the last entry that was ever made, and of the oldest that is kept; zero where there is none.
    pub(super) async fn ends(&self) -> Result<(Id, Option<Id>), StoreError> {
        let missing = |fault: &StoreError| matches!(fault, StoreError::Redis(it) if it.contains("ERR"));
        let mut last_one = cmd("XREVRANGE");
        last_one.arg(names::CHANGES).arg("+").arg("-").arg("COUNT").arg(1);
        let mut first_one = cmd("XRANGE");
        first_one.arg(names::CHANGES).arg("-").arg("+").arg("COUNT").arg(1);
        let mut info = cmd("XINFO");
        info.arg("STREAM").arg(names::CHANGES);
        let first: Vec<(Id, Value)> = self.main.ask(&first_one).await?;
        let last: Vec<(Id, Value)> = self.main.ask(&last_one).await?;
        let made = match self.main.ask::<std::collections::HashMap<String, Value>>(&info).await {
            Ok(info) => info.get("last-generated-id").cloned(),
            Err(fault) if missing(&fault) => None,
            Err(fault) => return Err(fault),
        };
        let made = made.and_then(|id| redis::from_redis_value::<Id>(id).ok());
        let last = made.or(last.first().map(|(id, _)| *id)).unwrap_or_default();
        Ok((last, first.first().map(|(id, _)| *id)))
    }
}

/// The id of an entry: milliseconds and a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Id(u64, u64);

impl Id {
    fn parse(text: &str) -> Option<Self> {
        let (ms, number) = text.split_once('-')?;
        Some(Self(ms.parse().ok()?, number.parse().ok()?))
    }
}

impl FromRedisValue for Id {
    fn from_redis_value(value: Value) -> Result<Self, redis::ParsingError> {
        let text = String::from_redis_value(value)?;
        Self::parse(&text).ok_or_else(|| redis::ParsingError::from("not the id of an entry"))
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

/// Whether a reader that stopped at `seen` may have missed something, given the ends of the stream.
fn missed(seen: Id, last: Id, oldest: Option<Id>) -> bool {
    // Entries it saw are gone from the new end (a fail-over), or some it did not see from the old one.
    last < seen || (last > seen && oldest.is_none_or(|oldest| oldest > seen && seen != Id::default()))
}

/// Reads the stream from `seen` on, for as long as anybody asks.
pub(super) async fn follow(shared: Arc<Shared>, mut seen: Id) {
    // After every break and every silence it is not: whether the place where it stopped is still the right one.
    let (mut sure, mut broke) = (true, false);
    loop {
        let read = if sure { next(&shared, seen).await } else { place(&shared, &mut seen, broke).await };
        let Ok(entries) = read else {
            (sure, broke) = (false, true);
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        broke &= sure;
        sure = !sure || (!entries.is_empty() && entries.len() < BATCH);
        for (id, change) in entries {
            seen = seen.max(id);
            if let Some(change) = change {
                shared.heard(change).await;
            }
        }
    }
}

/// What an entry says, with its id.
type Told = (Id, Option<Change>);

/// Makes sure that nothing was missed before `seen`, or goes on from the end and says that something was. After a break somebody
/// who is not shown who the primary is cannot know.
async fn place(shared: &Shared, seen: &mut Id, broke: bool) -> Result<Vec<Told>, StoreError> {
    let (last, oldest) = shared.ends().await?;
    if missed(*seen, last, oldest) || (broke && shared.blind.load(Ordering::Relaxed)) {
        *seen = last;
        shared.owed.store(true, Ordering::Release);
        shared.hear(News::Missed).await;
    }
    Ok(Vec::new())
}

async fn next(shared: &Shared, seen: Id) -> Result<Vec<Told>, StoreError> {
    type Fields = Vec<(String, Vec<u8>)>;
    type Streams = Option<Vec<(String, Vec<(Id, Fields)>)>>;
    let mut read = cmd("XREAD");
    read.arg("BLOCK").arg(BLOCK.as_millis().to_string()).arg("COUNT").arg(BATCH);
    read.arg("STREAMS").arg(names::CHANGES).arg(seen.to_string());
    let limit = BLOCK + shared.timeout;
    let streams: Streams = shared.news.call(limit, |mut wire| async move { wire.ask(&read).await }).await?;
    let entries = streams.unwrap_or_default().into_iter().flat_map(|(_, entries)| entries);
    Ok(entries.map(|(id, fields)| (id, Change::read(&fields))).collect())
}

impl Shared {
    async fn heard(&self, change: Change) {
        match change {
            Change::Much => self.hear(News::Missed).await,
            Change::Written { key, generation } => self.hear(News::Written { key, generation }).await,
            Change::OptOut(noted) => {
                self.learn(noted);
                self.hear(News::OptOut(noted.entry.key)).await;
            }
        }
    }

    /// Hands news on to whoever took the receiver.
    pub(super) async fn hear(&self, news: News) {
        if self.listening.load(Ordering::Acquire) {
            // Nobody there any more: the gateway is ending.
            self.listener.send(news).await.unwrap_or_default();
        }
    }
}

/// Tells what could not be told before, one after the other.
pub(super) async fn catch_up(shared: Arc<Shared>, mut untold: mpsc::Receiver<Change>) {
    while let Some(change) = untold.recv().await {
        while shared.announce(&change).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
        if shared.overflowed.swap(false, Ordering::AcqRel) && shared.announce(&Change::Much).await.is_err() {
            shared.overflowed.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let key = RecordKey::from_bytes([7; 32]);
        let entry = Entry { kind: Kind::SiteRemove, key, at: UnixMillis(5), until: UnixMillis(i64::MAX) };
        for change in [
            Change::Written { key, generation: 1_700_000_000_001 },
            Change::OptOut(Noted { entry, stamp: 6 }),
            Change::OptOut(Noted { entry: Entry { kind: Kind::Add, ..entry }, stamp: 0 }),
        ] {
            let told: Vec<_> = change.fields().into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
            assert_eq!(Change::read(&told), Some(change));
            assert_eq!(Change::read(&told[..told.len() - 1]), None);
        }
        assert_eq!(Change::read(&[("c".to_owned(), b"m".to_vec())]), Some(Change::Much));
        assert_eq!(Change::read(&[("c".to_owned(), b"?".to_vec())]), None, "of a later version");
    }

    #[test]
    fn a_gap_at_either_end_is_noticed() {
        let id = |n| Id(n, 0);
        assert!(!missed(id(5), id(5), Some(id(1))), "nothing new");
        assert!(!missed(id(5), id(9), Some(id(5))), "the last one seen is still there");
        assert!(missed(id(5), id(9), Some(id(6))), "it is not: so may be others");
        assert!(missed(id(5), id(4), Some(id(1))), "a fail-over lost the last one");
        assert!(missed(id(5), id(9), None), "all are gone");
        assert!(!missed(id(0), id(9), Some(id(3))), "whoever saw none yet has read from the beginning");
        assert_eq!(Id::parse("17-3"), Some(Id(17, 3)));
        assert_eq!(Id::parse("17"), None);
    }
}

//! The one writer: takes what is queued, decides it in order, makes it durable with one flush each for log and
//! database, and only then answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntGauge;

use crate::time::{Clock, UnixMillis};

use super::error::StoreError;
use super::key::RecordKey;
use super::lane::Answer;
use super::optout_log::{Entry, OptOutLog};
use super::record::{Draft, Expect, Standing, Written, decide};
use super::sealed;
use super::table::Table;

/// Work for the writer.
pub(super) enum Command {
    /// Remember opt-outs.
    OptOut { entries: Vec<Entry>, answer: Answer<()> },
    /// Change records.
    Change(Change),
}

/// Work on the database.
pub(super) enum Change {
    /// Replace a record.
    Write { key: RecordKey, expect: Expect, draft: Box<Draft>, answer: Answer<Written> },
    /// Remove those of the records that have still ended by `now`.
    Remove { keys: Vec<RecordKey>, now: UnixMillis, answer: Answer<u64> },
}

/// What the writer thread works with.
pub(super) struct Writer {
    pub(super) table: Arc<Table>,
    /// Only the writer thread locks it.
    pub(super) log: Mutex<OptOutLog>,
    pub(super) clock: Clock,
    pub(super) up: IntGauge,
    /// The highest generation ever swept away: a record made anew gets a higher one, so that an answer still under
    /// way loses. Such answers do not outlive the process, so neither need this.
    pub(super) floor: AtomicU64,
}

impl Writer {
    /// Does a batch. Opt-outs come first: they wait for no other work.
    pub(super) fn work(&self, commands: Vec<Command>) {
        let (mut entries, mut waiting, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for command in commands {
            match command {
                Command::OptOut { entries: more, answer } => {
                    entries.extend(more);
                    waiting.push(answer);
                }
                Command::Change(change) => changes.push(change),
            }
        }
        self.remember(&entries, waiting);
        let mut batch = Batch::new(self);
        for change in changes {
            batch.take(change);
        }
        batch.finish();
    }

    fn remember(&self, entries: &[Entry], waiting: Vec<Answer<()>>) {
        if waiting.is_empty() {
            return;
        }
        let outcome = self.log.lock().unwrap_or_else(PoisonError::into_inner).append(entries);
        if let Err(error) = &outcome {
            self.up.set(0);
            // Whoever asked tries again, and says it aloud once.
            tracing::debug!(%error, "opt-outs are in force but could not be written");
        }
        for answer in waiting {
            tell(answer, outcome.clone());
        }
    }

    fn commit(&self, planned: HashMap<RecordKey, Planned>) -> Result<(), StoreError> {
        let outcome = self.table.commit(planned.into_iter().map(|(key, planned)| (key, planned.bytes)));
        let log_takes = !self.log.lock().unwrap_or_else(PoisonError::into_inner).broken();
        self.up.set(i64::from(outcome.is_ok() && log_takes));
        if let Err(error) = &outcome {
            tracing::error!(%error, "records could not be written");
        }
        outcome
    }
}

/// What a batch has come to so far.
struct Batch<'a> {
    writer: &'a Writer,
    now: UnixMillis,
    planned: HashMap<RecordKey, Planned>,
    writes: Vec<(Answer<Written>, Written)>,
    removals: Vec<(Answer<u64>, u64)>,
}

/// What shall stand under a key once the batch is written.
struct Planned {
    standing: Option<Standing>,
    bytes: Option<Vec<u8>>,
}

impl<'a> Batch<'a> {
    fn new(writer: &'a Writer) -> Self {
        let now = writer.clock.now();
        Self { writer, now, planned: HashMap::new(), writes: Vec::new(), removals: Vec::new() }
    }

    fn take(&mut self, change: Change) {
        match change {
            Change::Write { key, expect, draft, answer } => match self.write(key, expect, *draft) {
                Ok(written) => self.writes.push((answer, written)),
                Err(error) => tell(answer, Err(error)),
            },
            Change::Remove { keys, now, answer } => match self.remove(&keys, now) {
                Ok(removed) => self.removals.push((answer, removed)),
                Err(error) => tell(answer, Err(error)),
            },
        }
    }

    fn write(&mut self, key: RecordKey, expect: Expect, draft: Draft) -> Result<Written, StoreError> {
        let standing = match self.standing(&key) {
            // Nobody can read what is there; whoever replaces it whatever it is, may.
            Err(StoreError::Record(_)) if expect == Expect::Any => None,
            other => other?,
        };
        let floor = self.writer.floor.load(Ordering::Relaxed);
        let generation = match decide(expect, standing, floor, self.now) {
            Ok(generation) => generation,
            Err(lost) => return Ok(lost),
        };
        let record = draft.into_record(generation, self.now);
        let bytes = Some(sealed::seal(&self.writer.table.ring, &key, &record)?);
        let standing = Some(Standing { generation, keep_until: record.keep_until });
        self.planned.insert(key, Planned { standing, bytes });
        Ok(Written::Stored { generation })
    }

    fn remove(&mut self, keys: &[RecordKey], now: UnixMillis) -> Result<u64, StoreError> {
        let mut removed = 0;
        for key in keys {
            let Some(standing) = self.standing(key)?.filter(|it| it.keep_until <= now) else { continue };
            self.writer.floor.fetch_max(standing.generation, Ordering::Relaxed);
            self.planned.insert(*key, Planned { standing: None, bytes: None });
            removed += 1;
        }
        Ok(removed)
    }

    fn standing(&self, key: &RecordKey) -> Result<Option<Standing>, StoreError> {
        match self.planned.get(key) {
            Some(planned) => Ok(planned.standing),
            None => self.writer.table.standing(key),
        }
    }

    /// Writes and answers. Who lost against a write that fails in the end gets the error as well.
    fn finish(self) {
        let outcome = if self.planned.is_empty() { Ok(()) } else { self.writer.commit(self.planned) };
        for (answer, written) in self.writes {
            tell(answer, outcome.clone().map(|()| written));
        }
        for (answer, removed) in self.removals {
            tell(answer, outcome.clone().map(|()| removed));
        }
    }
}

/// A caller that no longer waits is no fault.
fn tell<T>(answer: Answer<T>, outcome: Result<T, StoreError>) {
    drop(answer.send(outcome));
}

//! `store_ops_total`, `store_duration_seconds`, `store_up`, with every child bound once.

use std::time::Instant;

use prometheus::{Histogram, IntCounter, IntGauge};

use crate::telemetry::{Registry, RegistryError, buckets};
use crate::time::Clock;

use super::error::StoreError;
use super::record::Written;

/// What was asked of the store.
#[derive(Clone, Copy)]
pub(super) enum Op {
    Read,
    Write,
    OptOut,
    Sweep,
}

impl Op {
    const ALL: [Self; 4] = [Self::Read, Self::Write, Self::OptOut, Self::Sweep];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::OptOut => "optout",
            Self::Sweep => "sweep",
        }
    }
}

/// How it ended.
#[derive(Clone, Copy)]
enum Ending {
    Ok,
    Error,
    Busy,
    Lost,
}

impl Ending {
    const ALL: [Self; 4] = [Self::Ok, Self::Error, Self::Busy, Self::Lost];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Busy => "busy",
            Self::Lost => "lost",
        }
    }
}

/// What an operation answers, as far as its metric label goes.
pub(super) trait Answer {
    /// A compare-and-swap that came too late.
    fn lost(&self) -> bool {
        false
    }
}

impl Answer for Written {
    fn lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }
}

impl Answer for Option<super::Record> {}
impl Answer for u64 {}
impl Answer for () {}

/// The store's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    ops: [[IntCounter; 4]; 4],
    durations: [Histogram; 4],
    pub(super) up: IntGauge,
}

impl Metrics {
    /// Registers the three families.
    pub fn register(registry: &Registry) -> Result<Self, RegistryError> {
        let ops = registry.counters("store_ops_total", "Store operations.", &["op", "result"])?;
        let durations = registry.histograms(
            "store_duration_seconds",
            "Time from asking the store to its answer.",
            &["op"],
            buckets::STORE,
        )?;
        let up = registry.gauge("store_up", "Whether the store is open and takes writes.")?;
        let child = |op: Op, end: Ending| ops.with_label_values(&[op.as_str(), end.as_str()]);
        Ok(Self {
            ops: Op::ALL.map(|op| Ending::ALL.map(|end| child(op, end))),
            durations: Op::ALL.map(|op| durations.with_label_values(&[op.as_str()])),
            up,
        })
    }

    /// Counts one operation that began at `start`.
    pub(super) fn count<T: Answer>(&self, op: Op, start: Instant, answer: &Result<T, StoreError>) {
        let ending = match answer {
            Ok(answer) if answer.lost() => Ending::Lost,
            Ok(_) => Ending::Ok,
            Err(StoreError::Busy) => Ending::Busy,
            Err(_) => Ending::Error,
        };
        self.ops[op as usize][ending as usize].inc();
        let taken = Clock::monotonic().saturating_duration_since(start);
        self.durations[op as usize].observe(taken.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_have_their_own_series() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let start = Clock::monotonic();
        metrics.count(Op::Write, start, &Ok(Written::Stored { generation: 1 }));
        metrics.count(Op::Write, start, &Ok(Written::Lost { current: 1 }));
        metrics.count(Op::Read, start, &Err::<(), _>(StoreError::Busy));
        metrics.count(Op::Sweep, start, &Err::<u64, _>(StoreError::Closed));
        let text = String::from_utf8(registry.text().unwrap()).unwrap();
        for line in [
            r#"uid2gw_store_ops_total{op="write",result="ok"} 1"#,
            r#"uid2gw_store_ops_total{op="write",result="lost"} 1"#,
            r#"uid2gw_store_ops_total{op="read",result="busy"} 1"#,
            r#"uid2gw_store_ops_total{op="sweep",result="error"} 1"#,
            r#"uid2gw_store_ops_total{op="optout",result="ok"} 0"#,
            r#"uid2gw_store_duration_seconds_count{op="write"} 2"#,
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }
}

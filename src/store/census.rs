//! Who is in a store: records by tenant and phase, and those that do not open.

use std::collections::BTreeMap;

use crate::time::UnixMillis;
use crate::uid2::{Environment, Phase, Scope};

use super::Store;
use super::error::StoreError;
use super::key::environment_byte;
use super::record::{Record, State};

/// What was counted. Taking it reads and opens every record.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Census {
    /// Records by publisher, scope and environment, in that order.
    pub tenants: Vec<TenantCensus>,
    /// Records that do not open, by reason.
    pub unreadable: BTreeMap<String, u64>,
}

/// The records of one tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TenantCensus {
    /// The publisher's id in the configuration.
    pub publisher: String,
    /// UID2 or EUID.
    pub scope: Scope,
    /// The operator environment.
    pub environment: Environment,
    /// How many are in which phase.
    pub phases: Phases,
}

/// Records by phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Phases {
    /// Before `refresh_from`.
    pub fresh: u64,
    /// A refresh is due.
    pub due: u64,
    /// The token is over, its refresh token is not.
    pub lapsed: u64,
    /// Both are over; the sweep removes it.
    pub dead: u64,
    /// Markers of opt-outs.
    pub opted_out: u64,
    /// Tombstones of logouts.
    pub logged_out: u64,
    /// An e-mail address or phone number whose identity stands under a user.
    pub alias: u64,
}

impl Census {
    /// Counts everything; a token this close to its end, in milliseconds, is lapsed. Blocks the calling thread.
    pub fn take(store: &Store, now: UnixMillis, margin_ms: i64) -> Result<Self, StoreError> {
        let mut tenants: BTreeMap<_, TenantCensus> = BTreeMap::new();
        let mut unreadable = BTreeMap::new();
        store.for_each_record(&mut |_, record| match record {
            Ok(record) => {
                let place =
                    (record.publisher.clone(), record.scope.bit(), environment_byte(record.environment));
                let tenant = tenants.entry(place).or_insert_with(|| TenantCensus::of(&record));
                tenant.phases.count(&record, now, margin_ms);
            }
            Err(reason) => *unreadable.entry(reason.to_string()).or_default() += 1,
        })?;
        Ok(Self { tenants: tenants.into_values().collect(), unreadable })
    }

    /// All records that open.
    pub fn records(&self) -> u64 {
        self.tenants.iter().map(|tenant| tenant.phases.sum()).sum()
    }

    /// All that do not.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.values().sum()
    }
}

impl TenantCensus {
    fn of(record: &Record) -> Self {
        let (publisher, scope, environment) = (record.publisher.clone(), record.scope, record.environment);
        Self { publisher, scope, environment, phases: Phases::default() }
    }
}

impl Phases {
    /// Names and numbers, in the order of a life.
    pub fn rows(&self) -> [(&'static str, u64); 7] {
        [
            ("fresh", self.fresh),
            ("due", self.due),
            ("lapsed", self.lapsed),
            ("dead", self.dead),
            ("opted_out", self.opted_out),
            ("logged_out", self.logged_out),
            ("alias", self.alias),
        ]
    }

    /// All of them.
    pub fn sum(&self) -> u64 {
        self.rows().iter().map(|(_, count)| count).sum()
    }

    fn count(&mut self, record: &Record, now: UnixMillis, margin_ms: i64) {
        let counted = match &record.state {
            State::OptedOut => &mut self.opted_out,
            State::LoggedOut => &mut self.logged_out,
            State::Alias(_) => &mut self.alias,
            State::Active(identity) => match identity.times.phase(now, margin_ms) {
                Phase::Fresh => &mut self.fresh,
                Phase::Due => &mut self.due,
                Phase::Lapsed => &mut self.lapsed,
                Phase::Dead => &mut self.dead,
            },
        };
        *counted += 1;
    }
}

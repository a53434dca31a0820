//! Holds a running gateway to the privacy table: every signal in every place, with every value, scope and dialect, goes
//! in as an ad request and is compared with what `fixtures/privacy/table.json` says must come out.
//!
//! ```text
//!  table     table.json            → Table              what must come out, in words and numbers
//!  case      Table                 → Case, Lists        spread out: value × place, and what stands in the request
//!  expected  Case, Lists, Setting  → Expected           result, reason, bytes per dialect
//!  stack     Setting               → Lane               operator, gateway, SSPs: real sockets on loopback
//!  drive     Lane, Case            → Row                one request, one row for each SSP
//!    compare Expected, Received    → Finding            ok, difference, leak
//!    leak    Received              → Texts              where identifiers can hide
//!  report    Row                   → text, JSON
//! ```
//!
//! `node`, `case` and `expected` share no code with `openrtb` and `privacy::judge`: what is tested must not say itself what
//! is right.

mod case;
mod compare;
mod drive;
mod expected;
mod leak;
mod node;
mod report;
mod stack;
mod table;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use serde_json::Value;
use tokio::runtime::Runtime;

use self::case::{Setting, cases, standing};
use self::drive::Plan;
use self::expected::Expected;
use self::stack::Lane;
use self::table::{Choice, Choices, Extent};
use crate::config::{self, Config};
use crate::privacy::Policy;
use crate::sandbox::ssp::Received;
use crate::uid2::Scope;

pub use self::report::{Report, Row};
pub use self::table::{BUILT_IN, Table, TableError};

/// What an SSP is said to have received: a test of the test can plant something here.
pub type View = Arc<dyn Fn(&Received) -> Received + Send + Sync>;

/// How a table is tested.
pub struct Options {
    /// Whose choices: the table's own, or those of a configuration's publishers.
    pub choices: Source,
    /// Only signals and cases whose name holds this; empty for all.
    pub only: String,
    /// Gateways at work at once, each with one request at a time.
    pub lanes: usize,
    /// Changes what SSPs are said to have received.
    pub view: Option<View>,
    /// Called with requests sent and requests in all.
    pub progress: Box<dyn Fn(usize, usize) + Send + Sync>,
}

/// Where choices of `[privacy]` come from.
pub enum Source {
    /// The defaults for everything, and each alternative where it makes a difference.
    Table,
    /// These: name, scope and policy of each publisher, for everything.
    Publishers(Vec<(String, Scope, Policy)>),
}

impl Source {
    /// The publishers of a configuration. Nothing else of it is used: no listener, store, operator or SSP.
    pub fn of(config: &Config) -> Self {
        // Each scope by itself: which of two a request is about, the same table decides.
        let of = |p: &crate::gateway::PublisherSettings| {
            let each = |t: &crate::identity::Publisher| (p.id.clone(), t.scope(), p.policy.clone());
            p.tenants().map(each).collect::<Vec<_>>()
        };
        Self::Publishers(config.publishers.iter().flat_map(of).collect())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            choices: Source::Table,
            only: String::new(),
            lanes: 2,
            view: None,
            progress: Box::new(|_, _| {}),
        }
    }
}

/// Runs a table. An error means that it could not be run; what the gateway does wrong stands in the report.
pub fn run(table: &Table, options: &Options) -> anyhow::Result<Report> {
    let plan = plan(table, options)?;
    let outside = Runtime::new().context("runtime")?;
    let operators = outside.block_on(stack::Operators::start())?;
    let mut lanes = (0..options.lanes.max(1))
        .map(|_| Lane::start(outside.handle(), operators, plan.ssps, &plan.settings))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let rows = outside.block_on(drive::drive(&mut lanes, &plan, options));
    for lane in lanes {
        lane.stop()?;
    }
    Ok(Report { rows: rows? })
}

fn plan<'a>(table: &'a Table, options: &Options) -> anyhow::Result<Plan<'a>> {
    let settings = match &options.choices {
        Source::Table => alternatives(table)?,
        Source::Publishers(publishers) => publishers.iter().map(named).collect(),
    };
    let cases: Vec<_> = cases(table).into_iter().filter(|case| case.signal.contains(&options.only)).collect();
    let standing = standing(table);
    let mut tasks = Vec::new();
    for (s, setting) in settings.iter().enumerate() {
        let defaults = settings.iter().find(|other| other.scope == setting.scope).unwrap_or(setting);
        let is_alternative = matches!(options.choices, Source::Table) && defaults.name != setting.name;
        for (c, case) in cases.iter().enumerate() {
            let whole = case.extent == Extent::Whole && !is_alternative && case.concerns(setting.scope);
            for (l, lists) in standing.iter().enumerate().filter(|(_, lists)| whole || lists.brief) {
                let of = |setting| Expected::of(case, lists, setting, &table.ssps);
                // An alternative is tried where it changes what must come out.
                if !is_alternative || of(defaults).differs(&of(setting)) {
                    tasks.push([c, l, s]);
                }
            }
        }
    }
    Ok(Plan { cases, standing, settings, ssps: &table.ssps, tasks })
}

fn named((name, scope, policy): &(String, Scope, Policy)) -> Setting {
    Setting { name: name.clone(), scope: *scope, policy: policy.clone() }
}

/// The choices of the table for a publisher of either scope; the first are the defaults.
fn alternatives(table: &Table) -> anyhow::Result<Vec<Setting>> {
    let mut settings = Vec::new();
    for scope in [Scope::Uid2, Scope::Euid] {
        for Choice { name, privacy } in &table.choices {
            let policy = policy(privacy).with_context(|| format!("choices \"{name}\""))?;
            settings.push(Setting { name: name.clone(), scope, policy });
        }
    }
    Ok(settings)
}

/// The policy of some choices, as the configuration reads them.
fn policy(choices: &Choices) -> anyhow::Result<Policy> {
    // JSON texts, flags and lists of texts are TOML, too.
    let lines = choices.iter().map(|(key, value)| format!("{key} = {}\n", Value::to_string(value)));
    let nobody = stack::Operators::nobody();
    let ssp = "[[ssp]]\nid = \"ssp0\"\nurl = \"http://127.0.0.1:1/\"\n";
    let plain = Setting { name: String::new(), scope: Scope::Uid2, policy: Policy::default() };
    let (text, _) = stack::configuration(nobody, ssp, 1, &[plain])?;
    let text = format!("{text}[privacy]\n{}", lines.collect::<String>());
    let (config, _) = config::from_str(&text, Path::new("choices.toml"), &BTreeMap::new())?;
    config.publishers.first().map(|publisher| publisher.policy.clone()).context("no publisher")
}

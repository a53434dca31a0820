//! Sends every request through its lane and compares what came out, row by row.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::case::{Case, Lists, Setting};
use super::compare::{self, Wanted};
use super::expected::Expected;
use super::node::Node;
use super::report::Row;
use super::stack::Lane;
use super::table::Demand;
use super::{Options, View};

/// Everything that is asked, by reference into the spread-out table.
pub(super) struct Plan<'a> {
    pub(super) cases: Vec<Case<'a>>,
    pub(super) standing: Vec<Lists<'a>>,
    pub(super) settings: Vec<Setting>,
    pub(super) ssps: &'a [Demand],
    /// Indexes of case, standing list and setting.
    pub(super) tasks: Vec<[usize; 3]>,
}

/// The tasks of all lanes together.
pub(super) async fn drive(
    lanes: &mut [Lane],
    plan: &Plan<'_>,
    options: &Options,
) -> anyhow::Result<Vec<Row>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Vec<Row>)>> = Mutex::default();
    let lane = async |lane: &mut Lane| {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = plan.tasks.get(at) else { return anyhow::Ok(()) };
            let rows = ask(lane, plan, *task, options.view.as_ref()).await?;
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((at, rows));
            (options.progress)(at + 1, plan.tasks.len());
        }
    };
    futures_util::future::try_join_all(lanes.iter_mut().map(lane)).await?;
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().flat_map(|(_, rows)| rows).collect())
}

/// One request: one row for each SSP.
async fn ask(
    lane: &mut Lane,
    plan: &Plan<'_>,
    [case, lists, setting]: [usize; 3],
    view: Option<&View>,
) -> anyhow::Result<Vec<Row>> {
    let (case, lists, publisher) = (&plan.cases[case], &plan.standing[lists], setting);
    let setting = &plan.settings[publisher];
    let expected = Expected::of(case, lists, setting, plan.ssps);
    let inbound = inbound(case, lists);
    let headers = headers(case).with_context(|| format!("headers of {}", case.signal))?;
    let answer = lane.auction(publisher, &headers, inbound.text()).await?;
    let received = lane.received();
    let token = lane.token(publisher);
    let new = new_entry(setting, token);
    let rows = plan.ssps.iter().zip(received).map(|(ssp, mut received)| {
        if let Some(view) = view {
            received = received.iter().map(|request| view(request)).collect();
        }
        let leg = expected.leg(ssp);
        let body = expected.body(&inbound, lists, (ssp, &leg), &new);
        let tmax = case.request["tmax"].as_u64().unwrap_or_default();
        let wanted = Wanted { expected: &expected, leg: &leg, body, token, tmax };
        let finding = compare::row(&wanted, &answer, &received);
        Row::new((case, lists, setting), ssp, &expected, finding)
    });
    Ok(rows.collect())
}

/// The request as it comes in.
pub(super) fn inbound(case: &Case<'_>, lists: &Lists<'_>) -> Node {
    let mut body = Node::from(case.request);
    for (path, value) in case.set.iter().filter(|(path, _)| !path.starts_with(HEADER)) {
        body.set(&path.split('.').collect::<Vec<_>>(), Node::Text(value.to_string()));
    }
    for (path, entries) in [(&["user", "eids"][..], &lists.user), (&["user", "ext", "eids"], &lists.ext)] {
        if let Some(entries) = entries {
            let list: Vec<&str> = entries.iter().map(|entry| entry.raw.as_str()).collect();
            body.set(path, Node::Text(format!("[{}]", list.join(","))));
        }
    }
    body
}

/// How a place that is a header is written in the table.
const HEADER: &str = "header ";

fn headers(case: &Case<'_>) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in case.set.iter().filter_map(|(path, value)| Some((path.strip_prefix(HEADER)?, value)))
    {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        headers.insert(name.to_ascii_lowercase().parse::<HeaderName>()?, HeaderValue::from_str(&text)?);
    }
    Ok(headers)
}

/// The entry that is added, as the reference describes it.
fn new_entry(setting: &Setting, token: &str) -> String {
    let token = Value::from(token);
    format!(r#"{{"source":"{}","uids":[{{"id":{token},"atype":3}}]}}"#, setting.scope.source())
}

//! The decision, written into bytes: one edit plan per distinct (dialect, identity, options), one body per SSP.

use std::time::Duration;

use http::HeaderMap;

use super::admit::Admitted;
use super::decision::{Decision, ResultLabel, both, strip_of};
use super::{Leg, whole_millis};
use crate::net::body::Segments;
use crate::openrtb::{self, Dialect, Edit, NewEid, Plan, Strip};
use crate::ssp::{EnvironmentRule, Settings, TmaxMode};
use crate::time::Deadline;
use crate::uid2::Environment;

/// What leaves, per routed SSP in the publisher's order.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub legs: Vec<OutgoingLeg>,
}

/// One SSP's request.
#[derive(Debug)]
pub(super) struct OutgoingLeg {
    /// Index of the SSP.
    pub ssp: usize,
    /// What this SSP gets to know of the user.
    pub result: ResultLabel,
    /// `None` when its time is already under `min_ms`: it is not called.
    pub call: Option<Call>,
}

/// What is needed to call an SSP.
#[derive(Debug)]
pub(super) struct Call {
    pub headers: HeaderMap,
    pub body: Segments,
    pub deadline: Deadline,
}

/// What makes two SSPs share one edit plan.
#[derive(Clone, Copy, PartialEq, Eq)]
struct PlanKey {
    dialect: Dialect,
    token: bool,
    strip: Strip<'static>,
    remove_user_id: bool,
}

/// Builds every leg. Costs nothing beyond a list when nothing is to be edited.
pub(super) fn inject(admitted: &Admitted, decision: &Decision, legs: &[Leg]) -> Outgoing {
    let mut plans: Vec<(PlanKey, Plan)> = Vec::with_capacity(2);
    let routed = admitted.publisher.settings.ssps.iter();
    let built = routed.filter_map(|&ssp| {
        let settings = &legs.get(ssp)?.settings;
        let unconsented = admitted.leg_strip(ssp);
        let token = decision.token.is_some() && unconsented.is_none() && admits(settings, admitted);
        let strip = both(decision.strip, unconsented.map_or(Strip::Nothing, strip_of));
        let result = match decision.result {
            result if unconsented.is_some() && result.sends() => ResultLabel::Denied,
            result if token || decision.token.is_none() => result,
            ResultLabel::Replaced => ResultLabel::Kept,
            _ => ResultLabel::Absent,
        };
        let key = PlanKey { dialect: settings.dialect, token, strip, remove_user_id: settings.strip_user_id };
        let plan = plan_for(&mut plans, key, admitted, decision);
        let call = admitted.budget.leg(settings).map(|(deadline, left)| Call {
            headers: leg_headers(admitted, settings),
            body: Segments::from(plan.segments(&admitted.request, tmax(settings, left))),
            deadline,
        });
        Some(OutgoingLeg { ssp, result, call })
    });
    Outgoing { legs: built.collect() }
}

/// A token made outside production stays away from an SSP that takes production only.
fn admits(settings: &Settings, admitted: &Admitted) -> bool {
    match settings.environment {
        EnvironmentRule::Any => true,
        EnvironmentRule::Prod => {
            admitted.publisher.settings.identity.environment() == Environment::Production
        }
    }
}

fn plan_for<'a>(
    plans: &'a mut Vec<(PlanKey, Plan)>,
    key: PlanKey,
    admitted: &Admitted,
    decision: &Decision,
) -> &'a Plan {
    let known = plans.iter().position(|(k, _)| *k == key);
    let index = known.unwrap_or_else(|| {
        plans.push((key, plan(key, admitted, decision)));
        plans.len() - 1
    });
    &plans[index].1
}

fn plan(key: PlanKey, admitted: &Admitted, decision: &Decision) -> Plan {
    let token = decision.token.as_ref().filter(|_| key.token);
    let add = token.map(|token| NewEid {
        source: admitted.scope().source(),
        id: token.as_str(),
        inserter: admitted.publisher.settings.inserter.as_deref(),
        replace: decision.result == ResultLabel::Replaced,
    });
    let edit = Edit {
        dialect: key.dialect,
        strip: key.strip,
        add,
        remove_user_id: key.remove_user_id,
        fill_gpc: admitted.fill_gpc,
    };
    openrtb::plan(&admitted.request, &edit)
}

fn tmax(settings: &Settings, left: Duration) -> Option<u64> {
    match settings.tmax {
        TmaxMode::Rewrite => Some(whole_millis(left)),
        TmaxMode::Keep => None,
    }
}

fn leg_headers(admitted: &Admitted, settings: &Settings) -> HeaderMap {
    let mut headers = admitted.headers.clone();
    for name in &settings.forward_headers {
        headers.remove(name);
        for value in admitted.inbound.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    headers
}

//! The decision, written into bytes: one edit plan per distinct (dialect, identity, options), one body per SSP.

use std::mem;
use std::time::Duration;

use http::HeaderMap;
use smallvec::SmallVec;

use super::admit::Admitted;
use super::decision::Decision;
use super::leg::{Knows, Narrowed, Removal, knows};
use super::reason::{Reason, ResultLabel};
use super::{Leg, headers, whole_millis};
use crate::net::body::Segments;
use crate::openrtb::{self, Dialect, Edit, NewEid, Ours, Plan, RtiPartner, RtiPlace};
use crate::ssp::{Settings, TmaxMode};
use crate::time::{Clock, Deadline};
use crate::uid2::Scope;

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
    /// Why that is less than the decision, when it is.
    pub refused: Option<Reason>,
    /// What was removed or held back for this SSP alone.
    pub narrowed: Narrowed,
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
#[derive(PartialEq, Eq)]
struct PlanKey<'a> {
    dialect: Dialect,
    token: bool,
    strip: Removal<'a>,
    rti: Option<RtiPlace>,
    remove_user_id: bool,
}

/// Builds every leg. Costs nothing beyond a list when nothing is to be edited.
pub(super) fn inject(admitted: &Admitted, decision: &Decision, legs: &[Leg]) -> Outgoing {
    let inserter = admitted.publisher.settings.inserter.as_deref();
    let ours = decision.token.as_ref().map(|_| Ours { source: admitted.scope().source(), inserter });
    let permissions = admitted.request.eid_permissions(ours);
    let mut plans = Plans::new();
    let mut headers = Headers { all: headers::forwarded(&admitted.inbound), inbound: &admitted.inbound };
    let now = Clock::monotonic();
    let routed = &admitted.publisher.settings.ssps;
    let built = routed.iter().enumerate().filter_map(|(nth, &ssp)| {
        let settings = &legs.get(ssp)?.settings;
        let Knows { token, strip, result, refused, narrowed } =
            knows(admitted, decision, (ssp, settings), permissions.as_ref());
        let key = PlanKey {
            dialect: settings.dialect,
            token,
            strip,
            rti: settings.rti_partner.filter(|_| token),
            remove_user_id: settings.strip_user_id,
        };
        let plan = plan_for(&mut plans, key, admitted, decision);
        let call = admitted.budget.leg(settings, now).map(|(deadline, left)| Call {
            headers: headers.of(settings, nth + 1 == routed.len()),
            body: Segments::from(plan.segments(&admitted.request, tmax(settings, left))),
            deadline,
        });
        Some(OutgoingLeg { ssp, result, refused, narrowed, call })
    });
    Outgoing { legs: built.collect() }
}

/// One plan serves nearly always.
type Plans<'k> = SmallVec<[(PlanKey<'k>, Plan); 1]>;

fn plan_for<'a, 'k>(
    plans: &'a mut Plans<'k>,
    key: PlanKey<'k>,
    admitted: &Admitted,
    decision: &Decision,
) -> &'a Plan {
    let known = plans.iter().position(|(k, _)| *k == key);
    let index = known.unwrap_or_else(|| {
        let plan = plan(&key, admitted, decision);
        plans.push((key, plan));
        plans.len() - 1
    });
    &plans[index].1
}

fn plan(key: &PlanKey<'_>, admitted: &Admitted, decision: &Decision) -> Plan {
    let token = decision.token.as_ref().filter(|_| key.token);
    let scope = admitted.scope();
    let value = match scope {
        Scope::Uid2 => "UID2",
        Scope::Euid => "EUID",
    };
    let add = token.map(|token| NewEid {
        source: scope.source(),
        id: token.as_str(),
        inserter: admitted.publisher.settings.inserter.as_deref(),
        rti_partner: key.rti.map(|place| RtiPartner { place, value }),
        replace: decision.result == ResultLabel::Replaced,
    });
    let edit = Edit {
        dialect: key.dialect,
        strip: key.strip.strip(),
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

/// The headers of the legs.
struct Headers<'a> {
    /// Those that every SSP gets.
    all: HeaderMap,
    inbound: &'a HeaderMap,
}

impl Headers<'_> {
    /// Those of one SSP. The last one, most often the only one, takes what the others got copies of.
    fn of(&mut self, settings: &Settings, is_last: bool) -> HeaderMap {
        let mut headers = if is_last { mem::take(&mut self.all) } else { self.all.clone() };
        for name in &settings.forward_headers {
            headers.remove(name);
            for value in self.inbound.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        headers
    }
}

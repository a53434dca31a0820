//! An explanation as one JSON document.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::edit::{Mark, edits};
use super::text::{Style, dialect, found_name, header_lines, hints, marked, strip_name};
use super::{Explained, Problem, STAND_IN};
use crate::gateway::{ExplainedLeg, Hint, RejectKind};
use crate::privacy::Verdict;

impl Explained {
    /// The explanation.
    pub fn json(&self) -> Value {
        let explanation = &self.explanation;
        let decision = &explanation.decision;
        let scope = explanation.scope;
        let hints: Vec<Value> = hints(explanation)
            .into_iter()
            .map(|(hint, said, won)| json!({"hint": hint.as_str(), "found": said, "wins": won}))
            .collect();
        let signals: Vec<Value> =
            self.signals.iter().map(|s| json!({"place": s.place, "value": s.value})).collect();
        let found = explanation.guarded.iter().flat_map(|guarded| &guarded.hits);
        let cut = found
            .map(|hit| json!({"member": hit.spot.path(), "offset": hit.offset, "raw_uid2": hit.raw}))
            .collect::<Vec<_>>();
        json!({
            "publisher": {
                "id": explanation.publisher.settings.id, "found_by": found_name(explanation.found),
                "mismatch": explanation.mismatch, "authenticated": explanation.authenticated,
            },
            "hints": hints,
            "dii": cut,
            "signals": signals,
            "verdict": verdict(scope.as_str(), explanation.verdict),
            "other_scope": explanation.other.map(|other| verdict(scope.other().as_str(), other)),
            "identity": {
                "result": decision.result.as_str(), "reason": decision.reason.as_str(),
                "source": decision.source.map(Hint::as_str), "user_known": self.user_known,
                "stand_in": decision.token.as_ref().filter(|token| token.as_str() == STAND_IN).map(|_| STAND_IN),
            },
            "ssps": explanation.legs.iter().map(|leg| self.leg_json(leg)).collect::<Vec<_>>(),
        })
    }

    fn leg_json(&self, leg: &ExplainedLeg) -> Value {
        let call = leg.call.as_ref().map(|call| {
            let marks = edits(&self.explanation, call);
            let leaves = marks.iter().filter(|mark| !matches!(mark, Mark::Removed(_)));
            let body: String = leaves.map(plain).collect();
            json!({
                "tmax_ms": u64::try_from(call.left.as_millis()).unwrap_or(u64::MAX),
                "headers": header_lines(&call.headers).into_iter().collect::<BTreeMap<_, _>>(),
                "gzip": call.packed,
                "body": body,
                "marked": marks.iter().map(|mark| marked(mark, Style::Words)).collect::<String>(),
            })
        });
        json!({"ssp": leg.ssp.id, "openrtb": dialect(leg.ssp.dialect), "result": leg.result.as_str(),
               "unconsented": leg.unconsented, "call": call})
    }
}

impl Problem {
    /// What a caller would read.
    pub fn json(&self) -> Value {
        let mut document = json!({"refused": self.0.to_string()});
        if let RejectKind::BadRequest(fault) = &self.0 {
            document["member"] = fault.member.into();
            document["offset"] = fault.offset.into();
            document["reason"] = fault.reason.as_str().into();
        }
        document
    }
}

fn verdict(scope: &str, (verdict, row): (Verdict, u8)) -> Value {
    let (says, reason, removes) = match verdict {
        Verdict::Inject(_) => ("inject", None, None),
        Verdict::Pass(reason) => ("pass", Some(reason.as_str()), None),
        Verdict::Strip(what, reason) => ("strip", Some(reason.as_str()), Some(strip_name(what))),
    };
    json!({"scope": scope, "row": row, "says": says, "reason": reason, "removes": removes})
}

fn plain(mark: &Mark) -> String {
    let (Mark::Same(bytes) | Mark::Removed(bytes) | Mark::Added(bytes)) = mark;
    String::from_utf8_lossy(bytes).into_owned()
}

//! One row: what an SSP received against what it must have received.

use http::HeaderMap;

use super::expected::{Expected, Leg, TMAX};
use super::leak::Texts;
use crate::sandbox::ssp::Received;

/// What came out of one request, besides what the SSPs received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    /// Status of the answer.
    pub(super) status: u16,
    pub(super) result: String,
    pub(super) reason: String,
}

impl Answer {
    /// Reads `x-uid2gw-result`, such as `injected;reason=fresh;source=user`. Without it, nothing fits.
    pub(super) fn of(status: u16, headers: &HeaderMap) -> Self {
        let said = headers.get("x-uid2gw-result").and_then(|value| value.to_str().ok());
        let mut parts = said.unwrap_or_default().split(';');
        let result = parts.next().unwrap_or_default().to_owned();
        let reason = parts.find_map(|part| part.strip_prefix("reason=")).unwrap_or_default().to_owned();
        Self { status, result, reason }
    }
}

/// How a row ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Finding {
    /// As the table says.
    Ok,
    /// An identifier reached the SSP that may not.
    Leak(String),
    /// Something else is not as the table says.
    Difference(String),
}

/// What one SSP must get.
pub(super) struct Wanted<'a> {
    pub(super) expected: &'a Expected,
    pub(super) leg: &'a Leg,
    /// Body with a hole for `tmax`.
    pub(super) body: String,
    /// Our user's token.
    pub(super) token: &'a str,
    /// `tmax` as it was sent to the gateway, milliseconds.
    pub(super) tmax: u64,
}

/// Compares. `received` is everything this SSP received for the request.
pub(super) fn row(wanted: &Wanted<'_>, answer: &Answer, received: &[Received]) -> Finding {
    for request in received {
        let texts = Texts::of(&request.headers, &request.body);
        if !wanted.leg.injects && texts.hold(wanted.token) {
            return Finding::Leak("our user's token reached the SSP".into());
        }
        if wanted.leg.forbidden().any(|id| texts.hold(id)) {
            return Finding::Leak("an id that had to be removed reached the SSP".into());
        }
    }
    differences(wanted, answer, received).map_or(Finding::Ok, Finding::Difference)
}

fn differences(wanted: &Wanted<'_>, answer: &Answer, received: &[Received]) -> Option<String> {
    let Expected { result, reason, .. } = wanted.expected;
    if !matches!(answer.status, 200 | 204) {
        return Some(format!("the gateway answered {}", answer.status));
    }
    if answer.result != *result || answer.reason != *reason {
        return Some(format!("expected {result} {reason}, came {} {}", answer.result, answer.reason));
    }
    let [request] = received else {
        return Some(format!("the SSP received {} requests", received.len()));
    };
    let body = String::from_utf8_lossy(&request.body);
    body_difference(&wanted.body, &body, wanted.tmax)
}

/// Byte equality, but for the value of `tmax`, which must be a number that is no larger than what came in.
fn body_difference(wanted: &str, body: &str, tmax: u64) -> Option<String> {
    let (before, after) = wanted.split_once(TMAX)?;
    let inner = body.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    let Some(number) = inner else {
        let same = wanted.bytes().zip(body.bytes()).take_while(|(a, b)| a == b).count();
        return Some(format!("the body differs from byte {same} on"));
    };
    match number.parse::<u64>() {
        Ok(left) if left <= tmax => None,
        _ => Some("tmax is no number, or larger than it was".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::case::{Lists, Setting, cases, standing};
    use super::super::table::{BUILT_IN, Table};
    use super::*;
    use crate::privacy::Policy;
    use crate::uid2::Scope;

    const TOKEN: &str = "OurUsersTokenOurUsersTokenOurUsersTokenOurUsersToken";
    const NEW: &str = r#"{"source":"uidapi.com","uids":[{"id":"OurUsersTokenOurUsersTokenOurUsersTokenOurUsersToken","atype":3}]}"#;

    /// The finding for what `tamper` makes of a right body, for one signal's first value in its first place.
    fn found(signal: &str, lists: &str, tamper: impl Fn(String) -> String, answer: (&str, &str)) -> Finding {
        let table = Table::parse(BUILT_IN).unwrap();
        let cases = cases(&table);
        let case = cases.iter().find(|case| case.signal == signal).unwrap();
        let standing = standing(&table);
        let lists: &Lists<'_> = standing.iter().find(|l| l.name == lists).unwrap();
        let setting = Setting { name: "-".into(), scope: Scope::Uid2, policy: Policy::default() };
        let expected = Expected::of(case, lists, &setting, &table.ssps);
        let ssp = &table.ssps[1];
        let leg = expected.leg(ssp);
        let inbound = super::super::drive::inbound(case, lists);
        let wanted = Wanted {
            expected: &expected,
            leg: &leg,
            body: expected.body(&inbound, lists, (ssp, &leg), NEW),
            token: TOKEN,
            tmax: 5000,
        };
        let body = tamper(wanted.body.replace(TMAX, "4990"));
        let received = Received { path: "/".into(), headers: HeaderMap::new(), body: body.into() };
        let answer = Answer { status: 204, result: answer.0.into(), reason: answer.1.into() };
        row(&wanted, &answer, &[received])
    }

    #[test]
    fn a_right_body_is_right() {
        assert_eq!(found("coppa", "UID2 in both", |body| body, ("denied", "coppa")), Finding::Ok);
        assert_eq!(found("gpp-clean", "nothing", |body| body, ("injected", "fresh")), Finding::Ok);
    }

    #[test]
    fn a_planted_token_is_a_leak() {
        let plant = |body: String| body.replacen('{', &format!(r#"{{"ext":"{TOKEN}","#), 1);
        for (signal, answer) in [("coppa", ("denied", "coppa")), ("dnt", ("absent", "dnt"))] {
            let finding = found(signal, "nothing", plant, answer);
            assert!(matches!(finding, Finding::Leak(_)), "{finding:?}");
        }
        let theirs = |body: String| {
            body.replacen('{', &format!(r#"{{"ext":"{}","#, "TheirsUid2InEidsx".repeat(20)), 1)
        };
        let finding = found("coppa", "UID2 in user.eids", theirs, ("denied", "coppa"));
        assert!(matches!(finding, Finding::Leak(_)), "{finding:?}");
        // The same bytes are no leak where they may stay.
        let finding = found("dnt", "UID2 in user.eids", theirs, ("kept", "theirs"));
        assert!(matches!(finding, Finding::Difference(_)), "{finding:?}");
    }

    #[test]
    fn every_other_slip_is_a_difference() {
        let same = |body: String| body;
        for (tamper, answer) in [
            (&same as &dyn Fn(String) -> String, ("absent", "coppa")),
            (&same, ("denied", "lmt")),
            (&|body: String| body.replace("\"w\":300", "\"w\":300.0"), ("denied", "coppa")),
            (&|body: String| body.replace("4990", "5001"), ("denied", "coppa")),
            (&|body: String| body.replace("4990", "\"4990\""), ("denied", "coppa")),
        ] {
            let finding = found("coppa", "UID2 in both", tamper, answer);
            assert!(matches!(finding, Finding::Difference(_)), "{finding:?}");
        }
        // A token that had to be sent and was not.
        let without = |body: String| body.replace(NEW, "");
        let finding = found("gpp-clean", "nothing", without, ("injected", "fresh"));
        assert!(matches!(finding, Finding::Difference(_)), "{finding:?}");
    }
}

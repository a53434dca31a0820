//! The judge against what the gateway's scenarios say must leave, against every byte of it altered, and case by case.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::judge::{Judgement, Message, Rules, judge};
use super::*;

const TOKEN: &str = "A4AAAAwNewTokenNewTokenNewTokenNewTokenNewTokenNewTokenNewTokenNewTokenNewTokenNewToken";

fn rules() -> Rules {
    let mut known = Known::default();
    known.add_email("user1@example.com");
    Rules { known, ..Rules::default() }
}

fn judged(sent: &str, received: &str, expect: Expect, rules: &Rules) -> Judgement {
    let headers = HeaderMap::new();
    judge(
        Message { headers: &headers, body: sent.as_bytes() },
        Message { headers: &headers, body: received.as_bytes() },
        expect,
        rules,
    )
}

/// Findings with their places, when anything is right.
fn found(sent: &str, received: &str) -> Vec<(Finding, String)> {
    judged(sent, received, Expect::Any, &rules()).findings
}

fn one(sent: &str, received: &str) -> (Finding, String) {
    let mut all = found(sent, received);
    assert_eq!(all.len(), 1, "{all:?}\n{sent}\n{received}");
    all.remove(0)
}

/// A scenario's request and what one SSP must receive.
struct Case {
    name: String,
    headers: HeaderMap,
    sent: String,
    received: String,
    dialect: Dialect,
    strips_user_id: bool,
    guarded: bool,
}

/// All scenarios in which something is forwarded.
fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/gateway");
    let mut files: Vec<PathBuf> = ["exemplary", "supplemental"]
        .iter()
        .flat_map(|part| fs::read_dir(folder.join(part)).unwrap().map(|file| file.unwrap().path()))
        .collect();
    files.sort();
    files.iter().flat_map(|file| of_file(file)).collect()
}

fn of_file(file: &Path) -> Vec<Case> {
    let whole = fs::read_to_string(file).unwrap();
    let scenario: Value = serde_json::from_str(&whole).unwrap();
    let Some(sent) = scenario["inbound"]["text"].as_str() else { return Vec::new() };
    let mut headers = HeaderMap::new();
    for (name, value) in scenario["inbound"]["headers"].as_object().into_iter().flatten() {
        headers.insert(name.parse::<HeaderName>().unwrap(), value.as_str().unwrap().parse().unwrap());
    }
    let lines = |of: &Value| -> Vec<String> {
        of.as_array().into_iter().flatten().map(|line| line.as_str().unwrap().to_owned()).collect()
    };
    let publisher = lines(&scenario["config"]["publisher"]);
    let Some(ssps) = scenario["ssps"].as_object() else { return Vec::new() };
    let case = |(id, ssp): (&String, &Value)| {
        let received = ssp["expect"]["text"].as_str()?;
        let lines = lines(&scenario["config"]["ssp"][id]);
        let says = |text: &str| lines.iter().any(|line| line.replace(' ', "").contains(text));
        let dialect = if says("openrtb=\"2.5\"") {
            Dialect::V25
        } else if says("openrtb=\"both\"") {
            Dialect::Both
        } else if says("openrtb=\"as-received\"") {
            Dialect::AsReceived
        } else {
            Dialect::V26
        };
        Some(Case {
            name: format!("{}:{id}", file.file_stem().unwrap().to_string_lossy()),
            headers: headers.clone(),
            sent: sent.to_owned(),
            received: received.replace("${TOKEN}", TOKEN).replace("${TMAX}", "17").replace("${NUMBER}", "17"),
            dialect,
            strips_user_id: says("strip_user_id=true"),
            guarded: !publisher.iter().any(|line| line.contains("dii_guard = \"off\"")),
        })
    };
    ssps.iter().filter_map(case).collect()
}

impl Case {
    fn rules(&self) -> Rules {
        let allow = if self.strips_user_id { vec!["user.id".to_owned()] } else { Vec::new() };
        Rules { dialect: Some(self.dialect), allow, ..rules() }
    }

    fn judged(&self, received: &[u8]) -> Judgement {
        let message = |headers, body| Message { headers, body };
        let empty = HeaderMap::new();
        judge(
            message(&self.headers, self.sent.as_bytes()),
            message(&empty, received),
            Expect::Any,
            &self.rules(),
        )
    }
}

#[test]
fn what_the_gateway_must_send_is_never_a_finding() {
    let cases = cases();
    assert!(cases.len() > 100, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in cases.iter().filter(|case| case.guarded) {
        let findings = case.judged(case.received.as_bytes()).findings;
        if !findings.is_empty() {
            wrong.push(format!("{}: {findings:?}\n   {}\n   {}", case.name, case.sent, case.received));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_other_byte_is_a_finding() {
    let (mut altered, mut wrong) = (0, Vec::new());
    for case in cases().iter().filter(|case| case.guarded) {
        let (received, mut last) = (case.received.as_bytes(), String::new());
        for at in 0..received.len() {
            let Some(other) = another(received[at]).filter(|_| !is_meant(case, at)) else {
                continue;
            };
            let mut body = received.to_vec();
            body[at] = other;
            let judgement = case.judged(&body);
            altered += 1;
            let near =
                case.received.get(at.saturating_sub(20)..(at + 10).min(received.len())).unwrap_or_default();
            if judgement.findings.is_empty() && last != case.name {
                last.clone_from(&case.name);
                wrong.push(format!("{}: byte {at} near {near}", case.name));
            }
        }
    }
    assert!(altered > 10_000, "{altered}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Another byte of the same kind.
fn another(byte: u8) -> Option<u8> {
    match byte {
        b'9' => Some(b'8'),
        b'0'..=b'8' => Some(b'9'),
        b'z' | b'Z' => Some(b'x'),
        byte if byte.is_ascii_alphabetic() => Some(byte + 1),
        b' ' => Some(b'\t'),
        b'\n' => Some(b' '),
        _ => None,
    }
}

/// Whether the byte belongs to a token that was not sent, to `tmax` or to who inserted the token: they may be anything.
fn is_meant(case: &Case, at: usize) -> bool {
    let body = case.received.as_str();
    let within =
        |text: &str| body.match_indices(text).any(|(from, _)| (from..from + text.len()).contains(&at));
    let ids = body.split("\"id\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut tokens = ids.filter(|id| id.len() > 50 && !case.sent.contains(id));
    tokens.any(within) || within("17") || within("\"inserter\":\"example.com\"")
}

const SENT: &str = r#"{"id":"r", "imp":[{"id":"1","bidfloor":1.10}],"user":{"id":"u","eids":[{"source":"a.com","uids":[{"id":"x"}]},{"source":"b.com","uids":[{"id":"y"}]}],"ext":{"uid2":{"email":"user1@example.com"},"z":1}},"tmax":300}"#;

fn with(changes: &[(&str, &str)]) -> String {
    let clean = r#""uid2":{"email":"user1@example.com"},"#;
    changes.iter().fold(SENT.replace(clean, ""), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    })
}

#[test]
fn meant_changes_are_told_apart() {
    let judgement = judged(SENT, &with(&[("300", "280")]), Expect::NoToken, &rules());
    assert_eq!(judgement.findings, []);
    assert_eq!(judgement.changes, [Change::TmaxLowered, Change::HintRemoved]);
    assert!(!judgement.unchanged && !judgement.has_token);
    let ours = format!(
        r#","uids":[{{"id":"y"}}]}},{{"source":"uidapi.com","uids":[{{"id":"{TOKEN}","atype":3}}]}}]"#
    );
    let judgement = judged(SENT, &with(&[(r#","uids":[{"id":"y"}]}]"#, &ours)]), Expect::Token, &rules());
    assert_eq!(judgement.findings, []);
    assert_eq!(judgement.changes, [Change::TokenAdded, Change::HintRemoved]);
    assert!(judgement.has_token);
}

#[test]
fn every_kind_of_damage_has_its_name() {
    let other = r#"{"source":"b.com","uids":[{"id":"y"}]}"#;
    let first = r#"{"source":"a.com","uids":[{"id":"x"}]}"#;
    for (changes, finding, place) in [
        (vec![("1.10", "1.1")], Finding::Changed, "imp[0].bidfloor"),
        (vec![("\"r\", ", "\"r\",")], Finding::Spacing, "imp"),
        (vec![("300", "301")], Finding::TmaxRaised, "tmax"),
        (vec![(",\"tmax\":300", "")], Finding::Removed, "tmax"),
        (vec![("\"z\":1", "\"z\":1,\"y\":2")], Finding::Added, "user.ext.y"),
        (
            vec![("\"id\":\"r\", ", ""), ("\"tmax\":300", "\"tmax\":300, \"id\":\"r\"")],
            Finding::Reordered,
            "imp",
        ),
        (vec![(&*format!(",{other}"), "")], Finding::EidLost, "user.eids[1]"),
        (
            vec![(other, &*format!("{other},{}", other.replace('y', "w")))],
            Finding::EidChanged,
            "user.eids[2]",
        ),
        (
            vec![(other, &*format!("{other},{}", other.replace("b.", "c.")))],
            Finding::EidAdded,
            "user.eids[2]",
        ),
        (
            vec![(&*format!("{first},{other}"), &*format!("{other},{first}"))],
            Finding::EidOrder,
            "user.eids[1]",
        ),
        (vec![("},{\"source\":\"b", "}, {\"source\":\"b")], Finding::Spacing, "user.eids"),
        (vec![("\"z\":1", "\"z\":\"user1@example.com\"")], Finding::Changed, "user.ext.z"),
    ] {
        let all = found(SENT, &with(&changes));
        assert_eq!(all.first(), Some(&(finding, place.to_owned())), "{changes:?}: {all:?}");
    }
    assert_eq!(one(SENT, "{").0, Finding::Unreadable);
    assert_eq!(one("{}", "{} ").0, Finding::Spacing);
    assert_eq!(found("no json", "no json"), []);
}

#[test]
fn dii_is_found_wherever_it_stands() {
    let hidden = |text: &str| SENT.replace("\"bidfloor\":1.10", &format!("\"x\":\"{text}\""));
    let hash = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        <sha2::Sha256 as sha2::Digest>::digest(b"user1@example.com"),
    );
    for text in ["user1@example.com", "a user1%40example.com", &hash, "\\u0075ser1@example.com"] {
        let sent = hidden(text);
        let received = sent.replace(r#""uid2":{"email":"user1@example.com"},"#, "");
        assert_eq!(one(&sent, &received), (Finding::Dii, "imp[0].x".to_owned()), "{text}");
    }
    let all = found(SENT, SENT);
    let hint = (Finding::HintLeft, "user.ext.uid2".to_owned());
    assert!(
        all.contains(&hint) && all.contains(&(Finding::Dii, "user.ext.uid2.email".to_owned())),
        "{all:?}"
    );
    let sent = r#"{"user":{"keywords":"a,joe@else.com,b"}}"#;
    assert_eq!(one(sent, sent), (Finding::Dii, "user.keywords".to_owned()));
    assert_eq!(found(sent, r#"{"user":{"keywords":"a,b"}}"#), []);
    assert_eq!(one(sent, r#"{"user":{"keywords":"b"}}"#), (Finding::Changed, "user.keywords".to_owned()));
}

#[test]
fn expectations_hold() {
    let token =
        format!(r#"{{"user":{{"eids":[{{"source":"uidapi.com","uids":[{{"id":"{TOKEN}","atype":3}}]}}]}}}}"#);
    let judge = |sent: &str, received: &str, expect| -> Vec<Finding> {
        judged(sent, received, expect, &rules()).findings.into_iter().map(|(finding, _)| finding).collect()
    };
    assert_eq!(judge("{}", &token, Expect::Token), []);
    assert_eq!(judge("{}", &token, Expect::NoToken), [Finding::TokenUnexpected]);
    assert_eq!(judge(&token, &token, Expect::NoToken), [Finding::TokenUnexpected], "nor their own");
    assert_eq!(judge("{}", "{}", Expect::Token), [Finding::TokenMissing]);
    assert_eq!(judge(&token, "{}", Expect::NoToken).len(), 1, "user is gone with it");
    assert_eq!(judge(&token, r#"{"user":{}}"#, Expect::NoToken), []);
    let raw = token.replace(TOKEN, &"A".repeat(44));
    assert_eq!(judge("{}", &raw, Expect::Any), [Finding::RawUid]);
    let odd = token.replace("\"atype\":3", "\"atype\":\"3\"");
    assert_eq!(judge("{}", &odd, Expect::Any), [Finding::TokenMalformed]);
    let euid = token.replace(
        r#"{"source":"uidapi.com"#,
        &format!(r#"{{"source":"euid.eu","uids":[{{"id":"{TOKEN}","atype":3}}]}},{{"source":"uidapi.com"#),
    );
    assert!(judge("{}", &euid, Expect::Any).contains(&Finding::BothScopes));
}

#[test]
fn each_dialect_has_its_place() {
    let eid = format!(r#"{{"source":"uidapi.com","uids":[{{"id":"{TOKEN}","atype":3}}]}}"#);
    let new = format!(r#"{{"user":{{"eids":[{eid}]}}}}"#);
    let old = format!(r#"{{"user":{{"ext":{{"eids":[{eid}]}}}}}}"#);
    let both = format!(r#"{{"user":{{"eids":[{eid}],"ext":{{"eids":[{eid}]}}}}}}"#);
    for (dialect, right) in [
        (Some(Dialect::V26), [true, false, false]),
        (Some(Dialect::V25), [false, true, false]),
        (Some(Dialect::Both), [false, false, true]),
        (Some(Dialect::AsReceived), [true, false, false]),
        (None, [true, true, true]),
    ] {
        for (body, right) in [&new, &old, &both].into_iter().zip(right) {
            let rules = Rules { dialect, ..rules() };
            let findings = judged("{}", body, Expect::Token, &rules).findings;
            let places = findings.iter().filter(|(finding, _)| *finding == Finding::TokenPlace).count();
            assert_eq!(
                (findings.len(), places),
                (usize::from(!right), usize::from(!right)),
                "{dialect:?} {body}"
            );
        }
    }
}

#[test]
fn eids_go_for_a_reason_only() {
    let sent =
        |more: &str| format!(r#"{{"user":{{"eids":[{{"source":"a.com","uids":[{{"id":"x"}}]}}]}}{more}}}"#);
    let gone = |more: &str| found(&sent(more), &format!(r#"{{"user":{{}}{more}}}"#));
    assert_eq!(gone("")[0].0, Finding::EidLost);
    assert_eq!(gone(r#","regs":{"coppa":0}"#)[0].0, Finding::EidLost);
    for reason in [
        r#","regs":{"coppa":1}"#,
        r#","device":{"lmt":1}"#,
        r#","ext":{"prebid":{"data":{"eidpermissions":[{"source":"a.com","bidders":["z"]}]}}}"#,
    ] {
        assert_eq!(gone(reason), [], "{reason}");
    }
}

#[test]
fn headers_for_the_gateway_alone_stay_there() {
    let of = |pairs: &[(&'static str, &str)]| {
        let pair =
            |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        pairs.iter().map(pair).collect::<HeaderMap>()
    };
    let sent = of(&[("authorization", "Bearer k"), ("x-uid2-email-hash", "h"), ("x-publisher-user-id", "u")]);
    let findings = |received: HeaderMap| {
        let message = |headers| Message { headers, body: b"{}" };
        judge(message(&sent), message(&received), Expect::Any, &rules()).findings
    };
    assert_eq!(findings(of(&[("authorization", "Basic own"), ("x-openrtb-version", "2.6")])), []);
    for name in ["authorization", "x-uid2-email-hash", "x-publisher-user-id"] {
        let received = of(&[(name, sent[name].to_str().unwrap())]);
        assert_eq!(findings(received), [(Finding::HeaderLeft, format!("header {name}"))]);
    }
    let leaks = of(&[("referer", "https://x/?e=user1%40example.com")]);
    assert_eq!(findings(leaks), [(Finding::Dii, "header referer".to_owned())]);
}

#[test]
fn what_is_allowed_by_path_is_no_finding() {
    let rules = Rules { allow: vec!["user.id".into(), "imp[].bidfloor".into()], ..rules() };
    let received = with(&[("1.10", "1.1"), (r#""id":"u","#, "")]);
    let judgement = judged(SENT, &received, Expect::Any, &rules);
    assert_eq!(judgement.findings, []);
    assert!(judgement.changes.contains(&Change::Allowed));
    let rules = Rules { allow: vec!["user".into()], ..rules };
    let sent = r#"{"user":{"x":1}}"#;
    let judgement = judged(sent, r#"{"user":{"x":"joe@else.com"}}"#, Expect::Token, &rules);
    let insisted = [(Finding::TokenMissing, "user".to_owned()), (Finding::Dii, "user.x".to_owned())];
    assert_eq!(judgement.findings, insisted, "what may differ may still not leak");
}

#[test]
fn what_depends_on_the_time_is_not_compared() {
    let places = judge::differing(br#"{"a":1,"b":{"t":100,"x":"y"}}"#, br#"{"a":1,"b":{"t":101,"x":"y"}}"#);
    assert_eq!(places, ["b.t"]);
    let rules = Rules { allow: places, ..rules() };
    assert_eq!(judged(r#"{"b":{"t":1}}"#, r#"{"b":{"t":2}}"#, Expect::Any, &rules).findings, []);
    assert_eq!(judge::differing(b"x", b"y"), [""; 0]);
}

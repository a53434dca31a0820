//! The promise that a byte we did not mean to change never changes, over sockets, with a diff that knows nothing of
//! how the gateway edits: it looks only at what went in, what an SSP received, and how the two differ.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::json_files;
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack};

/// Removes the one EID of ours and puts the number of `tmax` back; what is left must be the input.
///
/// The EID is found as text: our object, its token, and one comma on either side; a `user` or `ext` that exists only
/// to hold it goes with it.
fn undo(received: &str, input: &str) -> Vec<String> {
    let mut candidates = vec![with_tmax_of(received, input)];
    let Some(at) = candidates[0].find(r#"{"source":"uidapi.com","uids":[{"id":""#) else { return candidates };
    let text = candidates.remove(0);
    let end = at + text[at..].find(r#""atype":3}]}"#).expect("our EID is whole") + r#""atype":3}]}"#.len();
    let frames = [
        ("", ""),
        (",", ""),
        (r#""eids":["#, "]"),
        (r#","eids":["#, "]"),
        (r#","ext":{"eids":["#, "]}"),
        (r#""ext":{"eids":["#, "]}"),
        (r#","user":{"eids":["#, "]}"),
        (r#","user":{"ext":{"eids":["#, "]}}"),
    ];
    for (before, after) in frames {
        if text[..at].ends_with(before) && text[end..].starts_with(after) {
            candidates.push(format!("{}{}", &text[..at - before.len()], &text[end + after.len()..]));
        }
    }
    for (object, null) in [(r#"{"eids":["#, "]}"), (r#"{"ext":{"eids":["#, "]}}")] {
        if text[..at].ends_with(object) && text[end..].starts_with(null) {
            candidates.push(format!("{}null{}", &text[..at - object.len()], &text[end + null.len()..]));
        }
    }
    candidates
}

/// The common prefix and suffix around the first difference that is a number on both sides after `tmax`.
fn with_tmax_of(received: &str, input: &str) -> String {
    for (at, _) in input.match_indices("tmax\"") {
        let number = |text: &str, from: usize| -> Option<(usize, usize)> {
            let start = from + text[from..].find(|c: char| c.is_ascii_digit())?;
            let end = start + text[start..].find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len() - start);
            Some((start, end))
        };
        // The member stands at the same distance from the start or, past our EID, from the end.
        let from_end = input.len() - at;
        for candidate in [Some(at), received.rfind("tmax\"").filter(|r| received.len() - r <= from_end + 4)] {
            let Some(place) =
                candidate.filter(|p| received.get(*p..).is_some_and(|t| t.starts_with("tmax\"")))
            else {
                continue;
            };
            if let (Some(theirs), Some(ours)) = (number(received, place), number(input, at)) {
                return format!(
                    "{}{}{}",
                    &received[..theirs.0],
                    &input[ours.0..ours.1],
                    &received[theirs.1..]
                );
            }
        }
    }
    received.to_owned()
}

async fn round(stack: &Stack, ssps: &[ScriptedSsp], input: &str, name: &str) -> bool {
    let headers = [AUTH, ("content-type", "application/json"), ("x-publisher-user-id", "u1")];
    let answer =
        stack.http.post(stack.data, "/openrtb2/auction", &headers, Bytes::from(input.to_owned())).await;
    assert_eq!(answer.status, 204, "{name}: {answer:?}\n{input}");
    let mut injected = false;
    for ssp in ssps {
        let received = String::from_utf8(ssp.last().body.to_vec()).unwrap();
        injected |= received.contains("uidapi.com");
        let candidates = undo(&received, input);
        assert!(
            candidates.iter().any(|c| c == input),
            "{name}: more than our edit changed\nin  {input}\nout {received}"
        );
    }
    injected
}

async fn stack() -> (Stack, Vec<ScriptedSsp>) {
    let mut ssps = Vec::new();
    let mut plan = Plan::default();
    for (id, dialect) in [("alpha", "2.6"), ("beta", "2.5"), ("gamma", "as-received")] {
        let ssp = ScriptedSsp::start(Script::default()).await;
        plan.ssps.push((id.into(), ssp.address, format!("openrtb = {dialect:?}\ntimeout_ms = 2000")));
        ssps.push(ssp);
    }
    let stack = Stack::start(&plan).await;
    stack.logged_in("u1", "user1@example.com").await;
    (stack, ssps)
}

/// Nothing in it that the gateway has to touch beyond adding ours: identifiers that move between places or are
/// stripped, hints that are removed. Told by the text alone, since some fixtures hold what a JSON tree cannot.
fn is_plain(input: &str) -> bool {
    !["ds\":[", "\"eids\"", "\"uid2\"", "publisher_user_id"].iter().any(|word| input.contains(word))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fixtures_change_only_where_we_mean_to() {
    let (stack, ssps) = stack().await;
    let files = json_files("fixtures/openrtb");
    assert!(files.len() >= 20, "only {} fixtures", files.len());
    let (mut plain, mut injected) = (0, 0);
    for file in files {
        let input = std::fs::read_to_string(&file).unwrap();
        if is_plain(&input) {
            plain += 1;
            injected += usize::from(round(&stack, &ssps, &input, &file.display().to_string()).await);
        }
    }
    assert!(plain >= 8 && injected >= 6, "{plain} plain fixtures, {injected} injected");
    stack.stop().await;
}

/// With `Sec-GPC: 1` and without EIDs, the one thing that changes besides `tmax` is that the field comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_gpc_changes_one_member_only() {
    let (stack, ssps) = stack().await;
    let headers =
        [AUTH, ("content-type", "application/json"), ("x-publisher-user-id", "u1"), ("sec-gpc", "1")];
    let mut filled = 0;
    for file in json_files("fixtures/openrtb") {
        let input = std::fs::read_to_string(&file).unwrap();
        if !is_plain(&input) {
            continue;
        }
        let answer =
            stack.http.post(stack.data, "/openrtb2/auction", &headers, Bytes::from(input.clone())).await;
        assert_eq!(answer.status, 204, "{}: {answer:?}", file.display());
        for ssp in &ssps {
            let received = String::from_utf8(ssp.last().body.to_vec()).unwrap();
            assert!(!received.contains("uidapi.com"), "{}", file.display());
            let received = with_tmax_of(&received, &input);
            filled += usize::from(received != input);
            assert!(received == input || without_gpc(&received).any(|text| text == input), "{received}");
        }
    }
    assert!(filled >= 20, "{filled}");
    stack.stop().await;
}

/// The text without a `gpc` of ours and what was made only to hold it.
fn without_gpc(text: &str) -> impl Iterator<Item = String> {
    let frames = [r#"{"ext":{"gpc":"1"}}"#, r#"{"gpc":"1"}"#, r#""gpc":"1""#];
    let made = [r#","regs":"#, r#","ext":"#, r#""ext":"#, ",", ""];
    let all = made.into_iter().flat_map(move |made| frames.map(|frame| format!("{made}{frame}")));
    let gone = all.map(|ours| text.replacen(&ours, "", 1));
    let null = frames.map(|frame| text.replacen(frame, "null", 1));
    gone.chain(null).collect::<Vec<_>>().into_iter()
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("\n\t"), 1 => Just("\r\n  ")].prop_map(String::from)
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("1.10".to_owned()),
        Just("-0".to_owned()),
        Just("1E+400".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        Just(r#""\u00e9\ud83d\ude00 \/ \"tmax\" ""#.to_owned()),
        Just(r#""{\"source\":1}""#.to_owned()),
        "[a-zé€ ]{0,12}".prop_map(|s| format!("\"{s}\"")),
    ]
}

fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        let pair = ("[a-z]{1,6}", space(), inner.clone()).prop_map(|(k, s, v)| format!("\"x{k}\"{s}:{s}{v}"));
        prop_oneof![
            (prop::collection::vec(inner, 0..4), space())
                .prop_map(|(v, s)| format!("[{s}{}{s}]", v.join(&format!("{s},{s}")))),
            (prop::collection::vec(pair, 0..4), space())
                .prop_map(|(v, s)| format!("{{{s}{}{s}}}", unique(v).join(&format!(",{s}")))),
        ]
    })
}

/// Members with different names only: duplicates of unknown members are legal but hard on the eye in a failure.
fn unique(members: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    members
        .into_iter()
        .filter(|m| seen.insert(m.split(':').next().map(str::trim).map(str::to_owned)))
        .collect()
}

fn user() -> impl Strategy<Value = Option<String>> {
    let ext = prop_oneof![
        Just(r#""ext":null"#.to_owned()),
        Just(r#""ext":{}"#.to_owned()),
        value().prop_map(|v| format!(r#""ext":{{"consent2":{v}}}"#)),
    ];
    prop_oneof![
        Just(None),
        Just(Some(r#""user":null"#.to_owned())),
        (space(), value(), prop::option::of(ext), any::<bool>()).prop_map(|(s, v, ext, last)| {
            let mut members = vec![format!(r#""yob"{s}:{v}"#)];
            if let Some(ext) = ext {
                members.insert(usize::from(last), ext);
            }
            Some(format!(r#""user":{s}{{{s}{}{s}}}"#, members.join(&format!("{s},"))))
        }),
    ]
}

fn request() -> impl Strategy<Value = String> {
    let tmax = prop::option::of(prop_oneof![Just(900_u32), Just(1000), Just(5000)]);
    (user(), prop::collection::vec(value(), 0..3), tmax, space(), any::<u8>()).prop_map(
        |(user, extra, tmax, s, turn)| {
            let mut members = vec![
                r#""id":"r""#.to_owned(),
                format!(r#""imp":[{s}{{"id":"1"}}{s}]"#),
                r#""device":{"geo":{"country":"USA"}}"#.to_owned(),
            ];
            members.extend(user);
            members.extend(extra.into_iter().enumerate().map(|(i, v)| format!("\"new{i}\"{s}:{v}")));
            members.extend(tmax.map(|t| format!("\"tmax\"{s}:{s}{t}")));
            let by = usize::from(turn) % members.len();
            members.rotate_left(by);
            format!("{s}{{{s}{}{s}}}{s}", members.join(&format!("{s},{s}")))
        },
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_requests_change_only_where_we_mean_to() {
    const CASES: usize = 400;
    let (stack, ssps) = stack().await;
    let mut runner = TestRunner::deterministic();
    let mut injected = 0;
    for case in 0..CASES {
        let input = request().new_tree(&mut runner).unwrap().current();
        injected += usize::from(round(&stack, &ssps, &input, &format!("case {case}")).await);
    }
    assert!(injected > CASES * 3 / 4, "only {injected} of {CASES} were injected");
    stack.stop().await;
}

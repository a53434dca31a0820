//! The ends of a capture, with a clock that can be turned.

use http_body_util::BodyExt as _;

use super::*;
use crate::gateway::Sample;
use crate::time::Clock;

const BODY: &str = r#"{"id":"r","imp":[{"id":"1"}],"user":{"id":"user-4711"}}"#;

fn captures(max_bytes: u64) -> Captures {
    let settings = CaptureSettings { max_time: Duration::from_mins(10), max_requests: 10_000, max_bytes };
    Captures { tap: Arc::default(), settings, limits: Limits::default(), drain: Drain::default() }
}

/// The same request at the same time, so that every line has the same length.
fn samples(count: usize) -> impl Iterator<Item = Sample> {
    let started = Clock::monotonic();
    (0..count).map(move |_| Sample { started, user: None, version: None, gpc: None, body: BODY.into() })
}

/// How many bytes came, and the tally.
async fn read(lines: Lines) -> (u64, String) {
    let body = lines.collect().await.unwrap();
    let tally =
        body.trailers().and_then(|trailers| trailers.get(TALLY)).unwrap().to_str().unwrap().to_owned();
    (body.to_bytes().len() as u64, tally)
}

async fn recorded(captures: &Captures, query: &str, count: usize) -> (u64, String) {
    let lines = captures.begin(Some(query)).unwrap();
    samples(count).for_each(|sample| captures.tap.give(sample));
    read(lines).await
}

#[tokio::test(start_paused = true)]
async fn bytes_end_a_capture_at_the_limit() {
    let (line, _) = recorded(&captures(1 << 20), "max=1", 1).await;
    let (bytes, tally) = recorded(&captures(2 * line), "seconds=1", 2).await;
    assert_eq!(
        (bytes, tally),
        (2 * line, format!("recorded=2;bytes={bytes};dropped=0;refused=0;ended=time"))
    );
    for (limit, fit) in [(2 * line, 2), (2 * line - 1, 1), (line, 1), (line - 1, 0)] {
        let (bytes, tally) = recorded(&captures(limit), "seconds=600", 3).await;
        assert_eq!(bytes, fit * line);
        assert_eq!(tally, format!("recorded={fit};bytes={bytes};dropped=0;refused=0;ended=bytes"));
    }
}

/// What waited when the time was over is told, what came later is not.
#[tokio::test(start_paused = true)]
async fn time_ends_the_recording_and_not_the_telling() {
    let captures = captures(1 << 20);
    let mut lines = captures.begin(Some("seconds=5")).unwrap();
    samples(LINES + 20).for_each(|sample| captures.tap.give(sample));
    tokio::time::advance(Duration::from_secs(6)).await;
    let first = lines.frame().await.unwrap().unwrap();
    assert!(first.is_data());
    until_closed(&captures.tap).await;
    captures.tap.give(samples(1).next().unwrap());
    let (_, tally) = read(lines).await;
    assert!(
        tally.starts_with(&format!("recorded={};", LINES + 20)) && tally.ends_with("ended=time"),
        "{tally}"
    );
}

/// A client that does not read costs the path no longer than one that does.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_does_not_hold_the_tap() {
    let captures = captures(1 << 20);
    let begun = tokio::time::Instant::now();
    let unread = captures.begin(Some("seconds=5")).unwrap();
    samples(LINES + 20).for_each(|sample| captures.tap.give(sample));
    until_closed(&captures.tap).await;
    assert!(begun.elapsed() <= Duration::from_secs(6), "{:?}", begun.elapsed());
    drop(unread);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_it_and_what_was_left_out_is_counted() {
    let captures = captures(1 << 20);
    let lines = captures.begin(Some("seconds=600&max=10000")).unwrap();
    samples(2_000).for_each(|sample| captures.tap.give(sample));
    captures.tap.give(Sample { body: "{}".into(), ..samples(1).next().unwrap() });
    captures.drain.enter(Stage::Closing);
    let (_, tally) = read(lines).await;
    assert!(tally.contains("recorded=1024;") && tally.contains("dropped=977;"), "{tally}");
}

/// Returns when another could record.
async fn until_closed(tap: &Arc<Tap>) {
    while tap.record().is_none() {
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_millis(100)).await;
    }
}

//! The ends of a capture, with a clock that can be turned.

use http_body_util::BodyExt as _;

use super::*;
use crate::gateway::Sample;
use crate::time::Clock;

const BODY: &str = r#"{"id":"r","imp":[{"id":"1"}],"user":{"id":"user-4711"}}"#;

fn captures(max_bytes: u64) -> Captures {
    let settings = CaptureSettings { max_time: Duration::from_mins(10), max_requests: 10_000, max_bytes };
    Captures { tap: Arc::default(), settings, limits: Box::new(Limits::default), drain: Drain::default() }
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
    samples(FRAMES + 20).for_each(|sample| captures.tap.give(sample));
    tokio::time::advance(Duration::from_secs(6)).await;
    let first = lines.frame().await.unwrap().unwrap();
    assert!(first.is_data());
    until(|| !captures.tap.is_open()).await;
    captures.tap.give(samples(1).next().unwrap());
    let (_, tally) = read(lines).await;
    assert!(
        tally.starts_with(&format!("recorded={};", FRAMES + 20)) && tally.ends_with("ended=time"),
        "{tally}"
    );
}

/// A client that does not read costs the path no longer than one that does.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_does_not_hold_the_tap() {
    let captures = captures(1 << 20);
    let begun = tokio::time::Instant::now();
    let unread = captures.begin(Some("seconds=5")).unwrap();
    samples(FRAMES + 20).for_each(|sample| captures.tap.give(sample));
    until(|| !captures.tap.is_open()).await;
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

/// It is over with its last request, also while nobody reads.
#[tokio::test(start_paused = true)]
async fn the_last_request_closes_the_tap_before_it_is_read() {
    let captures = captures(1 << 20);
    let lines = captures.begin(Some(&format!("seconds=600&max={FRAMES}"))).unwrap();
    samples(FRAMES).for_each(|sample| captures.tap.give(sample));
    let begun = tokio::time::Instant::now();
    until(|| !captures.tap.is_open()).await;
    assert!(begun.elapsed() < AFTERWARDS, "{:?}", begun.elapsed());
    assert!(read(lines).await.1.ends_with("ended=requests"));
}

/// Lines of more than a frame are told whole, and wait by their bytes and not by their number.
#[tokio::test(start_paused = true)]
async fn long_lines_are_told_whole_and_wait_in_bounded_room() {
    let captures = captures(1 << 30);
    let long = format!(r#"{{"id":"r","imp":[{{"id":"1"}}],"x":"{}"}}"#, "y".repeat(3 * FRAME_BYTES / 2));
    let lines = captures.begin(Some("seconds=5&max=100")).unwrap();
    let bodies: Vec<Bytes> = (0..100).map(|_| Bytes::from(long.clone())).collect();
    for body in &bodies {
        captures.tap.give(Sample { body: body.clone(), ..samples(1).next().unwrap() });
    }
    let taken = || bodies.iter().filter(|body| body.is_unique()).count();
    until(|| taken() >= FRAMES / 2).await;
    until(|| !captures.tap.is_open()).await;
    assert_eq!(taken(), FRAMES / 2, "two frames each; the others wait at the tap");
    let body = lines.collect().await.unwrap();
    let tally = body.trailers().unwrap()[TALLY].to_str().unwrap().to_owned();
    assert!(tally.starts_with("recorded=100;"), "{tally}");
    let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    assert!(
        text.lines().count() == 100 && text.lines().all(|line| line.ends_with("y\"}}")),
        "{}",
        text.len()
    );
}

/// The next begins when what the last one recorded is out of the house: read, or let go of.
#[tokio::test(start_paused = true)]
async fn a_capture_that_is_still_told_has_no_other_beside_it() {
    let captures = captures(1 << 20);
    let mut unread = captures.begin(Some("seconds=5")).unwrap();
    samples(3).for_each(|sample| captures.tap.give(sample));
    until(|| !captures.tap.is_open()).await;
    assert!(matches!(captures.begin(None), Err(CaptureFault::Busy)));
    let begun = tokio::time::Instant::now();
    until(|| captures.begin(None).is_ok()).await;
    assert!(begun.elapsed() <= 2 * AFTERWARDS + Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(unread.frame().await.unwrap().is_err(), "let go of, and the client can tell");
    let lines = loop {
        tokio::task::yield_now().await;
        if let Ok(lines) = captures.begin(Some("max=1")) {
            break lines;
        }
    };
    samples(1).for_each(|sample| captures.tap.give(sample));
    assert!(read(lines).await.1.ends_with("ended=requests"));
    until(|| captures.tap.record().is_some()).await;
}

async fn until(is: impl Fn() -> bool) {
    while !is() {
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_millis(100)).await;
    }
}

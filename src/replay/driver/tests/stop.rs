//! Loads that end before their time.

use std::sync::atomic::Ordering;

use super::*;

#[test]
fn a_load_can_be_stopped_and_watched() {
    let server = Server::plain(|_| PROMPT);
    let load = Load::new(Pace::Constant(500.0));
    let stop = Arc::clone(&load.stop);
    let mut seen = Vec::new();
    let requests = requests(&format!("http://{}/", server.address));
    let report = drive(&load, &requests, &mut |live| {
        seen.push((live.elapsed, live.second.due));
        stop.store(true, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(seen[0], (Duration::from_secs(1), 500));
    assert_eq!(report.stopped_after, None, "it has no other end");
    assert!(settled(&report), "{report:?}");
    assert!(report.due >= 500, "{report}");
}

/// The target takes everything and answers nothing: when it is stopped, a load waits for what it has sent and not for the
/// rest, and says that it is not whole.
#[test]
fn a_load_that_is_stopped_early_says_so() {
    let load = Load {
        duration: Some(Duration::from_hours(1)),
        timeout: ms(1_300),
        grace: Duration::from_hours(1),
        ..Load::new(Pace::Constant(500.0))
    };
    let server = Server::plain(|_| Reply { after: Duration::from_hours(1), ..PROMPT });
    let stop = Arc::clone(&load.stop);
    let requests = requests(&format!("http://{}/", server.address));
    let report = drive(&load, &requests, &mut |_| stop.store(true, Ordering::Relaxed)).unwrap();
    assert!(settled(&report), "{report:?}");
    let stopped = report.stopped_after.unwrap();
    assert!(stopped >= ms(1_000) && report.span() >= stopped && report.span() < Duration::from_hours(1));
    assert!(!report.passed() && report.json()["ok"] == false);
    assert!(report.to_string().contains("stopped after 1."), "{report}");
}

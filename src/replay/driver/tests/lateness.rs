//! What the report says about the driver's own delays, and that it makes none.

use std::sync::mpsc::{Receiver, channel};

use tokio::sync::mpsc::unbounded_channel;

use super::super::http2;
use super::super::lane::{Beginning, Shared, Tickets};
use super::super::link::Link;
use super::super::tally::Tally;
use super::super::timer::Timer;
use super::*;
use crate::replay::schedule::Ticket;

fn ticket(number: u64, due: Duration) -> Ticket {
    Ticket { number, due, counted: true }
}

fn shared(tickets: Tickets, slots: usize) -> (Shared, Receiver<Tally>) {
    let (tallies, told) = channel();
    let beginning = Beginning {
        requests: requests("http://127.0.0.1:1/"),
        tickets,
        due: Box::new(std::iter::empty()),
        warmup: Duration::ZERO,
        end: Duration::MAX,
        timeout: Duration::from_hours(1),
        grace: Duration::ZERO,
        answered: None,
        tallies,
    };
    (Shared::new(beginning, slots, Timer::new().unwrap()), told)
}

fn spin(until: std::time::Instant) {
    while Clock::monotonic() < until {
        std::hint::spin_loop();
    }
}

/// Of two requests, the second one due when the first one's answer comes and the timer has not rung: how many say how
/// late the driver was.
fn prompt(slots: usize) -> u64 {
    let (shared, told) = shared(Box::new([ticket(0, ms(0)), ticket(1, ms(1))].into_iter()), slots);
    let (sender, _requests) = unbounded_channel();
    shared.opened((0..slots).map(|index| (index, Link::Http2(http2::Link(sender.clone())))));
    let start = Clock::monotonic();
    shared.begin(start);
    shared.dispatch();
    spin(start + ms(2));
    shared.finished(0, Ok((204, 0)), true);
    shared.conclude();
    let mut report = Report::default();
    for tally in told.try_iter() {
        tally.add_to(&mut report);
    }
    assert_eq!((report.sent, report.wait.len()), (2, 2));
    report.lateness.len()
}

#[tokio::test]
async fn a_request_that_goes_out_late_beside_an_unused_connection_is_the_drivers_delay() {
    assert_eq!(prompt(1), 1, "the second one waited for the only connection");
    assert_eq!(prompt(2), 2);
}

#[tokio::test]
async fn the_timer_rings_in_time_after_work_that_took_long() {
    let (work, due) = (ms(250), ms(300));
    let slow = (0..1).map(move |number| {
        spin(Clock::monotonic() + work);
        ticket(number, due)
    });
    let (shared, _told) = shared(Box::new(slow), 0);
    let start = Clock::monotonic();
    shared.begin(start);
    shared.dispatch();
    shared.timer.rung().await;
    let rang = start.elapsed();
    assert!(rang >= due && rang < due + work, "{rang:?}");
}

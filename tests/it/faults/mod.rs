//! The fault matrix: each partner, each fault, at each moment, over real sockets. Whatever happens, as many answers come
//! back as requests went in, each in time, and each is counted once.

mod caller;
mod crowd;
mod operator;
mod ssp;
mod table;

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};

use crate::support::stack::Stack;

/// How long a machine that does other things besides may take to let somebody look at the clock. The bound that is
/// meant is 20 ms, and the measured worst is printed; a test that fails because of its neighbours is of no use.
const BUSY: Duration = Duration::from_millis(230);
/// What an answer may take past its deadline.
const SLACK: Duration = Duration::from_millis(20);

/// The most that an answer took past its deadline.
#[derive(Debug, Default)]
struct Worst(Mutex<Duration>);

impl Worst {
    /// An answer that was due `within` so long of `asked` has come now.
    fn note(&self, what: &str, asked: Instant, within: Duration) {
        let late = asked.elapsed().saturating_sub(within);
        assert!(late <= SLACK + BUSY, "{what}: {late:?} past its deadline of {within:?}");
        let mut worst = self.0.lock().unwrap();
        *worst = late.max(*worst);
    }

    #[expect(clippy::print_stdout, reason = "the figure is what the test is for")]
    fn print(&self, rows: usize, what: &str) {
        let late = *self.0.lock().unwrap();
        println!("{rows} rows, {what}: the latest answer came {late:?} past its deadline (meant: {SLACK:?})");
    }
}

/// Rows at once: few, so that they do not make each other late.
const AT_ONCE: usize = 3;

/// Runs all of them. A row that fails says so, and the others go on.
async fn all<F: Future<Output = ()>>(rows: impl Iterator<Item = F>) {
    let caught = rows.map(|row| AssertUnwindSafe(row).catch_unwind());
    let ends: Vec<_> = futures_util::stream::iter(caught).buffer_unordered(AT_ONCE).collect().await;
    let failed = ends.iter().filter(|end| end.is_err()).count();
    assert_eq!(failed, 0, "of {} rows; each has said what", ends.len());
}

/// The sum of all series of a family with this in their labels.
async fn sum(stack: &Stack, family: &str, label: &str) -> f64 {
    let text = stack.http.get(stack.admin, "/metrics", &[]).await.text();
    let values = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let labels = series.strip_prefix(family)?;
        (labels.starts_with('{') && labels.contains(label)).then(|| value.parse::<f64>().unwrap())
    });
    values.sum()
}

/// A count as metrics show it.
fn count(times: usize) -> f64 {
    f64::from(u32::try_from(times).unwrap())
}

#[track_caller]
fn same(seen: f64, expected: usize, what: &str) {
    assert!((seen - count(expected)).abs() < f64::EPSILON, "{what}: {seen} instead of {expected}");
}

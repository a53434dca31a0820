//! Which base URL a try goes to: the first in order that is not known to be in trouble. A circuit breaker per base URL: one that
//! failed many times in a row, or asked for a pause, is left alone for a while; then one call looks whether it is back.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Uri;

use super::fault::{Fault, OperatorError};
use crate::net::backoff::full_jitter;
use crate::time::UnixMillis;

/// For so long a base URL that failed is tried after the others.
const SHUNNED_MS: i64 = 10_000;

/// So many failures in a row, and a base URL is left alone.
const OPEN_AFTER: u32 = 10;
/// Longest first pause; it doubles with each failure after it.
const PAUSE_BASE: Duration = Duration::from_secs(1);
const PAUSE_CAP: Duration = Duration::from_secs(10);
/// For so long the call that looks whether a URL is back is the only one.
const PROBE_MS: i64 = 3_000;

/// What we remember of base URLs. They come from configuration, so there are few.
#[derive(Debug, Default)]
pub(super) struct Failover {
    /// A plain lock: nothing awaits under it.
    urls: Mutex<HashMap<Uri, Trouble>>,
}

/// How it stands with a URL that failed.
#[derive(Debug)]
struct Trouble {
    /// Failures in a row.
    failures: u32,
    /// Until when it stands behind the others.
    shunned: UnixMillis,
    /// Why it is left alone, and until when; a moment that has passed means that the next call is to look.
    rest: Option<(Fault, UnixMillis)>,
}

impl Failover {
    /// `urls` in the order to try them: the sound ones as configured, then those in trouble, without those that are left
    /// alone. When that leaves none, the fault of the first.
    pub(super) fn route<'a>(&self, urls: &'a [Uri], now: UnixMillis) -> Result<Vec<&'a Uri>, OperatorError> {
        let mut troubles = self.urls.lock().unwrap_or_else(PoisonError::into_inner);
        let mut order: Vec<&Uri> = Vec::with_capacity(urls.len());
        let mut resting = None;
        for url in urls {
            match troubles.get_mut(url).and_then(|trouble| trouble.rests(now)) {
                Some(fault) => resting = resting.or(Some(fault)),
                None => order.push(url),
            }
        }
        if let (true, Some(fault)) = (order.is_empty(), resting) {
            return Err(OperatorError::new(fault, "left alone for a while, after what it answered before"));
        }
        order.sort_by_key(|url| troubles.get(*url).is_some_and(|trouble| now < trouble.shunned));
        Ok(order)
    }

    /// Remembers how a request to `url` went. `random` is uniform over all of `u64`.
    pub(super) fn note(&self, url: &Uri, error: Option<&OperatorError>, (now, random): (UnixMillis, u64)) {
        let mut troubles = self.urls.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = error.filter(|error| error.fault.moves_on() || error.retry_after().is_some());
        let Some(error) = failed else {
            troubles.remove(url);
            return;
        };
        let fresh = Trouble { failures: 0, shunned: now, rest: None };
        troubles.entry(url.clone()).or_insert(fresh).note(error, now, random);
    }
}

impl Trouble {
    fn note(&mut self, error: &OperatorError, now: UnixMillis, random: u64) {
        self.failures = self.failures.saturating_add(1);
        self.shunned = now.plus(SHUNNED_MS);
        let further = self.failures.checked_sub(OPEN_AFTER);
        let pause = further.map(|attempt| full_jitter(attempt, PAUSE_BASE, PAUSE_CAP, random));
        self.rest = pause
            .max(error.retry_after())
            .map(|pause| (error.fault, now.plus(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX))));
    }

    /// The fault for which the URL is left alone at `now`. Who hears `None` after a rest is the one to look.
    fn rests(&mut self, now: UnixMillis) -> Option<Fault> {
        let (fault, until) = self.rest?;
        if now < until {
            return Some(fault);
        }
        self.rest = Some((fault, now.plus(PROBE_MS)));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest pause that jitter gives.
    const LONGEST: u64 = u64::MAX;

    fn urls() -> [Uri; 3] {
        ["http://a", "http://b", "http://c"].map(Uri::from_static)
    }

    fn route<'a>(failover: &Failover, urls: &'a [Uri], ms: i64) -> Result<Vec<&'a str>, Fault> {
        let routed = failover.route(urls, UnixMillis(ms)).map_err(|error| error.fault)?;
        Ok(routed.into_iter().map(|url| url.host().unwrap()).collect())
    }

    fn fails(failover: &Failover, url: &Uri, ms: i64) {
        let error = OperatorError::new(Fault::Connect, "");
        failover.note(url, Some(&error), (UnixMillis(ms), LONGEST));
    }

    #[test]
    fn a_failed_url_stands_behind_for_ten_seconds_or_until_it_works() {
        let (urls, failover) = (urls(), Failover::default());
        let order = |ms| route(&failover, &urls, ms).unwrap();
        assert_eq!(order(0), ["a", "b", "c"]);
        fails(&failover, &urls[0], 0);
        assert_eq!(order(9_999), ["b", "c", "a"]);
        assert_eq!(order(10_000), ["a", "b", "c"]);
        fails(&failover, &urls[1], 0);
        assert_eq!(order(0), ["c", "a", "b"]);
        failover.note(&urls[0], None, (UnixMillis(1), LONGEST));
        assert_eq!(order(1), ["a", "c", "b"]);
    }

    #[test]
    fn after_ten_failures_in_a_row_one_call_at_a_time_looks_whether_it_is_back() {
        let (urls, failover) = (&urls()[..1], Failover::default());
        let asks = |ms| route(&failover, urls, ms).map(|urls| urls.len());
        (0..9).for_each(|_| fails(&failover, &urls[0], 0));
        assert_eq!(asks(0), Ok(1));
        fails(&failover, &urls[0], 0);
        assert_eq!((asks(0), asks(999)), (Err(Fault::Connect), Err(Fault::Connect)));
        assert_eq!((asks(1_000), asks(1_000)), (Ok(1), Err(Fault::Connect)), "one looks");
        fails(&failover, &urls[0], 1_000);
        assert_eq!((asks(2_999), asks(3_000)), (Err(Fault::Connect), Ok(1)), "twice as long");
        (0..50).for_each(|_| fails(&failover, &urls[0], 3_000));
        assert_eq!(
            (asks(12_999), asks(13_000)),
            (Err(Fault::Connect), Ok(1)),
            "never longer than ten seconds"
        );
        assert_eq!(asks(13_000 + PROBE_MS), Ok(1), "who looked never reported back");
        failover.note(&urls[0], None, (UnixMillis(16_000), LONGEST));
        assert_eq!((asks(16_000), asks(16_000)), (Ok(1), Ok(1)));
    }

    #[test]
    fn a_url_that_is_left_alone_leaves_the_others() {
        let (urls, failover) = (urls(), Failover::default());
        (0..10).for_each(|_| fails(&failover, &urls[0], 0));
        assert_eq!(route(&failover, &urls, 500), Ok(vec!["b", "c"]));
        assert_eq!(route(&failover, &urls, 1_000), Ok(vec!["b", "c", "a"]), "it may look, last");
    }
}

//! What the end of a request tells about an SSP, for its circuit breaker.

use std::time::Duration;

use super::{BreakerRule, SspOutcome};
use crate::net::breaker::Health;

/// The SSP's own faults are failures; what the gateway or the request brought about tells nothing.
pub(super) fn health(rule: &BreakerRule, outcome: SspOutcome, elapsed: Duration) -> Health {
    match outcome {
        SspOutcome::Bid | SspOutcome::NoBid => Health::Good,
        SspOutcome::Http4xx if !rule.count_4xx => Health::Good,
        SspOutcome::Timeout if elapsed < rule.slow => Health::Unknown,
        SspOutcome::Open | SspOutcome::Limit => Health::Unknown,
        SspOutcome::Timeout
        | SspOutcome::Connect
        | SspOutcome::Http4xx
        | SspOutcome::Http5xx
        | SspOutcome::Invalid
        | SspOutcome::TooLarge => Health::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::breaker::BreakerSettings;

    fn rule(count_4xx: bool) -> BreakerRule {
        let settings = BreakerSettings {
            window: Duration::from_secs(5),
            min_requests: 50,
            failure_percent: 80,
            open: Duration::from_secs(1),
            max_open: Duration::from_secs(30),
        };
        BreakerRule { settings, slow: Duration::from_millis(100), count_4xx }
    }

    #[test]
    fn every_outcome_has_its_weight() {
        let at_once = Duration::ZERO;
        for outcome in SspOutcome::ALL {
            let expected = match outcome {
                SspOutcome::Bid | SspOutcome::NoBid | SspOutcome::Http4xx => Health::Good,
                SspOutcome::Timeout | SspOutcome::Open | SspOutcome::Limit => Health::Unknown,
                _ => Health::Bad,
            };
            assert_eq!(health(&rule(false), outcome, at_once), expected, "{outcome:?}");
        }
        assert_eq!(health(&rule(true), SspOutcome::Http4xx, at_once), Health::Bad);
    }

    #[test]
    fn a_timeout_counts_from_the_time_the_ssp_should_need() {
        let after = |millis| health(&rule(false), SspOutcome::Timeout, Duration::from_millis(millis));
        assert_eq!((after(99), after(100)), (Health::Unknown, Health::Bad));
    }
}

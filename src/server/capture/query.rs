//! `?seconds=10&max=1000`: what a capture is asked for.

use std::time::Duration;

use super::CaptureSettings;

const SECONDS: u64 = 10;
const REQUESTS: u64 = 1_000;

/// How long and how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wish {
    pub(super) time: Duration,
    pub(super) requests: u64,
}

/// The query cannot be followed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(in crate::server) enum QueryFault {
    /// Not a number, or outside of what is allowed.
    #[error("{name} must be a whole number from 1 to {limit}")]
    Range {
        /// The parameter.
        name: &'static str,
        /// The most that can be asked for.
        limit: u64,
    },
    /// A typing error is seen.
    #[error("unknown parameter; there are seconds and max")]
    Unknown,
}

impl Wish {
    /// What is not said is the default, or the limit where that is less.
    pub(super) fn of(query: Option<&str>, settings: &CaptureSettings) -> Result<Self, QueryFault> {
        let (longest, most) = (settings.max_time.as_secs(), settings.max_requests);
        let (mut seconds, mut requests) = (SECONDS.min(longest), REQUESTS.min(most));
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("seconds", value)) => seconds = number("seconds", value, longest)?,
                Some(("max", value)) => requests = number("max", value, most)?,
                _ => return Err(QueryFault::Unknown),
            }
        }
        Ok(Self { time: Duration::from_secs(seconds), requests })
    }
}

fn number(name: &'static str, value: &str, limit: u64) -> Result<u64, QueryFault> {
    let number = value.parse().ok().filter(|number| (1..=limit).contains(number));
    number.ok_or(QueryFault::Range { name, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_hold_up_to_the_limits() {
        let settings =
            CaptureSettings { max_time: Duration::from_mins(1), max_requests: 5_000, max_bytes: 1 << 20 };
        let of = |query| Wish::of(query, &settings).map(|wish| (wish.time.as_secs(), wish.requests));
        assert_eq!(of(None), Ok((10, 1_000)));
        assert_eq!(of(Some("")), Ok((10, 1_000)));
        assert_eq!(of(Some("seconds=60&max=5000")), Ok((60, 5_000)));
        assert_eq!(of(Some("max=1")), Ok((10, 1)));
        for (query, name, limit) in [
            ("seconds=61", "seconds", 60),
            ("seconds=0", "seconds", 60),
            ("seconds=1.5", "seconds", 60),
            ("max=5001", "max", 5_000),
            ("max=0", "max", 5_000),
            ("max=", "max", 5_000),
        ] {
            assert_eq!(of(Some(query)), Err(QueryFault::Range { name, limit }), "{query}");
        }
        for query in ["second=1", "seconds", "a=b"] {
            assert_eq!(of(Some(query)), Err(QueryFault::Unknown), "{query}");
        }
        let small = CaptureSettings { max_time: Duration::from_secs(2), max_requests: 3, max_bytes: 1 };
        assert_eq!(Wish::of(None, &small), Ok(Wish { time: Duration::from_secs(2), requests: 3 }));
    }
}

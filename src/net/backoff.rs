//! Waiting between tries: exponential with full jitter.

use std::time::Duration;

/// How long to wait before try `attempt` + 1 (0 = after the first failure): evenly spread over
/// `0 ..= min(cap, base · 2^attempt)`. `random` is handed in, uniform over all of `u64`.
///
/// Full jitter spreads the callers that one outage has lined up better than a jitter around the exponential does.
pub fn full_jitter(attempt: u32, base: Duration, cap: Duration, random: u64) -> Duration {
    let ceiling =
        2_u32.checked_pow(attempt).and_then(|factor| base.checked_mul(factor)).unwrap_or(cap).min(cap);
    let ceiling_nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(scaled(ceiling_nanos, random))
}

/// `random` mapped onto `0 ..= ceiling`.
fn scaled(ceiling: u64, random: u64) -> u64 {
    let product = (u128::from(ceiling) + 1) * u128::from(random);
    u64::try_from(product >> u64::BITS).unwrap_or(ceiling)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(10);

    #[test]
    fn the_ceiling_doubles_until_the_cap() {
        let most = |attempt| full_jitter(attempt, BASE, CAP, u64::MAX);
        assert_eq!(most(0), Duration::from_millis(100));
        assert_eq!(most(1), Duration::from_millis(200));
        assert_eq!(most(6), Duration::from_millis(6_400));
        assert_eq!(most(7), CAP);
        assert_eq!(most(31), CAP);
        assert_eq!(most(32), CAP);
        assert_eq!(most(u32::MAX), CAP);
    }

    #[test]
    fn the_wait_spreads_from_zero_over_the_whole_range() {
        assert_eq!(full_jitter(3, BASE, CAP, 0), Duration::ZERO);
        assert_eq!(full_jitter(0, BASE, CAP, u64::MAX / 4).as_millis(), 25);
        assert_eq!(full_jitter(1, BASE, CAP, u64::MAX / 2 + 1).as_millis(), 100);
    }

    #[test]
    fn nothing_overflows() {
        assert_eq!(full_jitter(40, Duration::MAX, Duration::MAX, u64::MAX), Duration::from_nanos(u64::MAX));
        assert_eq!(full_jitter(3, BASE, Duration::ZERO, u64::MAX), Duration::ZERO);
    }
}

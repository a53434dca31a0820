//! `breaker` of an `[[ssp]]`: `false`, or a table of what differs from the defaults.

use std::ops::RangeInclusive;

use super::reader::Section;
use super::resolved::Value;
use super::sections::millis;
use crate::net::breaker::BreakerSettings;
use crate::ssp::BreakerRule;

/// `timeout_ms` is the SSP's.
pub(super) fn rule(ssp: &Section<'_>, timeout_ms: u64) -> Option<BreakerRule> {
    let switch = ssp.raw("breaker").and_then(|value| value.get_ref().as_bool());
    if let Some(switch) = switch {
        ssp.note("breaker", Value::Flag(switch));
    }
    if switch == Some(false) {
        return None;
    }
    let table = if switch.is_some() { None } else { ssp.table("breaker", "ssp.breaker") };
    let number = |key: &'static str, range: RangeInclusive<u64>, default: u64| {
        table.as_ref().map_or(default, |table| table.integer(key, range, default))
    };
    let open = number("open_ms", 10..=600_000, 1_000);
    let max_open = number("max_open_ms", 10..=3_600_000, 30_000.max(open));
    if let Some(table) = table.as_ref().filter(|_| max_open < open) {
        table.missing("max_open_ms", "must not be smaller than open_ms");
    }
    let settings = BreakerSettings {
        window: millis(number("window_ms", 100..=600_000, 5_000)),
        min_requests: number("min_requests", 1..=1_000_000, 50),
        failure_percent: number("failure_percent", 1..=100, 80),
        open: millis(open),
        max_open: millis(max_open),
    };
    let slow = millis(number("slow_ms", 0..=60_000, timeout_ms / 2));
    let count_4xx = table.as_ref().is_some_and(|table| table.flag("count_4xx", false));
    Some(BreakerRule { settings, slow, count_4xx })
}

//! The highest rate that meets a goal: doubling until it is missed, then halving the gap.

/// How a search goes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Search {
    /// Requests per second of the first probe.
    pub first: f64,
    /// No probe goes above it.
    pub highest: f64,
    /// Ends when the rates that are met and missed are so close: 0.05 for 5 %.
    pub precision: f64,
}

impl Default for Search {
    fn default() -> Self {
        Self { first: 500.0, highest: 1e6, precision: 0.05 }
    }
}

/// Rates below one request a second are no load.
const LOWEST: f64 = 1.0;

impl Search {
    /// Asks `met` about one rate after the other; the highest that was met, or `None` when none was. Each probe is whole
    /// requests per second.
    pub fn run<E>(&self, mut met: impl FnMut(f64) -> Result<bool, E>) -> Result<Option<f64>, E> {
        let mut rate = self.first.min(self.highest).max(LOWEST).round();
        let (mut good, mut bad) = (None, None);
        loop {
            if met(rate)? {
                good = Some(rate);
            } else {
                bad = Some(rate);
            }
            let next = match (good, bad) {
                (Some(good), None) => (good * 2.0).min(self.highest),
                (None, Some(bad)) => bad / 2.0,
                (Some(good), Some(bad)) => f64::midpoint(good, bad),
                (None, None) => return Ok(None),
            }
            .round();
            let close =
                good.zip(bad).is_some_and(|(good, bad)| bad - good <= (good * self.precision).max(1.0));
            if close || next < LOWEST || Some(next) == good || Some(next) == bad {
                return Ok(good);
            }
            rate = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// The rate found for a target that meets the goal up to `limit`, and the probes.
    fn find(search: Search, limit: f64) -> (Option<f64>, Vec<f64>) {
        let mut probes = Vec::new();
        let Ok(found) = search.run(|rate| {
            probes.push(rate);
            Ok::<_, Infallible>(rate <= limit)
        });
        (found, probes)
    }

    #[test]
    fn the_highest_rate_is_found_within_its_precision() {
        for limit in [1.0, 3.0, 490.0, 500.0, 501.0, 7_300.0, 65_000.0] {
            let (found, probes) = find(Search::default(), limit);
            let found = found.unwrap();
            assert!(
                found <= limit && limit <= (found * 1.05).max(found + 1.0),
                "{limit}: {found} {probes:?}"
            );
            assert!(probes.len() <= 16, "{probes:?}");
        }
        assert_eq!(
            find(Search::default(), 1_100.0).1,
            [500.0, 1_000.0, 2_000.0, 1_500.0, 1_250.0, 1_125.0, 1_063.0, 1_094.0]
        );
    }

    #[test]
    fn it_ends_where_there_is_nothing_to_find() {
        let (none, probes) = find(Search::default(), 0.5);
        assert_eq!((none, probes.last()), (None, Some(&1.0)));
        let capped = Search { highest: 3_000.0, ..Search::default() };
        assert_eq!(find(capped, 1e9), (Some(3_000.0), vec![500.0, 1_000.0, 2_000.0, 3_000.0]));
        let failing = Search::default().run(|rate| if rate > 500.0 { Err("gone") } else { Ok(true) });
        assert_eq!(failing, Err("gone"));
    }
}

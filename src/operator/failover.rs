//! Which base URL a try goes to: the first in order that is not known to be in trouble.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::Uri;

use crate::time::UnixMillis;

/// For so long a base URL that failed is tried after the others.
const SHUNNED_MS: i64 = 10_000;

/// What we remember of base URLs. They come from configuration, so there are few.
#[derive(Debug, Default)]
pub(super) struct Failover {
    /// Until when a URL stands behind. A plain lock: nothing awaits under it.
    shunned: Mutex<HashMap<Uri, UnixMillis>>,
}

impl Failover {
    /// `urls` in the order to try them: the sound ones as configured, then those in trouble.
    pub(super) fn order<'a>(&self, urls: &'a [Uri], now: UnixMillis) -> Vec<&'a Uri> {
        let shunned = self.shunned.lock().unwrap_or_else(PoisonError::into_inner);
        let mut order: Vec<&Uri> = urls.iter().collect();
        order.sort_by_key(|url| shunned.get(*url).is_some_and(|until| now < *until));
        order
    }

    /// Remembers how a request to `url` went.
    pub(super) fn note(&self, url: &Uri, up: bool, now: UnixMillis) {
        let mut shunned = self.shunned.lock().unwrap_or_else(PoisonError::into_inner);
        if up {
            shunned.remove(url);
        } else {
            shunned.insert(url.clone(), now.plus(SHUNNED_MS));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_url_stands_behind_for_ten_seconds_or_until_it_works() {
        let urls = ["http://a", "http://b", "http://c"].map(Uri::from_static);
        let failover = Failover::default();
        let order = |ms| -> Vec<&str> {
            failover.order(&urls, UnixMillis(ms)).into_iter().map(|url| url.host().unwrap()).collect()
        };
        assert_eq!(order(0), ["a", "b", "c"]);
        failover.note(&urls[0], false, UnixMillis(0));
        assert_eq!(order(9_999), ["b", "c", "a"]);
        assert_eq!(order(10_000), ["a", "b", "c"]);
        failover.note(&urls[1], false, UnixMillis(0));
        assert_eq!(order(0), ["c", "a", "b"]);
        failover.note(&urls[0], true, UnixMillis(1));
        assert_eq!(order(1), ["a", "c", "b"]);
    }
}

//! The headers of each request: a function of its number.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that names the publisher's user.
const USER: HeaderName = HeaderName::from_static("x-publisher-user-id");

/// Headers by number of the request, counted from 0.
#[derive(Clone)]
pub struct Headers(Arc<dyn Fn(u64) -> HeaderMap + Send + Sync>);

impl Headers {
    /// Made anew for each request; depends on nothing but the number where a load shall be repeatable.
    pub fn each(make: impl Fn(u64) -> HeaderMap + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    /// The same for all.
    pub fn same(headers: HeaderMap) -> Self {
        Self::each(move |_| headers.clone())
    }

    /// `headers`, and `X-Publisher-User-Id` with one of `users`; without users, none.
    pub fn of_users(headers: HeaderMap, users: Vec<HeaderValue>) -> Self {
        Self::each(move |number| {
            let mut headers = headers.clone();
            if let Some(user) = users.get(spread(number, users.len())) {
                headers.insert(USER, user.clone());
            }
            headers
        })
    }

    pub(super) fn of(&self, number: u64) -> HeaderMap {
        (self.0)(number)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // They may hold keys.
        f.write_str("Headers(..)")
    }
}

/// One of `count` things for the `number`-th request: evenly spread, always the same, and not in step with a corpus
/// that goes round. 0 when there are none.
pub fn spread(number: u64, count: usize) -> usize {
    /// 2^64 divided by the golden ratio: successive multiples lie far apart (Fibonacci hashing).
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    let count = u128::try_from(count).unwrap_or(u128::MAX);
    let index = (u128::from(number.wrapping_add(1).wrapping_mul(STEP)) * count) >> u64::BITS;
    usize::try_from(index).expect("the product's upper half lies below count, which is a usize")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn users_are_spread_evenly_and_repeatably() {
        let mut counts = [0; 10];
        for number in 0..1_000 {
            let picked = spread(number, 10);
            assert_eq!(spread(number, 10), picked);
            counts[picked] += 1;
        }
        assert!(counts.iter().all(|n| (90..110).contains(n)), "{counts:?}");
        let even: BTreeSet<usize> = (0..100).map(|n| spread(2 * n, 10)).collect();
        assert_eq!(even.len(), 10);
        assert_eq!((spread(7, 1), spread(7, 0)), (0, 0));
    }

    #[test]
    fn headers_say_what_they_are_told() {
        let fixed =
            HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer k"))]);
        assert_eq!(Headers::same(fixed.clone()).of(3), fixed);
        assert_eq!(Headers::of_users(fixed.clone(), vec![]).of(3), fixed);
        let named = Headers::of_users(fixed.clone(), vec![HeaderValue::from_static("u1")]);
        assert_eq!((named.of(0).len(), &named.of(0)[USER]), (2, &HeaderValue::from_static("u1")));
        assert_eq!(format!("{named:?}"), "Headers(..)");
        assert_eq!(Headers::each(|n| [(USER, n.into())].into_iter().collect()).of(9)[USER], "9");
    }
}

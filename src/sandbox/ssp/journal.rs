//! What an endpoint received: the last requests whole, every token once, and counts of everything.

use std::collections::{BTreeMap, HashSet, VecDeque};

use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;

use super::faults::Fault;
use super::inspect::{Place, Problem, Seen, Source, Token};

/// How many problems are kept in words; all are counted.
const PROBLEMS_KEPT: usize = 50;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Path and query.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body's bytes, not inflated.
    pub body: Bytes,
}

/// Some of the kept requests, with their numbers.
#[derive(Clone, Debug)]
pub struct Page {
    /// The number of the oldest request that is still kept; what came before is gone.
    pub first: u64,
    /// Where the next page begins: everything below was looked at.
    pub next: u64,
    /// Each with its number, counted from 0 since the start or the last reset.
    pub received: Vec<(u64, Received)>,
}

/// Counts since the start or the last reset.
#[derive(Clone, PartialEq, Default, Debug, Serialize)]
pub struct Stats {
    /// Everything that was sent to a bid path, sound or not.
    pub requests: u64,
    /// Answered with a bid.
    pub bids: u64,
    /// Answered without one: 204, empty `seatbid`, `nbr`.
    pub no_bids: u64,
    /// Answered 400 or 413.
    pub refused: u64,
    /// Answered by a fault, per fault.
    pub faults: BTreeMap<Fault, u64>,
    /// Requests with at least one UID2 or EUID token.
    pub with_token: u64,
    /// Tokens per source and place.
    pub tokens: BTreeMap<Source, BTreeMap<Place, u64>>,
    /// Different tokens, up to the number that is remembered.
    pub distinct_tokens: usize,
    /// Faults found in requests.
    pub problems: u64,
    /// The latest of them.
    pub recent_problems: VecDeque<Problem>,
}

/// How a request was dealt with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deed {
    Bid,
    NoBid,
    Refused,
    Fault(Fault),
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    bounds: Bounds,
    received: VecDeque<Received>,
    received_bytes: usize,
    known: HashSet<Token>,
    tokens: Vec<Token>,
    stats: Stats,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    pub(super) requests: usize,
    pub(super) bytes: usize,
    pub(super) tokens: usize,
}

impl Journal {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.bounds);
    }

    /// Keeps a request, and gives up the oldest where the bounds say so.
    pub(super) fn receive(&mut self, request: Received) {
        self.stats.requests += 1;
        self.received_bytes += request.body.len();
        self.received.push_back(request);
        while self.received.len() > self.bounds.requests || self.received_bytes > self.bounds.bytes {
            let Some(oldest) = self.received.pop_front() else { break };
            self.received_bytes -= oldest.body.len();
        }
    }

    /// Counts what was found in a request.
    pub(super) fn found(&mut self, seen: &Seen) {
        self.stats.with_token += u64::from(!seen.tokens.is_empty());
        for (place, token) in &seen.tokens {
            *self.stats.tokens.entry(token.source).or_default().entry(*place).or_default() += 1;
            if self.tokens.len() < self.bounds.tokens && self.known.insert(token.clone()) {
                self.tokens.push(token.clone());
            }
        }
        self.stats.distinct_tokens = self.tokens.len();
        seen.problems.iter().for_each(|problem| self.complain(problem.clone()));
    }

    /// Counts a fault found in a request.
    pub(super) fn complain(&mut self, problem: Problem) {
        self.stats.problems += 1;
        self.stats.recent_problems.push_back(problem);
        if self.stats.recent_problems.len() > PROBLEMS_KEPT {
            self.stats.recent_problems.pop_front();
        }
    }

    pub(super) fn count(&mut self, deed: Deed) {
        match deed {
            Deed::Bid => self.stats.bids += 1,
            Deed::NoBid => self.stats.no_bids += 1,
            Deed::Refused => self.stats.refused += 1,
            Deed::Fault(fault) => *self.stats.faults.entry(fault).or_default() += 1,
        }
    }

    /// The last `count` kept requests, oldest first.
    pub(super) fn last(&self, count: usize) -> Vec<Received> {
        self.received.iter().skip(self.received.len().saturating_sub(count)).cloned().collect()
    }

    /// The kept requests from number `since` on that `wanted` takes: at most `most`, and no more after the one with which
    /// their bodies pass `bytes`.
    pub(super) fn since(
        &self,
        since: u64,
        (most, bytes): (usize, usize),
        wanted: impl Fn(&Received) -> bool,
    ) -> Page {
        let first = self.stats.requests - u64::try_from(self.received.len()).unwrap_or(0);
        let mut page = Page { first, next: since.clamp(first, self.stats.requests), received: Vec::new() };
        let skipped = usize::try_from(page.next - first).unwrap_or(usize::MAX);
        let mut taken = 0;
        for (number, request) in (page.next..).zip(self.received.iter().skip(skipped)) {
            if page.received.len() >= most || taken > bytes {
                break;
            }
            page.next = number + 1;
            if wanted(request) {
                taken += request.body.len();
                page.received.push((number, request.clone()));
            }
        }
        page
    }

    /// The different tokens, in order of their first arrival.
    pub(super) fn tokens(&self) -> Vec<Token> {
        self.tokens.clone()
    }

    pub(super) fn stats(&self) -> Stats {
        self.stats.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        Journal::new(Bounds { requests: 3, bytes: 10, tokens: 2 })
    }

    fn received(body: &'static str) -> Received {
        Received { path: "/".into(), headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) }
    }

    fn bodies(journal: &Journal) -> Vec<Bytes> {
        journal.last(usize::MAX).into_iter().map(|r| r.body).collect()
    }

    #[test]
    fn the_number_of_kept_requests_is_bounded() {
        let mut journal = journal();
        ["a", "b", "c"].map(received).into_iter().for_each(|r| journal.receive(r));
        assert_eq!(bodies(&journal), ["a", "b", "c"]);
        journal.receive(received("d"));
        assert_eq!(bodies(&journal), ["b", "c", "d"]);
        assert_eq!(journal.last(1)[0].body, "d");
        assert_eq!(journal.stats().requests, 4);
    }

    #[test]
    fn the_bytes_of_kept_requests_are_bounded() {
        let mut journal = journal();
        journal.receive(received("12345"));
        journal.receive(received("67890"));
        assert_eq!(bodies(&journal).len(), 2);
        journal.receive(received("x"));
        assert_eq!(bodies(&journal), ["67890", "x"]);
        journal.receive(received("12345678901"));
        assert!(bodies(&journal).is_empty());
    }

    #[test]
    fn pages_go_on_where_the_last_ended_and_are_bounded() {
        let mut journal = journal();
        ["a", "b", "c", "d"].map(received).into_iter().for_each(|r| journal.receive(r));
        let page = |since, bounds| journal.since(since, bounds, |_| true);
        let numbers = |page: &Page| page.received.iter().map(|(n, _)| *n).collect::<Vec<_>>();
        let two = page(0, (2, 10));
        assert_eq!((two.first, two.next, numbers(&two)), (1, 3, vec![1, 2]));
        let rest = page(two.next, (2, 10));
        assert_eq!((rest.next, numbers(&rest)), (4, vec![3]));
        assert_eq!((page(4, (2, 10)).next, page(9, (2, 10)).next), (4, 4));
        assert_eq!(numbers(&page(1, (9, 1))), [1, 2], "the one that passes the bound is the last");
        assert_eq!(numbers(&page(1, (0, 9))), [0_u64; 0]);
        let only = journal.since(0, (1, 9), |r| r.body == "c");
        assert_eq!((only.next, numbers(&only)), (3, vec![2]));
    }

    #[test]
    fn a_token_is_remembered_once_and_counted_always() {
        let token = |id: &str| (Place::Eids, Token { source: Source::Uid2, id: id.into() });
        let seen =
            |ids: &[&str]| Seen { tokens: ids.iter().map(|id| token(id)).collect(), ..Seen::default() };
        let mut journal = journal();
        journal.found(&seen(&["A", "A"]));
        journal.found(&seen(&[]));
        journal.found(&seen(&["B", "C"]));
        let ids: Vec<String> = journal.tokens().into_iter().map(|t| t.id).collect();
        assert_eq!(ids, ["A", "B"]);
        let stats = journal.stats();
        assert_eq!((stats.with_token, stats.distinct_tokens), (2, 2));
        assert_eq!(stats.tokens[&Source::Uid2][&Place::Eids], 4);
        journal.reset();
        assert_eq!(journal.stats(), Stats::default());
    }

    #[test]
    fn problems_are_all_counted_and_the_latest_kept() {
        let mut journal = journal();
        (0..=PROBLEMS_KEPT).for_each(|n| journal.complain(Problem::new("imp", &n)));
        let stats = journal.stats();
        assert_eq!(stats.problems, 51);
        assert_eq!(stats.recent_problems.len(), PROBLEMS_KEPT);
        assert_eq!(stats.recent_problems[0].what, "1");
    }
}

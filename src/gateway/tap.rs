//! A tap on the data path: while somebody records, each ad request is handed over as it came.
//!
//! Off, it costs one relaxed load for a request. On, a request costs a few shared handles and a place in a bounded queue;
//! when that is full, the request is left out of the recording and counted, never delayed. What is recorded is made
//! harmless where it is taken out, on the control plane.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::mpsc;

use super::admit::Inbound;
use super::headers::PUBLISHER_USER_ID;

/// Requests that may wait to be written.
const QUEUE: usize = 1024;

/// Bytes of bodies that may wait to be written.
const QUEUE_BYTES: usize = 16 << 20;

/// One ad request, as it came.
#[derive(Debug)]
pub struct Sample {
    /// When its first byte was read.
    pub started: Instant,
    /// `X-Publisher-User-Id`.
    pub user: Option<HeaderValue>,
    /// `X-OpenRTB-Version`.
    pub version: Option<HeaderValue>,
    /// `Sec-GPC`.
    pub gpc: Option<HeaderValue>,
    /// The body, inflated.
    pub body: Bytes,
}

/// Where a recording takes requests out. Closed most of the time.
#[derive(Default)]
pub struct Tap {
    /// Somebody records, or tells what was recorded.
    taken: AtomicBool,
    open: AtomicBool,
    line: ArcSwapOption<Line>,
}

struct Line {
    queue: mpsc::Sender<Sample>,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct Tally {
    waiting_bytes: AtomicUsize,
    dropped: AtomicU64,
}

impl Tap {
    /// Hands over a request if somebody records.
    #[inline]
    pub(super) fn offer(&self, inbound: &Inbound) {
        if self.is_open() {
            self.hand_over(inbound);
        }
    }

    /// Whether requests are handed over.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    #[cold]
    fn hand_over(&self, inbound: &Inbound) {
        let header = |name: &str| inbound.headers.get(name).cloned();
        self.give(Sample {
            started: inbound.started,
            user: inbound.headers.get(PUBLISHER_USER_ID).cloned(),
            version: header("x-openrtb-version"),
            gpc: header("sec-gpc"),
            body: inbound.body.clone(),
        });
    }

    /// Puts a request into the queue, or leaves it out.
    pub(crate) fn give(&self, sample: Sample) {
        let line = self.line.load();
        let Some(Line { queue, tally }) = line.as_deref() else { return };
        let length = sample.body.len();
        let waiting = tally.waiting_bytes.fetch_add(length, Ordering::Relaxed);
        if waiting + length > QUEUE_BYTES || queue.try_send(sample).is_err() {
            tally.waiting_bytes.fetch_sub(length, Ordering::Relaxed);
            tally.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens it. `None` when somebody has it already.
    pub fn record(self: &Arc<Self>) -> Option<Recording> {
        self.taken.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        let (queue, samples) = mpsc::channel(QUEUE);
        let tally = Arc::<Tally>::default();
        self.line.store(Some(Arc::new(Line { queue, tally: Arc::clone(&tally) })));
        self.open.store(true, Ordering::Release);
        Some(Recording { tap: Arc::clone(self), samples, tally })
    }
}

/// One recording. Until it is dropped, there is no other.
pub struct Recording {
    tap: Arc<Tap>,
    samples: mpsc::Receiver<Sample>,
    tally: Arc<Tally>,
}

impl Recording {
    /// The next request; `None` when the tap is closed and all that waited has been taken.
    pub async fn next(&mut self) -> Option<Sample> {
        let sample = self.samples.recv().await?;
        self.tally.waiting_bytes.fetch_sub(sample.body.len(), Ordering::Relaxed);
        Some(sample)
    }

    /// Closes the tap; what waits can still be taken, and nobody else can record yet.
    pub fn close(&mut self) {
        self.tap.open.store(false, Ordering::Release);
        self.tap.line.store(None);
    }

    /// Lets go of what waits, which nobody will take.
    pub fn discard(&mut self) {
        self.close();
        self.samples.close();
        while self.samples.try_recv().is_ok() {}
    }

    /// Requests that were left out because too many waited.
    pub fn dropped(&self) -> u64 {
        self.tally.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.close();
        self.tap.taken.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use http::HeaderMap;

    use super::super::{Caller, Peer};
    use super::*;
    use crate::time::Clock;

    fn inbound(body: Bytes) -> Inbound {
        let peer = Peer { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), trusted: false, tls: false };
        Inbound { headers: HeaderMap::new(), caller: Caller(None), body, started: Clock::monotonic(), peer }
    }

    #[tokio::test]
    async fn requests_are_handed_over_while_one_records() {
        let tap = Arc::<Tap>::default();
        tap.offer(&inbound("early".into()));
        let mut recording = tap.record().unwrap();
        assert!(tap.record().is_none(), "one at a time");
        let body = Bytes::from(String::from("a body"));
        tap.offer(&inbound(body.clone()));
        tap.offer(&inbound("another".into()));
        recording.close();
        tap.offer(&inbound("late".into()));
        assert_eq!(recording.next().await.unwrap().body.as_ptr(), body.as_ptr(), "shared, not copied");
        assert_eq!(recording.next().await.unwrap().body, "another");
        assert!(recording.next().await.is_none());
        assert_eq!(recording.dropped(), 0);
        assert!(tap.record().is_none(), "closed, but not done with");
        drop(recording);
        let again = tap.record().unwrap();
        drop(again);
        assert!(tap.record().is_some());
    }

    #[tokio::test]
    async fn what_is_discarded_is_let_go_of() {
        let tap = Arc::<Tap>::default();
        let mut recording = tap.record().unwrap();
        let body = Bytes::from(String::from("a body"));
        tap.offer(&inbound(body.clone()));
        assert!(!body.is_unique());
        recording.discard();
        assert!(body.is_unique() && tap.record().is_none() && recording.next().await.is_none());
    }

    #[tokio::test]
    async fn one_more_than_may_wait_is_left_out_and_counted() {
        let tap = Arc::<Tap>::default();
        let mut recording = tap.record().unwrap();
        for _ in 0..=QUEUE {
            tap.offer(&inbound("x".into()));
        }
        assert_eq!(recording.dropped(), 1);
        recording.next().await.unwrap();
        tap.offer(&inbound("x".into()));
        assert_eq!(recording.dropped(), 1);
    }

    #[tokio::test]
    async fn one_more_byte_than_may_wait_is_left_out_and_counted() {
        let tap = Arc::<Tap>::default();
        let mut recording = tap.record().unwrap();
        tap.offer(&inbound(vec![b'x'; QUEUE_BYTES].into()));
        tap.offer(&inbound("x".into()));
        assert_eq!(recording.dropped(), 1);
        assert_eq!(recording.next().await.unwrap().body.len(), QUEUE_BYTES);
        tap.offer(&inbound("x".into()));
        assert_eq!((recording.dropped(), recording.next().await.unwrap().body), (1, "x".into()));
    }
}

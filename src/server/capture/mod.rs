//! `/debug/capture` of the admin listener: records ad requests for a while and streams them as a corpus that `replay`
//! plays, one envelope a line. The [mask](crate::openrtb::mask) takes out who the users are; its key is made for one
//! capture and forgotten with it.
//!
//! One at a time: the next begins when the last one's client has read it all, has gone, or is given up. It ends with its time, its number of requests, its bytes, the drain, or when the client goes; how, and
//! what was left out, stands in the trailer `x-uid2gw-capture` (for a client that takes trailers) and in the log.

mod envelope;
mod query;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use self::envelope::Scribe;
use self::query::QueryFault;
use self::query::Wish;
use super::drain::{Drain, Stage};
use crate::gateway::{Recording, Tap};
use crate::openrtb::Limits;

/// Where the tally stands once all is told.
pub(super) const TALLY: HeaderName = HeaderName::from_static("x-uid2gw-capture");

/// Frames that may wait for a client that reads slowly; behind them requests wait at the tap.
const FRAMES: usize = 64;

/// Longest frame. Lines that are longer take several, so that what waits is bounded in bytes, whatever their length.
const FRAME_BYTES: usize = 64 << 10;

/// How long a client may take to read what was recorded in time, and then for each frame that still waits.
const AFTERWARDS: Duration = Duration::from_secs(10);

/// `[debug]`: how much one capture may record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CaptureSettings {
    /// Longest time that can be asked for.
    pub max_time: Duration,
    /// Most requests that can be asked for.
    pub max_requests: u64,
    /// Bytes after which a capture ends, whatever was asked for.
    pub max_bytes: u64,
}

/// What captures are made with.
pub struct Captures {
    /// The tap on the data path.
    pub tap: Arc<Tap>,
    /// How much one may record.
    pub settings: CaptureSettings,
    /// Under which bodies are read, as they are when a capture begins.
    pub limits: Box<dyn Fn() -> Limits + Send + Sync>,
    /// Captures end with the data path.
    pub drain: Drain,
}

/// Why a capture does not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum CaptureFault {
    /// Another records.
    #[error("another capture is running")]
    Busy,
    /// The query cannot be followed.
    #[error(transparent)]
    Query(#[from] QueryFault),
    /// The system gives no random key.
    #[error("no random key could be made")]
    NoKey,
}

impl Captures {
    /// Begins a capture; it records from now on.
    pub(super) fn begin(&self, query: Option<&str>) -> Result<Lines, CaptureFault> {
        let wish = Wish::of(query, &self.settings)?;
        let recording = self.tap.record().ok_or(CaptureFault::Busy)?;
        let scribe = Scribe::new((self.limits)()).map_err(|_| CaptureFault::NoKey)?;
        let (frames, waiting) = mpsc::channel(FRAMES);
        let waiting = Arc::new(Mutex::new(Some(waiting)));
        let capture = Capture {
            recording,
            scribe,
            frames,
            waiting: Arc::clone(&waiting),
            rest: Bytes::new(),
            tally: Tally::default(),
            max_bytes: self.settings.max_bytes,
            wish,
        };
        tokio::spawn(capture.run(self.drain.clone()));
        Ok(Lines(waiting))
    }
}

/// How a capture ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    Time,
    Requests,
    Bytes,
    Client,
    Drain,
}

impl Ended {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Requests => "requests",
            Self::Bytes => "bytes",
            Self::Client => "client",
            Self::Drain => "drain",
        }
    }
}

#[derive(Default)]
struct Tally {
    recorded: u64,
    bytes: u64,
    /// Bodies that are no bid request, or could not be masked with certainty.
    refused: u64,
}

/// What a client has not read yet; `None` when it is not waited for any longer.
type Waiting = Arc<Mutex<Option<mpsc::Receiver<Frame<Bytes>>>>>;

/// One capture.
struct Capture {
    recording: Recording,
    scribe: Scribe,
    frames: mpsc::Sender<Frame<Bytes>>,
    waiting: Waiting,
    /// What is left of a line that does not fit into one frame.
    rest: Bytes,
    tally: Tally,
    max_bytes: u64,
    wish: Wish,
}

impl Capture {
    async fn run(mut self, drain: Drain) {
        let frames = self.frames.clone();
        let time = self.wish.time;
        let mut ended = tokio::select! {
            biased;
            () = frames.closed() => Ended::Client,
            () = drain.reached(Stage::Closing) => Ended::Drain,
            ended = self.record() => ended,
            () = tokio::time::sleep(time) => Ended::Time,
        };
        self.recording.close();
        if matches!(ended, Ended::Time | Ended::Drain) {
            // What came in time is told, if the client reads it.
            tokio::select! {
                biased;
                () = frames.closed() => ended = Ended::Client,
                full = self.record() => ended = full,
                () = tokio::time::sleep(AFTERWARDS) => {}
            }
        }
        self.conclude(ended).await;
    }

    /// Until something is full, or the tap is closed and empty, which is the end of the time. Nothing is lost when it is
    /// stopped and begun again: a request is taken only when there is room for its line.
    async fn record(&mut self) -> Ended {
        loop {
            let Ok(room) = self.frames.reserve().await else { return Ended::Client };
            if self.rest.is_empty() {
                let Some(sample) = self.recording.next().await else { return Ended::Time };
                let Some(line) = self.scribe.line(&sample) else {
                    self.tally.refused += 1;
                    continue;
                };
                let bytes = self.tally.bytes + line.len() as u64;
                if bytes > self.max_bytes {
                    return Ended::Bytes;
                }
                (self.tally.bytes, self.tally.recorded) = (bytes, self.tally.recorded + 1);
                self.rest = line;
            }
            room.send(next_frame(&mut self.rest));
            if self.rest.is_empty() && self.tally.recorded == self.wish.requests {
                return Ended::Requests;
            }
        }
    }

    /// The end of the last line and the tally, for a client that reads; the next capture may begin once that is done.
    async fn conclude(mut self, ended: Ended) {
        let Tally { recorded, bytes, refused } = self.tally;
        let (dropped, ended) = (self.recording.dropped(), ended.as_str());
        self.recording.discard();
        tracing::info!(recorded, bytes, dropped, refused, ended, "capture");
        let told =
            format!("recorded={recorded};bytes={bytes};dropped={dropped};refused={refused};ended={ended}");
        let mut trailers = HeaderMap::new();
        if let Ok(told) = HeaderValue::from_str(&told) {
            trailers.insert(TALLY, told);
        }
        if self.tell(trailers).await.is_err() {
            // It does not read. What waited for it is let go of, and it sees that the end is missing.
            drop(lock(&self.waiting).take());
        }
    }

    /// Returns when all has been read, or nobody is there to read it; an error when a frame is not read for too long.
    async fn tell(&mut self, trailers: HeaderMap) -> Result<(), Elapsed> {
        let mut last = Some(Frame::trailers(trailers));
        while last.is_some() {
            let Ok(room) = timeout(AFTERWARDS, self.frames.reserve()).await? else { return Ok(()) };
            let frame = if self.rest.is_empty() { last.take() } else { Some(next_frame(&mut self.rest)) };
            if let Some(frame) = frame {
                room.send(frame);
            }
        }
        // All places are free again once the last frame is out.
        for free in 1..=FRAMES {
            drop(timeout(AFTERWARDS, self.frames.reserve_many(free)).await?);
        }
        Ok(())
    }
}

fn next_frame(rest: &mut Bytes) -> Frame<Bytes> {
    Frame::data(rest.split_to(rest.len().min(FRAME_BYTES)))
}

fn lock(
    waiting: &Mutex<Option<mpsc::Receiver<Frame<Bytes>>>>,
) -> std::sync::MutexGuard<'_, Option<mpsc::Receiver<Frame<Bytes>>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lines of a capture, as a body. Dropped, it ends the capture.
pub(super) struct Lines(Waiting);

impl Body for Lines {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match lock(&self.0).as_mut() {
            Some(frames) => frames.poll_recv(cx).map(|frame| frame.map(Ok)),
            None => Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into()))),
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        drop(lock(&self.0).take()); // the capture holds it as well
    }
}

#[cfg(test)]
mod tests;

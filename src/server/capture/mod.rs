//! `/debug/capture` of the admin listener: records ad requests for a while and streams them as a corpus that `replay`
//! plays, one envelope a line. The [mask](crate::openrtb::mask) takes out who the users are; its key is made for one
//! capture and forgotten with it.
//!
//! One at a time. It ends with its time, its number of requests, its bytes, the drain, or when the client goes; how, and
//! what was left out, stands in the trailer `x-uid2gw-capture` (for a client that takes trailers) and in the log.

mod envelope;
mod query;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc;

use self::envelope::Scribe;
use self::query::QueryFault;
use self::query::Wish;
use super::drain::{Drain, Stage};
use crate::gateway::{Recording, Tap};
use crate::openrtb::Limits;

/// Where the tally stands once all is told.
pub(super) const TALLY: HeaderName = HeaderName::from_static("x-uid2gw-capture");

/// Lines that may wait for a client that reads slowly; behind them requests wait at the tap.
const LINES: usize = 64;

/// How long a client may take to read what was recorded in time.
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
    /// Under which bodies are read.
    pub limits: Limits,
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
        let scribe = Scribe::new(self.limits).map_err(|_| CaptureFault::NoKey)?;
        let (frames, lines) = mpsc::channel(LINES);
        let capture = Capture {
            recording,
            scribe,
            frames,
            tally: Tally::default(),
            max_bytes: self.settings.max_bytes,
            wish,
        };
        tokio::spawn(capture.run(self.drain.clone()));
        Ok(Lines(lines))
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

/// One capture.
struct Capture {
    recording: Recording,
    scribe: Scribe,
    frames: mpsc::Sender<Frame<Bytes>>,
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
            let Some(sample) = self.recording.next().await else { return Ended::Time };
            let Some(line) = self.scribe.line(&sample) else {
                self.tally.refused += 1;
                continue;
            };
            let bytes = self.tally.bytes + line.len() as u64;
            if bytes > self.max_bytes {
                return Ended::Bytes;
            }
            room.send(Frame::data(line));
            (self.tally.bytes, self.tally.recorded) = (bytes, self.tally.recorded + 1);
            if self.tally.recorded == self.wish.requests {
                return Ended::Requests;
            }
        }
    }

    async fn conclude(self, ended: Ended) {
        let Tally { recorded, bytes, refused } = self.tally;
        let (dropped, ended) = (self.recording.dropped(), ended.as_str());
        drop(self.recording);
        tracing::info!(recorded, bytes, dropped, refused, ended, "capture");
        let told =
            format!("recorded={recorded};bytes={bytes};dropped={dropped};refused={refused};ended={ended}");
        let mut trailers = HeaderMap::new();
        if let Ok(told) = HeaderValue::from_str(&told) {
            trailers.insert(TALLY, told);
        }
        // A client that does not read gets none; it is not waited for.
        drop(tokio::time::timeout(AFTERWARDS, self.frames.send(Frame::trailers(trailers))).await);
    }
}

/// The lines of a capture, as a body. Dropped, it ends the capture.
pub(super) struct Lines(mpsc::Receiver<Frame<Bytes>>);

impl Body for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

#[cfg(test)]
mod tests;

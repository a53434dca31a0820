//! HTTP/2: a connection with many streams, each of which takes one request at a time.

use std::cell::Cell;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::super::recorder::Fault;
use super::super::requests::Requests;
use super::dial::{Dial, Stream};
use super::greeting::Greeted;
use super::http1::RECONNECT;
use super::lane::Shared;

/// Streams of a connection: what servers commonly allow, and what hyper assumes until it is told.
pub(super) const STREAMS: usize = 100;

/// A request as a stream takes it.
pub(super) type Message = Request<Full<Bytes>>;

/// The sending side of a stream.
pub(super) struct Link(pub(super) UnboundedSender<Message>);

impl Link {
    pub(super) fn send(&self, requests: &Requests, number: u64) {
        if self.0.send(requests.message(number)).is_err() {
            tracing::debug!("replay: the stream had ended before");
        }
    }
}

/// A connection whose other side has been heard.
pub(super) struct Opened {
    sender: Sender,
    /// Ends with the connection.
    connection: Pin<Box<dyn Future<Output = hyper::Result<()>>>>,
}

type Sender = SendRequest<Full<Bytes>>;

/// Opens a connection, or says why there is none. What accepts a connection and speaks no HTTP/2 shows only in what it
/// answers to the greeting, so that the connection is none before the settings of the other side have come.
pub(super) async fn open(dial: &Dial, timeout: Duration) -> Result<Opened, String> {
    let greeted = async {
        match dial.open().await? {
            Stream::Plain(stream) => greet(stream).await,
            Stream::Tls(stream) => greet(*stream).await,
        }
    };
    tokio::time::timeout(timeout, greeted).await.unwrap_or_else(|_| Err(SPEAKS_OTHER.to_owned()))
}

const SPEAKS_OTHER: &str = "it does not speak HTTP/2";

async fn greet<S>(stream: S) -> Result<Opened, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, told) = Greeted::new(stream);
    let (sender, connection) =
        handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(|fault| fault.to_string())?;
    let mut opened = Opened { sender, connection: Box::pin(connection) };
    tokio::select! {
        biased;
        told = told => told.map(|()| opened).map_err(|_| SPEAKS_OTHER.to_owned()),
        _ = &mut opened.connection => Err(SPEAKS_OTHER.to_owned()),
    }
}

/// Keeps the streams of `slots` connected; ends only by being dropped.
pub(super) async fn run(
    shared: Rc<Shared>,
    dial: Dial,
    slots: Range<usize>,
    timeout: Duration,
    mut first: Option<Opened>,
) {
    loop {
        let opened = match first.take() {
            Some(opened) => Ok(opened),
            None => open(&dial, timeout).await,
        };
        let useful = if let Ok(opened) = opened {
            converse(&shared, slots.clone(), timeout, opened).await
        } else {
            shared.refused();
            false
        };
        if !useful {
            tokio::time::sleep(RECONNECT).await;
        }
    }
}

/// Lets requests through until the connection ends; whether one of them was answered whole.
async fn converse(shared: &Rc<Shared>, slots: Range<usize>, timeout: Duration, opened: Opened) -> bool {
    let Opened { sender, connection } = opened;
    let answered = Rc::new(Cell::new(false));
    let mut streams = JoinSet::new();
    let links = slots.clone().map(|index| {
        let (link, requests) = unbounded_channel();
        let stream =
            Serving { shared: Rc::clone(shared), index, answered: Rc::clone(&answered), requests, timeout };
        streams.spawn_local(stream.run(sender.clone()));
        (index, super::link::Link::Http2(Link(link)))
    });
    shared.opened(links.collect::<Vec<_>>().into_iter());
    drop(sender);
    if let Err(fault) = connection.await {
        tracing::debug!(%fault, "replay: connection ended");
    }
    streams.abort_all();
    slots.for_each(|index| shared.closed(index));
    answered.get()
}

/// One stream after the other for one slot.
struct Serving {
    shared: Rc<Shared>,
    index: usize,
    /// Of the connection: something was answered whole.
    answered: Rc<Cell<bool>>,
    requests: UnboundedReceiver<Message>,
    timeout: Duration,
}

impl Serving {
    async fn run(mut self, mut sender: Sender) {
        while let Some(request) = self.requests.recv().await {
            let exchange = tokio::time::timeout(self.timeout, exchange(&mut sender, request)).await;
            let result = exchange.unwrap_or(Err(Fault::Timeout));
            if result.is_ok() {
                self.answered.set(true);
            }
            self.shared.finished(self.index, result, !sender.is_closed());
        }
    }
}

/// Sends a request and reads its answer whole: status and size of the body.
async fn exchange(sender: &mut Sender, request: Message) -> Result<(u16, u64), Fault> {
    sender.ready().await.map_err(|_| Fault::Broken)?;
    let response = sender.send_request(request).await.map_err(|_| Fault::Broken)?;
    let (head, mut body) = response.into_parts();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let data = frame.map_err(|_| Fault::Broken)?.into_data().unwrap_or_default();
        size += u64::try_from(data.len()).unwrap_or(u64::MAX);
    }
    Ok((head.status.as_u16(), size))
}

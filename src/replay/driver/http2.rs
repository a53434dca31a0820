//! HTTP/2: a connection with many streams, each of which takes one request at a time.

use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{Connection, SendRequest, handshake};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::super::recorder::Fault;
use super::super::requests::Requests;
use super::dial::{Dial, Stream};
use super::http1::RECONNECT;
use super::lane::Shared;

/// Streams of a connection: what servers commonly allow, and what hyper assumes until it is told.
pub(super) const STREAMS: usize = 100;

type Message = Request<Full<Bytes>>;

/// The sending side of a stream.
pub(super) struct Link(UnboundedSender<Message>);

impl Link {
    pub(super) fn send(&self, requests: &Requests, number: u64) {
        if self.0.send(requests.message(number)).is_err() {
            tracing::debug!("replay: the stream had ended before");
        }
    }
}

/// Keeps the streams of `slots` connected; ends only by being dropped.
pub(super) async fn run(
    shared: Rc<Shared>,
    dial: Dial,
    slots: Range<usize>,
    timeout: Duration,
    mut first: Option<Stream>,
) {
    loop {
        let opened = match first.take() {
            Some(stream) => Ok(stream),
            None => dial.open().await,
        };
        let ended = match opened {
            Ok(Stream::Plain(stream)) => converse(&shared, slots.clone(), timeout, stream).await,
            Ok(Stream::Tls(stream)) => converse(&shared, slots.clone(), timeout, *stream).await,
            Err(_) => Err(Fault::Connect),
        };
        if ended.is_err() {
            shared.refused();
            tokio::time::sleep(RECONNECT).await;
        }
    }
}

/// Lets requests through until the connection ends.
async fn converse<S>(
    shared: &Rc<Shared>,
    slots: Range<usize>,
    timeout: Duration,
    stream: S,
) -> Result<(), Fault>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = greet(TokioIo::new(stream)).await?;
    let mut streams = JoinSet::new();
    let links = slots.clone().map(|index| {
        let (link, requests) = unbounded_channel();
        let stream = serve(Rc::clone(shared), index, sender.clone(), (requests, timeout));
        streams.spawn_local(stream);
        (index, super::link::Link::Http2(Link(link)))
    });
    shared.opened(links.collect::<Vec<_>>().into_iter());
    drop(sender);
    if let Err(fault) = connection.await {
        tracing::debug!(%fault, "replay: connection ended");
    }
    streams.abort_all();
    slots.for_each(|index| shared.closed(index));
    Ok(())
}

async fn greet<S>(
    stream: S,
) -> Result<(SendRequest<Full<Bytes>>, Connection<S, Full<Bytes>, TokioExecutor>), Fault>
where
    S: Read + Write + Unpin + Send + 'static,
{
    handshake(TokioExecutor::new(), stream).await.map_err(|_| Fault::Connect)
}

/// One stream after the other for one slot.
async fn serve(
    shared: Rc<Shared>,
    index: usize,
    mut sender: SendRequest<Full<Bytes>>,
    (mut requests, timeout): (UnboundedReceiver<Message>, Duration),
) {
    while let Some(request) = requests.recv().await {
        let exchange = tokio::time::timeout(timeout, exchange(&mut sender, request)).await;
        let result = exchange.unwrap_or(Err(Fault::Timeout));
        shared.finished(index, result, !sender.is_closed());
    }
}

/// Sends a request and reads its answer whole: status and size of the body.
async fn exchange(sender: &mut SendRequest<Full<Bytes>>, request: Message) -> Result<(u16, u64), Fault> {
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

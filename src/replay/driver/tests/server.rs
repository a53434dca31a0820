//! A server on loopback that answers as it is told and keeps what came.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// How a request is answered.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) after: Duration,
    pub(super) status: u16,
    pub(super) chunks: Vec<&'static str>,
    pub(super) close: bool,
}

pub(super) const PROMPT: Reply =
    Reply { after: Duration::ZERO, status: 204, chunks: Vec::new(), close: false };

/// Answers the n-th request, counted from 0.
pub(super) type Manner = Arc<dyn Fn(usize) -> Reply + Send + Sync>;

/// What the server got, in order, and how many connections were made to it.
#[derive(Default)]
pub(super) struct Log {
    pub(super) requests: Mutex<Vec<(HeaderMap, Uri, Version, Bytes)>>,
    pub(super) connections: AtomicU64,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) log: Arc<Log>,
    /// PEM certificate of a server with TLS.
    pub(super) ca: Option<Vec<u8>>,
    /// Stops when dropped.
    _runtime: Runtime,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Http1,
    Http2,
}

impl Server {
    pub(super) fn plain(manner: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(Speaks::Http1, false, Arc::new(manner))
    }

    pub(super) fn start(speaks: Speaks, secure: bool, manner: Manner) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::<Log>::default();
        let (acceptor, ca) = if secure { tls(speaks) } else { (None, None) };
        runtime.spawn(listen(listener, (speaks, acceptor), Arc::clone(&log), manner));
        Self { address, log, ca, _runtime: runtime }
    }

    pub(super) fn connections(&self) -> u64 {
        self.log.connections.load(Ordering::Relaxed)
    }
}

async fn listen(
    listener: TcpListener,
    (speaks, acceptor): (Speaks, Option<TlsAcceptor>),
    log: Arc<Log>,
    manner: Manner,
) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        log.connections.fetch_add(1, Ordering::Relaxed);
        let (log, manner, acceptor) = (Arc::clone(&log), Arc::clone(&manner), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, speaks, log, manner).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, speaks, log, manner).await;
                    }
                }
            }
        });
    }
}

async fn serve<S>(stream: S, speaks: Speaks, log: Arc<Log>, manner: Manner)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (log, manner) = (Arc::clone(&log), Arc::clone(&manner));
        async move { Ok::<_, Infallible>(answer(&log, &manner, request).await) }
    });
    let io = TokioIo::new(stream);
    match speaks {
        Speaks::Http1 => drop(http1::Builder::new().serve_connection(io, service).await),
        Speaks::Http2 => drop(http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await),
    }
}

async fn answer(
    log: &Log,
    manner: &Manner,
    request: Request<Incoming>,
) -> Response<BoxBody<Bytes, Infallible>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let number = {
        let mut requests = log.requests.lock().unwrap();
        requests.push((head.headers, head.uri, head.version, body));
        requests.len() - 1
    };
    let reply = manner(number);
    // Waits without the timer's grain mattering: nobody answers a channel that never speaks.
    drop(tokio::time::timeout(reply.after, std::future::pending::<()>()).await);
    let frames =
        reply.chunks.clone().into_iter().map(|chunk| Ok(Frame::data(Bytes::from_static(chunk.as_bytes()))));
    let body = match reply.chunks.as_slice() {
        [] => Full::new(Bytes::new()).boxed(),
        [whole] => Full::new(Bytes::from_static(whole.as_bytes())).boxed(),
        _ => BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames))),
    };
    let mut response = Response::builder().status(reply.status);
    if reply.close {
        response = response.header("connection", "close");
    }
    response.body(body).unwrap()
}

pub(super) fn tls(speaks: Speaks) -> (Option<TlsAcceptor>, Option<Vec<u8>>) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::Pkcs8(signing_key.serialize_der().into()))
        .unwrap();
    config.alpn_protocols = match speaks {
        Speaks::Http1 => vec![b"http/1.1".to_vec()],
        Speaks::Http2 => vec![b"h2".to_vec()],
    };
    (Some(TlsAcceptor::from(Arc::new(config))), Some(cert.pem().into_bytes()))
}

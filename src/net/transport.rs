//! The control plane's way out (operator calls and the like), and the one test seam of the outside world.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::body::{self, ReadError};
use crate::time::Deadline;

/// One exchange with a remote partner: a whole request out, a whole response back.
pub trait Transport: Send + Sync {
    /// Sends `request` (absolute URI) and reads the answer to its last byte, both before `deadline`.
    /// Any HTTP status is an answer, not an error. Dropping the future gives the exchange up.
    fn send(
        &self,
        request: Request<Bytes>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>>;
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection: name lookup, TCP or TLS. The request was not sent; another try is safe.
    #[error("connect: {0}")]
    Connect(String),
    /// The deadline passed first. The peer may have acted on the request.
    #[error("timed out")]
    Timeout,
    /// The answer is longer than allowed.
    #[error("the answer is longer than allowed")]
    TooLarge,
    /// The connection broke, or what came back is not HTTP. The peer may have acted on the request.
    #[error("broken exchange: {0}")]
    Broken(String),
}

impl From<ReadError> for TransportError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooLarge => Self::TooLarge,
            ReadError::Broken => Self::Broken(error.to_string()),
        }
    }
}

/// How [`HyperTransport`] behaves.
#[derive(Clone, Debug)]
pub struct TransportSettings {
    /// For a TCP connection to one host, all its addresses together. The TLS handshake counts against the deadline.
    pub connect_timeout: Duration,
    /// Longest answer body, in bytes.
    pub max_response_bytes: usize,
    /// From [`tls::client_config`](super::tls::client_config), without ALPN.
    pub tls: Arc<rustls::ClientConfig>,
}

/// Keep-alive HTTP/1.1 over TCP or TLS, by the URI's scheme.
///
/// Nothing is retried in here: the caller knows what may be sent twice. HTTP/1.1 alone, because there an exchange
/// that hangs costs its own connection, while a hung HTTP/2 connection would swallow all that follow.
#[derive(Clone, Debug)]
pub struct HyperTransport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    max_response_bytes: usize,
}

const IDLE_TIMEOUT: Duration = Duration::from_secs(55);
const MAX_IDLE_PER_HOST: usize = 64;

impl HyperTransport {
    /// A transport with its own pool. Connections run on the runtime on which `send` is first polled.
    pub fn new(settings: TransportSettings) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(settings.connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(Arc::unwrap_or_clone(settings.tls))
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .retry_canceled_requests(false)
            .build(connector);
        Self { client, max_response_bytes: settings.max_response_bytes }
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let answer = self.client.request(request.map(Full::new)).await.map_err(|e| classify(&e))?;
        let (head, incoming) = answer.into_parts();
        let bytes = body::read_capped(incoming, self.max_response_bytes).await?;
        Ok(Response::from_parts(head, bytes))
    }
}

impl Transport for HyperTransport {
    fn send(
        &self,
        request: Request<Bytes>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        async move {
            tokio::time::timeout_at(deadline.instant().into(), self.exchange(request))
                .await
                .unwrap_or(Err(TransportError::Timeout))
        }
        .boxed()
    }
}

fn classify(error: &hyper_util::client::legacy::Error) -> TransportError {
    let cause = error.source().map_or_else(|| error.to_string(), innermost);
    if error.is_connect() { TransportError::Connect(cause) } else { TransportError::Broken(cause) }
}

/// The text of the error at the bottom: the ones above it only say that the one below happened.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::super::peer::{self, Authority, Peer, chunked, ok};
    use super::super::tls;
    use super::*;

    const CAP: usize = 16;

    fn transport(ca: Option<&Authority>) -> HyperTransport {
        let tls = tls::client_config(ca.map(|ca| ca.pem().as_bytes())).unwrap();
        let settings =
            TransportSettings { connect_timeout: Duration::from_secs(5), max_response_bytes: CAP, tls };
        HyperTransport::new(settings)
    }

    fn post(peer: &Peer) -> Request<Bytes> {
        Request::post(peer.url("/v2/token/generate?x=1")).body(Bytes::from_static(b"sealed")).unwrap()
    }

    async fn answered(peer: &Peer, answer: String) -> Result<Response<Bytes>, TransportError> {
        let client = transport(None);
        let serve = async {
            let mut connection = peer.accept().await;
            connection.serve(answer).await;
            connection.closed().await;
        };
        tokio::select! {
            done = client.send(post(peer), peer::soon()) => done,
            () = serve => panic!("the client closed before it had an answer"),
        }
    }

    #[test]
    fn connections_are_kept_and_any_status_is_an_answer() {
        peer::local(async {
            let (peer, client) = (Peer::plain().await, transport(None));
            let serve = async {
                let mut connection = peer.accept().await;
                let first = connection.serve(ok("fine")).await;
                connection
                    .serve("HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nbusy")
                    .await;
                first
            };
            let ask = async {
                let first = client.send(post(&peer), peer::soon()).await.unwrap();
                (first, client.send(post(&peer), peer::soon()).await.unwrap())
            };
            let (received, (first, second)) = tokio::join!(serve, ask);
            assert_eq!(received.line(), "POST /v2/token/generate?x=1 HTTP/1.1");
            assert_eq!(received.header("host"), Some(peer.authority().as_str()));
            assert_eq!(received.body, b"sealed");
            assert_eq!((first.status(), first.body().as_ref()), (StatusCode::OK, b"fine".as_ref()));
            assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(
                (&second.headers()["retry-after"], second.body().as_ref()),
                (&"7".parse().unwrap(), b"busy".as_ref())
            );
        });
    }

    #[test]
    fn an_answer_is_read_up_to_the_cap_and_not_past_it() {
        peer::local(async {
            let peer = Peer::plain().await;
            let (fits, too_long) = ("x".repeat(CAP), "x".repeat(CAP + 1));
            for answer in [ok, chunked] {
                assert_eq!(answered(&peer, answer(&fits)).await.unwrap().into_body(), fits);
                assert_eq!(answered(&peer, answer(&too_long)).await.unwrap_err(), TransportError::TooLarge);
            }
        });
    }

    #[test]
    fn the_deadline_covers_the_whole_exchange() {
        peer::local(async {
            let (peer, client) = (Peer::plain().await, transport(None));
            for part in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab"] {
                let serve = async {
                    let mut connection = peer.accept().await;
                    connection.serve(part).await;
                    connection.closed().await;
                };
                let (done, ()) = tokio::join!(client.send(post(&peer), peer::shortly()), serve);
                assert_eq!(done.unwrap_err(), TransportError::Timeout, "after {part:?}");
            }
        });
    }

    #[test]
    fn a_break_is_told_from_a_failure_to_connect() {
        peer::local(async {
            let client = transport(None);
            let (peer, request) = {
                let peer = Peer::plain().await;
                let request = post(&peer);
                (peer, request)
            };
            let (done, ()) = tokio::join!(client.send(request, peer::soon()), async {
                peer.accept().await.request().await;
            });
            assert!(matches!(done, Err(TransportError::Broken(_))), "{done:?}");
            let request = post(&peer);
            drop(peer);
            let done = client.send(request, peer::soon()).await;
            assert!(matches!(done, Err(TransportError::Connect(_))), "{done:?}");
        });
    }

    #[test]
    fn tls_trusts_the_extra_authority_and_nobody_else() {
        peer::local(async {
            let ca = Authority::new();
            let peer = Peer::tls(&ca).await;
            let client = transport(Some(&ca));
            let (done, received) = tokio::join!(client.send(post(&peer), peer::soon()), async {
                peer.accept().await.serve(ok("sealed too")).await
            });
            assert_eq!(
                (done.unwrap().into_body().as_ref(), received.body.as_slice()),
                (b"sealed too".as_ref(), b"sealed".as_ref())
            );

            for stranger in [None, Some(Authority::new())] {
                let client = transport(stranger.as_ref());
                let (done, refused) = tokio::join!(client.send(post(&peer), peer::soon()), peer.refused());
                let Err(TransportError::Connect(cause)) = done else { panic!("{done:?}") };
                assert!(
                    cause.contains("UnknownIssuer") || cause.contains("BadSignature"),
                    "{cause} / {refused}"
                );
            }
        });
    }
}

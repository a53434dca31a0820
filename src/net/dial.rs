//! From an origin to a connected byte stream: names, addresses, TCP, TLS.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::Scheme;
use http::{HeaderValue, Uri};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Scheme, host and port of one endpoint, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    tls: bool,
    host: String,
    port: u16,
    host_header: HeaderValue,
}

/// Why a URL names no endpoint we can connect to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OriginError {
    /// Neither `http` nor `https`.
    #[error("the scheme must be http or https")]
    Scheme,
    /// No host, or one that is neither a DNS name nor an IP address.
    #[error("the host is missing or not a name")]
    Host,
}

impl Origin {
    /// The origin of an absolute `http` or `https` URI. User information in it is ignored.
    pub fn of(uri: &Uri) -> Result<Self, OriginError> {
        let scheme = uri.scheme().ok_or(OriginError::Scheme)?;
        let tls = *scheme == Scheme::HTTPS;
        if !tls && *scheme != Scheme::HTTP {
            return Err(OriginError::Scheme);
        }
        let written = uri.host().ok_or(OriginError::Host)?;
        let host = written.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(written);
        ServerName::try_from(host).map_err(|_| OriginError::Host)?;
        let default_port = if tls { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default_port);
        let authority = if port == default_port { written.to_owned() } else { format!("{written}:{port}") };
        let host_header = HeaderValue::try_from(authority).map_err(|_| OriginError::Host)?;
        Ok(Self { tls, host: host.to_owned(), port, host_header })
    }

    /// The value of the `Host` header: the port only where it is not the scheme's own.
    pub fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }

    fn server_name(&self) -> ServerName<'static> {
        ServerName::try_from(self.host.clone()).expect("the host was checked when the origin was made")
    }
}

/// Connects to one origin, and remembers where its name last led.
pub(super) struct Dialer {
    origin: Origin,
    tls: Option<TlsConnector>,
    names: Names,
}

impl Dialer {
    /// `tls` is used where the origin wants it, with ALPN set to HTTP/1.1.
    pub(super) fn new(origin: Origin, tls: &ClientConfig) -> Self {
        let tls = origin.tls.then(|| {
            let mut config = tls.clone();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            TlsConnector::from(Arc::new(config))
        });
        Self { origin, tls, names: Names::default() }
    }

    /// A connected stream, by the time `budget` is used up. The error is for a log line.
    pub(super) async fn dial(&self, budget: Duration) -> Result<Stream, String> {
        timeout(budget, self.connect(budget)).await.unwrap_or_else(|_| Err(String::from("timed out")))
    }

    async fn connect(&self, budget: Duration) -> Result<Stream, String> {
        let addresses = self.addresses().await.map_err(|e| format!("name lookup: {e}"))?;
        let tcp = self.connect_first(&addresses, budget).await.map_err(|e| format!("tcp: {e}"))?;
        tcp.set_nodelay(true).map_err(|e| format!("tcp: {e}"))?;
        let Some(tls) = &self.tls else {
            return Ok(Stream::Plain(tcp));
        };
        let stream = tls.connect(self.origin.server_name(), tcp).await.map_err(|e| format!("tls: {e}"))?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let (host, port) = (self.origin.host.as_str(), self.origin.port);
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(literal, port)]);
        }
        let lookup = async { tokio::net::lookup_host((host, port)).await.map(Iterator::collect) };
        self.names.resolve(Instant::now(), lookup).await
    }

    /// Tries the addresses in turn. Each gets an even share of the budget, so that one that swallows packets leaves
    /// time for the others; the one that answers is tried first from now on.
    async fn connect_first(&self, addresses: &[SocketAddr], budget: Duration) -> io::Result<TcpStream> {
        let share = budget / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    self.names.prefer(*address);
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// How long a looked-up answer is used without asking again.
const NAME_LIFE: Duration = Duration::from_secs(30);
/// How long a lookup may take when there is an older answer to fall back on.
const NAME_PATIENCE: Duration = Duration::from_millis(100);

/// The last good answer to one name. A resolver that fails or dawdles costs nothing as long as there is one.
///
/// The lock is held while asking, so that a burst of dials asks once.
#[derive(Default)]
struct Names(Mutex<Option<LastGood>>);

struct LastGood {
    addresses: Vec<SocketAddr>,
    until: Instant,
}

impl Names {
    async fn resolve(
        &self,
        now: Instant,
        lookup: impl Future<Output = io::Result<Vec<SocketAddr>>>,
    ) -> io::Result<Vec<SocketAddr>> {
        let mut known = self.0.lock().await;
        let answer = match known.as_ref() {
            Some(good) if good.until > now => return Ok(good.addresses.clone()),
            Some(_) => timeout(NAME_PATIENCE, lookup).await.unwrap_or_else(|late| Err(late.into())),
            None => lookup.await,
        };
        let until = now + NAME_LIFE;
        match (answer, known.as_mut()) {
            (Ok(addresses), _) if !addresses.is_empty() => {
                *known = Some(LastGood { addresses: addresses.clone(), until });
                Ok(addresses)
            }
            (_, Some(good)) => {
                good.until = until;
                Ok(good.addresses.clone())
            }
            (Ok(_), None) => Err(io::Error::from(io::ErrorKind::NotFound)),
            (Err(error), None) => Err(error),
        }
    }

    /// Moves an address that works to the front. When somebody is asking just now, the next dial will do it.
    fn prefer(&self, address: SocketAddr) {
        let Ok(mut known) = self.0.try_lock() else { return };
        let Some(good) = known.as_mut() else { return };
        if let Some(at) = good.addresses.iter().position(|known| *known == address) {
            good.addresses.swap(0, at);
        }
    }
}

/// A plain or encrypted byte stream.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    /// Without this hyper would copy all segments of a body into one buffer first.
    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn found(addresses: Vec<SocketAddr>) -> impl Future<Output = io::Result<Vec<SocketAddr>>> {
        ready(Ok(addresses))
    }

    fn failed() -> impl Future<Output = io::Result<Vec<SocketAddr>>> {
        ready(Err(io::ErrorKind::ConnectionRefused.into()))
    }

    fn check_origin(url: &str, expected: Result<(&str, u16, &str), OriginError>) {
        let origin = Origin::of(&url.parse().unwrap());
        let parts = origin.as_ref().map(|o| (o.host.as_str(), o.port, o.host_header.to_str().unwrap()));
        assert_eq!(parts.map_err(|e| *e), expected, "{url}");
    }

    #[test]
    fn origins_of_urls() {
        check_origin("http://ssp.example/bid", Ok(("ssp.example", 80, "ssp.example")));
        check_origin("https://ssp.example:443/", Ok(("ssp.example", 443, "ssp.example")));
        check_origin("http://ssp.example:443/", Ok(("ssp.example", 443, "ssp.example:443")));
        check_origin("https://127.0.0.1:9001", Ok(("127.0.0.1", 9001, "127.0.0.1:9001")));
        check_origin("http://[::1]:80/x?y", Ok(("::1", 80, "[::1]")));
        check_origin("https://[2001:db8::1]:8443/", Ok(("2001:db8::1", 8443, "[2001:db8::1]:8443")));
        check_origin("http://user:secret@ssp.example/", Ok(("ssp.example", 80, "ssp.example")));
        check_origin("/bid", Err(OriginError::Scheme));
        check_origin("ftp://ssp.example/", Err(OriginError::Scheme));
        check_origin("http://not*a*name/", Err(OriginError::Host));
    }

    #[tokio::test]
    async fn an_answer_is_used_for_its_life_and_then_asked_again() {
        let (names, start) = (Names::default(), Instant::now());
        let last = start + NAME_LIFE - Duration::from_millis(1);
        assert_eq!(names.resolve(start, found(vec![address(1)])).await.unwrap(), [address(1)]);
        assert_eq!(names.resolve(last, found(vec![address(2)])).await.unwrap(), [address(1)]);
        let due = start + NAME_LIFE;
        assert_eq!(names.resolve(due, found(vec![address(2)])).await.unwrap(), [address(2)]);
    }

    #[tokio::test]
    async fn the_last_good_answer_stands_in_for_a_failing_resolver() {
        let (names, start) = (Names::default(), Instant::now());
        let none = names.resolve(start, failed()).await.unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::ConnectionRefused);
        let none = names.resolve(start, found(vec![])).await.unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::NotFound);
        names.resolve(start, found(vec![address(1)])).await.unwrap();
        for later in 1..=2 {
            let now = start + NAME_LIFE * later;
            assert_eq!(names.resolve(now, failed()).await.unwrap(), [address(1)]);
            // It is not asked again at once: the answer that failed to come would now be another.
            assert_eq!(names.resolve(now, found(vec![address(2)])).await.unwrap(), [address(1)]);
        }
        assert_eq!(names.resolve(start + NAME_LIFE * 3, found(vec![])).await.unwrap(), [address(1)]);
    }

    #[tokio::test]
    async fn a_silent_resolver_is_not_waited_for_when_there_is_an_old_answer() {
        let (names, start) = (Names::default(), Instant::now());
        names.resolve(start, found(vec![address(1)])).await.unwrap();
        assert_eq!(names.resolve(start + NAME_LIFE, pending()).await.unwrap(), [address(1)]);
    }

    #[tokio::test]
    async fn an_address_that_works_comes_first() {
        let (names, start) = (Names::default(), Instant::now());
        names.prefer(address(9));
        names.resolve(start, found(vec![address(1), address(2), address(3)])).await.unwrap();
        names.prefer(address(3));
        names.prefer(address(9));
        let now = names.resolve(start, failed()).await.unwrap();
        assert_eq!(now, [address(3), address(2), address(1)]);
    }
}

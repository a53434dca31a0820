//! The other end of a socket at the level of bytes: a test says what it reads, what it writes and how it leaves.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a peer does next on a connection.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Reads one whole request, by its `content-length`.
    Read,
    /// Reads one byte, and leaves the rest where it is.
    Touch,
    Write(Vec<u8>),
    /// Writes byte by byte.
    Drip(Vec<u8>, Duration),
    /// Writes so many blanks, or until the other side has had enough.
    Flood(usize),
    /// Says nothing until the other side closes.
    Hang,
    /// Closes its own side, and waits for the other.
    Fin,
    /// Leaves with a reset.
    Reset,
    /// Begins again.
    Again,
}

pub(crate) fn write(text: impl AsRef<[u8]>) -> Step {
    Step::Write(text.as_ref().to_vec())
}

/// A 200 with a length.
pub(crate) fn ok(body: impl AsRef<[u8]>) -> Step {
    answer("200 OK", "", body)
}

/// An answer with a length and these header lines.
pub(crate) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Step {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    write([head.as_bytes(), body].concat())
}

pub(crate) fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A listener that does the same on each connection, or what was said for the first ones.
#[derive(Clone, Debug)]
pub(crate) struct RawPeer {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl RawPeer {
    /// `plays`: one list of steps for each connection; the last one serves all that follow.
    pub(crate) async fn start(plays: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let playing = peer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let nth = playing.connections.fetch_add(1, Ordering::Relaxed);
                let steps = plays[nth.min(plays.len() - 1)].clone();
                tokio::spawn(playing.clone().play(stream, steps));
            }
        });
        peer
    }

    /// Requests that were read whole.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Connections that were taken.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    async fn play(self, mut stream: TcpStream, steps: Vec<Step>) {
        stream.set_nodelay(true).ok();
        while self.once(&mut stream, &steps).await == Some(true) {}
    }

    /// Whether to begin again; `None` when the other side has gone.
    async fn once(&self, stream: &mut TcpStream, steps: &[Step]) -> Option<bool> {
        for step in steps {
            match step {
                Step::Read => {
                    request(stream).await?;
                    self.requests.fetch_add(1, Ordering::Relaxed);
                }
                Step::Touch => drop(stream.read_u8().await.ok()?),
                Step::Write(bytes) => stream.write_all(bytes).await.ok()?,
                Step::Drip(bytes, every) => drip(stream, bytes, *every).await?,
                Step::Flood(bytes) => flood(stream, *bytes).await?,
                Step::Hang => gone(stream).await,
                Step::Fin => {
                    stream.shutdown().await.ok()?;
                    gone(stream).await;
                }
                Step::Reset => reset(stream),
                Step::Again => return Some(true),
            }
        }
        Some(false)
    }
}

/// A port at which nobody listens.
pub(crate) async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A listener whose queue is full: who connects hears nothing. As long as the sockets live.
pub(crate) async fn full_queue() -> (SocketAddr, Vec<Socket>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut sockets = vec![listener];
    loop {
        let (next, to) = (Socket::new(Domain::IPV4, Type::STREAM, None).unwrap(), address.clone());
        let tried = tokio::task::spawn_blocking(move || {
            let connected = next.connect_timeout(&to, Duration::from_millis(100)).is_ok();
            (next, connected)
        });
        let (next, connected) = tried.await.unwrap();
        sockets.push(next);
        if !connected {
            return (address.as_socket().unwrap(), sockets);
        }
        assert!(sockets.len() < 100, "the queue is never full");
    }
}

/// Reads one request with a `content-length`.
async fn request(stream: &mut TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok().map(drop)
}

pub(crate) async fn drip(stream: &mut TcpStream, bytes: &[u8], every: Duration) -> Option<()> {
    let mut ticks = tokio::time::interval(every);
    for byte in bytes {
        ticks.tick().await;
        stream.write_all(&[*byte]).await.ok()?;
    }
    Some(())
}

async fn flood(stream: &mut TcpStream, bytes: usize) -> Option<()> {
    let block = vec![b' '; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(block.len());
        stream.write_all(&block[..now]).await.ok()?;
        left -= now;
    }
    Some(())
}

/// Until the other side has closed; what it says is thrown away.
async fn gone(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

/// Closed from now on with a reset instead of a farewell.
pub(crate) fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

//! Binding, and the one acceptor that hands each connection to the thread that has fewest.
//!
//! `SO_REUSEPORT` would split unevenly and reset what is queued when a listener closes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::drain::{Drain, Stage};
use super::live::Live;
use super::worker::Worker;

const BACKLOG: i32 = 4096;

/// Pause after a failed `accept`, so that running out of file handles does not spin a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// An address could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("{key} = \"{address}\": {source}{hint}")]
pub struct BindError {
    key: &'static str,
    address: SocketAddr,
    source: io::Error,
    hint: &'static str,
}

/// Binds `address`; `key` is the configuration key to name when it cannot be done.
pub fn bind(key: &'static str, address: SocketAddr) -> Result<std::net::TcpListener, BindError> {
    try_bind(address).map_err(|source| {
        let taken = source.kind() == io::ErrorKind::AddrInUse;
        BindError {
            key,
            address,
            source,
            hint: if taken { " (is another gateway running here?)" } else { "" },
        }
    })
}

fn try_bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until the drain closes the door. Returns with the listener closed.
pub(super) async fn accept(listener: TcpListener, workers: Arc<[Worker]>, live: Live, drain: Drain) {
    let closing = drain.reached(Stage::Closing);
    tokio::pin!(closing);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut closing => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                hand_over((stream, peer), &workers, live.current().settings.max_connections);
            }
            Err(fault) => {
                tracing::warn!(error = %fault, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn hand_over((stream, peer): (tokio::net::TcpStream, SocketAddr), workers: &[Worker], limit: usize) {
    let open: usize = workers.iter().filter_map(Worker::connections).sum();
    if open >= limit {
        return; // dropping the stream closes it: the caller sees it at once and can go elsewhere
    }
    let alive = workers.iter().filter_map(|worker| Some((worker.connections()?, worker)));
    let Some((_, least)) = alive.min_by_key(|(open, _)| *open) else {
        tracing::error!("no data-plane thread is left");
        return;
    };
    if let Ok(stream) = stream.into_std() {
        least.give(stream, peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_is_named_with_its_key() {
        let first = bind("server.listen", "127.0.0.1:0".parse().unwrap()).unwrap();
        let taken = first.local_addr().unwrap();
        let message = bind("server.listen", taken).unwrap_err().to_string();
        assert!(message.contains("server.listen") && message.contains(&taken.to_string()), "{message}");
        assert!(message.contains("another gateway"), "{message}");
    }
}

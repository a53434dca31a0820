//! One HTTP/1.1 connection with keep-alive, made anew after a fault.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::recorder::Fault;

/// A connection to one authority (`host:port`).
#[derive(Debug)]
pub(super) struct Connection {
    authority: String,
    timeout: Duration,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    pub(super) const fn new(authority: String, timeout: Duration) -> Self {
        Self { authority, timeout, open: None }
    }

    /// Opens the connection when there is none that is usable.
    pub(super) async fn ready(&mut self) -> Result<(), Fault> {
        let usable = match &mut self.open {
            Some(open) => open.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            let dialled = tokio::time::timeout(self.timeout, dial(&self.authority)).await;
            self.open = Some(dialled.map_err(|_| Fault::Timeout)??);
        }
        Ok(())
    }

    /// Sends a request and reads its answer whole: status and size of the body.
    pub(super) async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<(u16, u64), Fault> {
        self.ready().await?;
        let open = self.open.as_mut().ok_or(Fault::Connect)?;
        let exchange = async {
            let response = open.send_request(request).await.map_err(|_| Fault::Broken)?;
            let (head, mut body) = response.into_parts();
            let mut size = 0;
            while let Some(frame) = body.frame().await {
                let data = frame.map_err(|_| Fault::Broken)?.into_data().unwrap_or_default();
                size += u64::try_from(data.len()).unwrap_or(u64::MAX);
            }
            Ok((head.status.as_u16(), size))
        };
        let result = tokio::time::timeout(self.timeout, exchange).await.unwrap_or(Err(Fault::Timeout));
        if result.is_err() {
            // What is left of an answer must not meet the next request.
            self.open = None;
        }
        result
    }
}

async fn dial(authority: &str) -> Result<SendRequest<Full<Bytes>>, Fault> {
    let stream = TcpStream::connect(authority).await.map_err(|_| Fault::Connect)?;
    stream.set_nodelay(true).map_err(|_| Fault::Connect)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Fault::Connect)?;
    tokio::spawn(async move {
        if let Err(fault) = connection.await {
            tracing::debug!(%fault, "replay: connection ended");
        }
    });
    Ok(sender)
}

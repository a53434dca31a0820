//! Opens connections to the target.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::DriveError;
use crate::net::tls;

/// What speaks over the connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Everything needed to open a connection.
#[derive(Clone)]
pub(super) struct Dial {
    addresses: Vec<SocketAddr>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    protocol: Protocol,
    timeout: Duration,
}

/// An open connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Dial {
    /// Looks the host up, once.
    pub(super) async fn new(
        target: &Uri,
        protocol: Protocol,
        ca: Option<&[u8]>,
        timeout: Duration,
    ) -> Result<Self, DriveError> {
        super::check_target(target)?;
        let refused = || DriveError::Target("with a host that is a name or an address");
        let secure = target.scheme_str() == Some("https");
        let host = target.host().ok_or_else(refused)?.trim_matches(['[', ']']);
        let port = target.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let found =
            lookup_host((host, port)).await.map_err(|fault| DriveError::Unreachable(fault.to_string()))?;
        let tls = if secure {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| refused())?;
            Some((connector(protocol, ca)?, name))
        } else {
            None
        };
        Ok(Self { addresses: found.collect(), tls, protocol, timeout })
    }

    /// A connection, or why there is none.
    pub(super) async fn open(&self) -> Result<Stream, String> {
        let opened = tokio::time::timeout(self.timeout, self.attempt()).await;
        opened.unwrap_or_else(|_| Err("timed out".to_owned()))
    }

    async fn attempt(&self) -> Result<Stream, String> {
        let said = |fault: std::io::Error| fault.to_string();
        let stream = TcpStream::connect(self.addresses.as_slice()).await.map_err(said)?;
        stream.set_nodelay(true).map_err(said)?;
        let Some((connector, name)) = &self.tls else { return Ok(Stream::Plain(stream)) };
        let secured = connector.connect(name.clone(), stream).await.map_err(said)?;
        let agreed = secured.get_ref().1.alpn_protocol();
        if self.protocol == Protocol::Http2 && agreed != Some(b"h2") {
            return Err("it does not speak HTTP/2".to_owned());
        }
        Ok(Stream::Tls(Box::new(secured)))
    }
}

fn connector(protocol: Protocol, ca: Option<&[u8]>) -> Result<TlsConnector, DriveError> {
    let mut config = ClientConfig::clone(&*tls::client_config(ca)?);
    config.alpn_protocols = match protocol {
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

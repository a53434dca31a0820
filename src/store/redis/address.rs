//! `store.urls` → where to connect: one server (or several, of which the primary is meant), sentinels, or a cluster.
//!
//! ```text
//! redis://[user:password@]host[:6379][/database]          rediss:// is the same over TLS
//! redis+sentinel://[user:password@]host[:26379]/name      the password is that of the servers …
//!                  [?sentinel_password=…&db=0]            … and this that of the sentinels
//! ```

use redis::{Client, ConnectionInfo, IntoConnectionInfo, TlsCertificates};

use super::Settings;

const SENTINEL_PORT: u16 = 26379;

/// Where to connect.
#[derive(Clone)]
pub(super) enum Address {
    /// The first of these that is a primary.
    Servers(Vec<ConnectionInfo>),
    /// The primary of this name, as the sentinels say.
    Sentinels {
        sentinels: Vec<ConnectionInfo>,
        name: String,
        /// Credentials, database and TLS of the servers; its host counts nothing.
        server: Box<ConnectionInfo>,
    },
    /// A cluster that these belong to.
    Cluster(Vec<ConnectionInfo>, Option<TlsCertificates>),
}

/// Why a URL cannot be used: its place in the list, and what is wrong. Never holds the URL.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct UrlError {
    /// From 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// One URL, read.
enum Parsed {
    Server(ConnectionInfo),
    Sentinel { sentinel: Box<ConnectionInfo>, name: String, server: Box<ConnectionInfo> },
}

/// Reads `store.urls`.
pub(super) fn read(settings: &Settings) -> Result<Address, UrlError> {
    let certificates =
        settings.ca.as_ref().map(|pem| TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) });
    let (mut servers, mut sentinels, mut named) = (Vec::new(), Vec::new(), None);
    for (index, url) in settings.urls.iter().enumerate() {
        let fault = |reason| UrlError { index, reason };
        match parse(url.expose(), certificates.as_ref()).map_err(fault)? {
            Parsed::Server(info) => servers.push(info),
            Parsed::Sentinel { sentinel, name, server } => {
                let (known, _) = named.get_or_insert((name.clone(), server));
                if *known != name {
                    return Err(fault("names another primary than the URLs before it"));
                }
                sentinels.push(*sentinel);
            }
        }
        if !servers.is_empty() && !sentinels.is_empty() {
            return Err(fault("URLs of servers and of sentinels cannot be mixed"));
        }
        if settings.cluster && !sentinels.is_empty() {
            return Err(fault("a cluster has no sentinels; use redis:// or rediss://"));
        }
    }
    match named {
        Some((name, server)) => Ok(Address::Sentinels { sentinels, name, server }),
        None if servers.is_empty() => Err(UrlError { index: 0, reason: "at least one URL is required" }),
        None if settings.cluster => Ok(Address::Cluster(servers, certificates)),
        None => Ok(Address::Servers(servers)),
    }
}

fn parse(url: &str, certificates: Option<&TlsCertificates>) -> Result<Parsed, &'static str> {
    const SCHEMES: &str = "must start with redis://, rediss://, redis+sentinel:// or rediss+sentinel://";
    let (scheme, rest) = url.split_once("://").ok_or(SCHEMES)?;
    match scheme {
        "redis" | "rediss" => Ok(Parsed::Server(info(url, certificates)?)),
        "redis+sentinel" => sentinel("redis", rest, certificates),
        "rediss+sentinel" => sentinel("rediss", rest, certificates),
        _ => Err(SCHEMES),
    }
}

fn sentinel(
    scheme: &str,
    rest: &str,
    certificates: Option<&TlsCertificates>,
) -> Result<Parsed, &'static str> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, name) =
        rest.split_once('/').filter(|(_, name)| !name.is_empty()).ok_or("must name the primary: …/name")?;
    let (credentials, host) = authority.rsplit_once('@').map_or(("", authority), |(c, host)| (c, host));
    let host = match host.rsplit_once(':') {
        Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host.to_owned(),
        _ => format!("{host}:{SENTINEL_PORT}"),
    };
    let (mut password, mut database) = ("", "0");
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sentinel_password", value)) => password = value,
            Some(("db", value)) => database = value,
            _ => return Err("after the ? only sentinel_password and db are known"),
        }
    }
    let at = |credentials: &str| if credentials.is_empty() { "" } else { "@" };
    let own = if password.is_empty() { String::new() } else { format!(":{password}") };
    let sentinel = info(&format!("{scheme}://{own}{}{host}", at(&own)), certificates)?;
    let server =
        info(&format!("{scheme}://{credentials}{}{host}/{database}", at(credentials)), certificates)?;
    Ok(Parsed::Sentinel { sentinel: Box::new(sentinel), name: name.to_owned(), server: Box::new(server) })
}

fn info(url: &str, certificates: Option<&TlsCertificates>) -> Result<ConnectionInfo, &'static str> {
    const SHAPE: &str = "must be scheme://[user:password@]host[:port][/database]";
    let info = url.into_connection_info().map_err(|_| SHAPE)?;
    match (info.addr(), certificates) {
        (redis::ConnectionAddr::TcpTls { .. }, Some(certificates)) => {
            let client = Client::build_with_tls(info, certificates.clone());
            client.map(|client| client.get_connection_info().clone()).map_err(|_| "store.ca cannot be used")
        }
        _ => Ok(info),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::secret::Secret;

    fn read_all(cluster: bool, urls: &[&str]) -> Result<Address, UrlError> {
        let urls = urls.iter().map(|url| Secret::new((*url).to_owned())).collect();
        read(&Settings {
            urls,
            cluster,
            ca: None,
            timeout: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(1),
            max_stale: Duration::from_mins(5),
            wait_replicas: None,
        })
    }

    fn refused(cluster: bool, urls: &[&str]) -> (usize, &'static str) {
        read_all(cluster, urls).map(|_| ()).map_err(|fault| (fault.index, fault.reason)).unwrap_err()
    }

    #[test]
    fn servers_sentinels_and_clusters_are_told_apart() {
        let servers = read_all(false, &["redis://a", "rediss://u:p%40@b:7000/3"]);
        let Ok(Address::Servers(servers)) = servers else { panic!() };
        assert_eq!(servers[0].addr().to_string(), "a:6379");
        assert_eq!(servers[1].redis_settings().password(), Some("p@"));
        assert_eq!(servers[1].redis_settings().db(), 3);
        assert!(matches!(read_all(true, &["redis://a"]), Ok(Address::Cluster(..))));
    }

    #[test]
    fn a_sentinel_has_its_own_port_and_password() {
        let urls =
            ["redis+sentinel://u:secret@a/main?sentinel_password=other&db=2", "redis+sentinel://b:5/main"];
        let Ok(Address::Sentinels { sentinels, name, server }) = read_all(false, &urls) else { panic!() };
        assert_eq!(name, "main");
        assert_eq!(sentinels[0].addr().to_string(), "a:26379");
        assert_eq!(sentinels[0].redis_settings().password(), Some("other"));
        assert_eq!(sentinels[1].addr().to_string(), "b:5");
        assert_eq!(sentinels[1].redis_settings().password(), None);
        assert_eq!((server.redis_settings().password(), server.redis_settings().db()), (Some("secret"), 2));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_place() {
        assert_eq!(refused(false, &["redis://a", "http://b"]).0, 1);
        assert!(refused(false, &["localhost:6379"]).1.starts_with("must start with"));
        assert_eq!(refused(false, &["redis+sentinel://a"]).1, "must name the primary: …/name");
        assert_eq!(refused(false, &["redis+sentinel://a/x", "redis+sentinel://b/y"]).0, 1);
        assert_eq!(refused(false, &["redis://a", "redis+sentinel://b/y"]).0, 1);
        assert!(refused(true, &["redis+sentinel://b/y"]).1.starts_with("a cluster has no sentinels"));
        assert!(refused(false, &["redis://a/not-a-number"]).1.starts_with("must be scheme://"));
        assert_eq!(refused(false, &[]).1, "at least one URL is required");
        assert!(refused(false, &["redis+sentinel://a/x?y=1"]).1.contains("only sentinel_password"));
    }
}

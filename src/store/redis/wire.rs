//! One way to Redis, whatever stands at its end: a connection to a server, or one to a cluster, and how it is made.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue, Pipeline};
use redis::{ErrorKind, RedisError, RedisResult, TlsMode, Value, cmd};

use super::address::Address;

/// How often the cluster's client sends one command itself: it knows where a slot has gone to.
const CLUSTER_RETRIES: u32 = 2;
const CLUSTER_RETRY_MS: u64 = 50;
/// Connections that making one to a cluster may have to wait for, one after the other.
const CLUSTER_DIALS: u32 = 4;

/// A connection; many commands at once may be under way on it.
#[derive(Clone)]
pub(super) enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A node of a cluster, or the one server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Node {
    Only,
    At { host: String, port: u16 },
}

impl Wire {
    /// Asks whoever holds the key that the command names.
    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::One(one) => command.query_async(one).await,
            Self::Cluster(cluster) => command.query_async(cluster).await,
        }
    }

    /// Asks the primary that holds `key` something that names no key.
    pub(super) async fn ask_holder<T: FromRedisValue>(&mut self, key: &str, command: Cmd) -> RedisResult<T> {
        match self {
            Self::One(one) => command.query_async(one).await,
            Self::Cluster(cluster) => {
                let route = RoutingInfo::SingleNode(holder(key));
                read(cluster.route_command(command, route).await?)
            }
        }
    }

    /// Sends commands one right after the other, to the primary that holds `key`.
    pub(super) async fn ask_together(&mut self, key: &str, commands: Pipeline) -> RedisResult<Vec<Value>> {
        let answers = match self {
            Self::One(one) => one.send_packed_commands(&commands, 0, commands.len()).await?,
            Self::Cluster(cluster) => {
                let count = commands.len();
                cluster.route_pipeline(commands, 0, count, holder(key)).await?
            }
        };
        answers.into_iter().map(Value::extract_error).collect()
    }

    /// Asks one node.
    pub(super) async fn ask_node<T: FromRedisValue>(&mut self, node: &Node, command: Cmd) -> RedisResult<T> {
        match (self, node) {
            (Self::One(one), _) => command.query_async(one).await,
            (Self::Cluster(cluster), Node::At { host, port }) => {
                let to = SingleNodeRoutingInfo::ByAddress { host: host.clone(), port: *port };
                read(cluster.route_command(command, RoutingInfo::SingleNode(to)).await?)
            }
            (Self::Cluster(cluster), Node::Only) => command.query_async(cluster).await,
        }
    }

    /// Asks every primary.
    pub(super) async fn ask_primaries(&mut self, command: Cmd) -> RedisResult<Vec<(Node, String)>> {
        let cluster = match self {
            Self::One(one) => return Ok(vec![(Node::Only, command.query_async(one).await?)]),
            Self::Cluster(cluster) => cluster,
        };
        let route = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let Value::Map(answers) = cluster.route_command(command, route).await?.extract_error()? else {
            return Err(RedisError::from((ErrorKind::UnexpectedReturnType, "not one answer a node")));
        };
        let named = |(name, answer)| Ok((node(&read::<String>(name)?)?, read(answer)?));
        answers.into_iter().map(named).collect()
    }
}

fn read<T: FromRedisValue>(value: Value) -> RedisResult<T> {
    Ok(redis::from_redis_value(value.extract_error()?)?)
}

fn holder(key: &str) -> SingleNodeRoutingInfo {
    SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master))
}

fn node(name: &str) -> RedisResult<Node> {
    let unknown = || RedisError::from((ErrorKind::UnexpectedReturnType, "not the address of a node"));
    let (host, port) = name.rsplit_once(':').ok_or_else(unknown)?;
    Ok(Node::At { host: host.to_owned(), port: port.parse().map_err(|_| unknown())? })
}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) address: Address,
    /// For one connection, handshake included.
    pub(super) connect_timeout: Duration,
    /// How long a node of a cluster may take for an answer.
    pub(super) answer_timeout: Duration,
}

impl Dialer {
    /// Connects, to a primary that is known to be one.
    pub(super) async fn dial(&self) -> RedisResult<Wire> {
        match &self.address {
            Address::Servers(servers) => self.first_primary(servers).await.map(Wire::One),
            Address::Sentinels { sentinels, name, server } => {
                let primary = self.named_primary(sentinels, name, server).await?;
                self.first_primary(&[primary]).await.map(Wire::One)
            }
            Address::Cluster(nodes, certificates) => {
                let mut builder = ClusterClientBuilder::new(nodes.clone())
                    .retries(CLUSTER_RETRIES)
                    .min_retry_wait(CLUSTER_RETRY_MS)
                    .max_retry_wait(CLUSTER_RETRY_MS)
                    .connection_timeout(self.connect_timeout)
                    .response_timeout(self.answer_timeout);
                if nodes.iter().any(|node| is_tls(node.addr())) {
                    builder = builder.tls(TlsMode::Secure);
                }
                if let Some(certificates) = certificates {
                    builder = builder.certs(certificates.clone());
                }
                let client = builder.build()?;
                let connected = in_time(self.connect_timeout * CLUSTER_DIALS, client.get_async_connection());
                connected.await.map(Wire::Cluster)
            }
        }
    }

    async fn first_primary(&self, servers: &[ConnectionInfo]) -> RedisResult<MultiplexedConnection> {
        let mut last = RedisError::from((ErrorKind::InvalidClientConfig, "no server is configured"));
        for server in servers {
            match self.primary(server).await {
                Ok(connection) => return Ok(connection),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    async fn primary(&self, server: &ConnectionInfo) -> RedisResult<MultiplexedConnection> {
        let mut connection = self.connect(server).await?;
        // Whoever may not be asked this is taken at its word: writing to a replica fails by itself.
        let role = cmd("ROLE").query_async::<Vec<Value>>(&mut connection).await;
        let is_replica = |role: &[Value]| role.first() == Some(&Value::BulkString(b"slave".to_vec()));
        match role {
            Ok(role) if is_replica(&role) => {
                Err(RedisError::from((ErrorKind::Client, "the server is a replica")))
            }
            Err(fault) if fault.is_io_error() => Err(fault),
            _ => Ok(connection),
        }
    }

    /// Asks the sentinels in turn who the primary is.
    async fn named_primary(
        &self,
        sentinels: &[ConnectionInfo],
        name: &str,
        server: &ConnectionInfo,
    ) -> RedisResult<ConnectionInfo> {
        let mut last = RedisError::from((ErrorKind::EmptySentinelList, "no sentinel is configured"));
        for sentinel in sentinels {
            match self.ask_sentinel(sentinel, name).await {
                Ok((host, port)) => return Ok(server.clone().set_addr(moved(server.addr(), host, port))),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    async fn ask_sentinel(&self, sentinel: &ConnectionInfo, name: &str) -> RedisResult<(String, u16)> {
        let mut connection = self.connect(sentinel).await?;
        let mut question = cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        let answer: Option<(String, u16)> = question.query_async(&mut connection).await?;
        let unknown = (ErrorKind::MasterNameNotFoundBySentinel, "the sentinel knows no primary of this name");
        answer.ok_or_else(|| RedisError::from(unknown))
    }

    async fn connect(&self, info: &ConnectionInfo) -> RedisResult<MultiplexedConnection> {
        // Answers are waited for by whoever asks; the library's own limit would cut a blocking read short.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(None);
        let work = async {
            let client = Client::open(info.clone())?;
            client.get_multiplexed_async_connection_with_config(&config).await
        };
        in_time(self.connect_timeout, work).await
    }
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let late = |_| RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    tokio::time::timeout(limit, work).await.map_err(late)?
}

fn is_tls(address: &ConnectionAddr) -> bool {
    matches!(address, ConnectionAddr::TcpTls { .. })
}

/// The same kind of address elsewhere.
fn moved(like: &ConnectionAddr, host: String, port: u16) -> ConnectionAddr {
    let mut there = like.clone();
    match &mut there {
        ConnectionAddr::Tcp(old_host, old_port)
        | ConnectionAddr::TcpTls { host: old_host, port: old_port, .. } => {
            *old_host = host;
            *old_port = port;
        }
        _ => {}
    }
    there
}

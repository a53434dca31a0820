//! Real Redis servers for a test, each on a free port of loopback: alone, with replica and sentinels, or as a cluster.
//!
//! Without the programs the tests say `skipped: …` and pass, unless `UID2GW_REQUIRE_PEERS=1`: then they fail.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
/// A node of a cluster talks to the others on a port so much higher.
const BUS: u16 = 10_000;

/// A server process; killed when the test ends, however it ends.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    /// Arguments for redis-cli besides the port.
    cli: Vec<String>,
    _dir: tempfile::TempDir,
}

impl Server {
    /// One with nothing on its disk.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let port = free_port();
        Self::start_at(port, "--port", arguments, &[])
    }

    /// `cli`: what redis-cli has to be told to speak with it.
    pub(crate) fn start_at(port: u16, how: &str, arguments: &[&str], cli: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("redis-server");
        command.args([how, &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(dir.path()).args(arguments);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let cli = cli.iter().map(|it| (*it).to_owned()).collect();
        let server = Self { child, port, cli, _dir: dir };
        wait(&format!("a server on port {port}"), || TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What a command says.
    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let done = Command::new("redis-cli").args(["-p", &port]).args(&self.cli).args(arguments).output();
        String::from_utf8_lossy(&done.unwrap().stdout).trim().to_owned()
    }

    /// SIGKILL, SIGSTOP, SIGCONT.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whether the programs are there.
pub(crate) fn is_there() -> bool {
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if ["redis-server", "redis-sentinel", "redis-cli"].into_iter().all(there) {
        return true;
    }
    let required = std::env::var_os("UID2GW_REQUIRE_PEERS").is_some_and(|value| value == "1");
    assert!(!required, "redis-server, redis-sentinel and redis-cli are required");
    // Not print!, which the test harness hides.
    writeln!(std::io::stderr(), "skipped: no redis-server, redis-sentinel and redis-cli").unwrap_or_default();
    false
}

/// A port that is free, and whose cluster bus is free; below those the system gives to connections.
pub(crate) fn free_port() -> u16 {
    let listens = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let chance = || 12_000 + u16::try_from(getrandom::u64().unwrap() % 10_000).unwrap();
    std::iter::repeat_with(chance).find(|port| listens(*port) && listens(*port + BUS)).unwrap()
}

/// Polls until it holds.
pub(crate) fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        // What is asked starts programs: not without a pause.
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Six processes: three primaries, a replica each.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Server>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        let nodes: Vec<Server> = (0..6).map(|_| Server::start(&arguments)).collect();
        let addresses: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(&addresses);
        let made = create.args(["--cluster-replicas", "1", "--cluster-yes"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let cluster = Self { nodes };
        wait("the cluster to stand", || {
            cluster.nodes.iter().all(|node| {
                let follows = node.ask(&["INFO", "replication"]);
                let linked = follows.contains("role:master") && follows.contains("state=online")
                    || follows.contains("master_link_status:up");
                linked && node.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
            })
        });
        cluster
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    /// The primary that holds `key`, as those say that are asked.
    pub(crate) fn primary_of(&self, key: &str) -> usize {
        let port = |server: &Server| {
            let slot: u32 = server.ask(&["CLUSTER", "KEYSLOT", key]).parse().ok()?;
            // Each range: from, to, then host, port and id of its primary.
            let nodes = server.ask(&["CLUSTER", "NODES"]);
            let holds = |line: &&str| {
                line.contains("master")
                    && line.split(' ').skip(8).any(|range| {
                        let (from, to) = range.split_once('-').unwrap_or((range, range));
                        (from.parse().unwrap_or(u32::MAX)..=to.parse().unwrap_or(0)).contains(&slot)
                    })
            };
            let line = nodes.lines().find(holds)?.to_owned();
            line.split([':', '@']).nth(1)?.parse::<u16>().ok()
        };
        let port = self.nodes.iter().find_map(port).unwrap();
        self.nodes.iter().position(|node| node.port == port).unwrap()
    }
}

/// A primary with a replica, and three sentinels that watch them.
pub(crate) struct Watched {
    pub(crate) primary: Server,
    pub(crate) replica: Server,
    pub(crate) sentinels: Vec<Server>,
    _files: tempfile::TempDir,
}

impl Watched {
    pub(crate) fn start() -> Self {
        let primary = Server::start(&[]);
        let port = primary.port.to_string();
        let replica = Server::start(&["--replicaof", "127.0.0.1", &port]);
        wait("the replica", || replica.ask(&["INFO", "replication"]).contains("master_link_status:up"));
        let files = tempfile::tempdir().unwrap();
        let sentinel = |number: usize| {
            let file: PathBuf = files.path().join(format!("{number}.conf"));
            let lines = format!(
                "sentinel monitor identities 127.0.0.1 {port} 2\n\
                 sentinel down-after-milliseconds identities 500\n\
                 sentinel failover-timeout identities 3000\n"
            );
            std::fs::write(&file, lines).unwrap();
            sentinel(&file)
        };
        let sentinels: Vec<Server> = (0..3).map(sentinel).collect();
        wait("the sentinels to know each other", || {
            sentinels.iter().all(|it| {
                let known = it.ask(&["SENTINEL", "MASTER", "identities"]);
                let after = |name: &str| {
                    known.lines().skip_while(|line| *line != name).nth(1).unwrap_or("").to_owned()
                };
                after("num-other-sentinels") == "2" && after("num-slaves") == "1"
            })
        });
        Self { primary, replica, sentinels, _files: files }
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(|it| format!("redis+sentinel://127.0.0.1:{}/identities", it.port)).collect()
    }
}

fn sentinel(file: &std::path::Path) -> Server {
    let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
    let mut command = Command::new("redis-sentinel");
    command.arg(file).args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    command.arg("--dir").arg(dir.path());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let server = Server { child, port, cli: Vec::new(), _dir: dir };
    wait("a sentinel", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    server
}

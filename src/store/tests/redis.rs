//! What only the store in Redis does, on a real server: a fleet of two stores on one.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::store::{Lease, News};

pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A server for one test.
pub(crate) struct Server {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Server {
    /// `None` where there is no program: then the test says that it was skipped.
    pub(crate) fn start() -> Option<Self> {
        // A port that was free a moment ago may be taken by another test: then the next one.
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = Command::new("redis-server");
            command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
            command.arg("--dir").arg(dir.path()).stdout(Stdio::null()).stderr(Stdio::null());
            let Ok(child) = command.spawn() else {
                let required = std::env::vars_os().any(|(k, v)| k == "UID2GW_REQUIRE_PEERS" && v == "1");
                assert!(!required, "redis-server is required");
                writeln!(std::io::stderr(), "skipped: no redis-server").unwrap_or_default();
                return None;
            };
            let mut server = Self { child, port, _dir: dir };
            if server.answers() {
                return Some(server);
            }
        }
        panic!("no redis-server could be started");
    }

    fn answers(&mut self) -> bool {
        let deadline = Clock::monotonic() + PATIENCE;
        while Clock::monotonic() < deadline && self.child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return self.child.try_wait().unwrap().is_none();
            }
            std::thread::yield_now();
        }
        false
    }

    pub(crate) fn settings(&self) -> RedisSettings {
        RedisSettings {
            urls: vec![Secret::new(format!("redis://127.0.0.1:{}", self.port))],
            cluster: false,
            ca: None,
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            max_stale: Duration::from_mins(5),
            wait_replicas: None,
        }
    }

    /// The same with little patience.
    pub(super) fn brief(&self) -> RedisSettings {
        RedisSettings {
            timeout: Duration::from_millis(100),
            connect_timeout: Duration::from_millis(200),
            ..self.settings()
        }
    }

    /// Sends a signal to the process.
    pub(super) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Lets a process go on that was stopped, and asks it something at once.
    pub(super) fn cli_after_cont(&self, arguments: &[&str]) -> String {
        self.signal("-CONT");
        self.cli(arguments)
    }

    /// Has lines of commands done, in which strings may be quoted and bytes escaped.
    pub(super) fn cli_in(&self, lines: &str) {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Nothing can be told to the other gateways any more, and nothing is heard.
    pub(crate) fn silence(&self) {
        self.cli(&["RENAME", "uid2gw:changes", "aside"]);
        self.cli(&["SET", "uid2gw:changes", "no stream"]);
    }

    /// The stream is there again, as it was.
    pub(crate) fn unsilence(&self) {
        // In one step: between two, something could be told in the place of the one that comes back.
        self.cli(&["RENAME", "aside", "uid2gw:changes"]);
    }

    /// What a command on the command line says.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let done = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Bench {
    /// The store of one more gateway on this bench's server; `None`: there is no program.
    pub(super) fn another(&self) -> Option<Store> {
        let server = self.server.get_or_init(Server::start).as_ref()?;
        Some(self.open_as(Kind::Redis(server.settings())).unwrap())
    }

    pub(super) fn server(&self) -> &Server {
        self.server.get().unwrap().as_ref().unwrap()
    }
}

pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline: Instant = Clock::monotonic() + PATIENCE;
    while !holds().await {
        assert!(Clock::monotonic() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_record_of_one_gateway_is_read_by_the_other_and_told_to_it() {
    let bench = Bench::new();
    let (Some(here), Some(there)) = (bench.another(), bench.another()) else { return };
    let mut news = there.take_news().unwrap();
    assert!(there.take_news().is_none(), "for one listener");
    let generation = put(&here, 1).await;
    assert_eq!(there.read(key(1)).await.unwrap().unwrap().generation, generation);
    let heard = tokio::time::timeout(PATIENCE, news.recv()).await.unwrap();
    assert_eq!(heard, Some(News::Written { key: key(1), generation }));
    assert_eq!(there.generations(vec![key(2), key(1)]).await, Ok(vec![0, generation]));
}

#[tokio::test]
async fn keys_are_made_alike_by_everybody_and_nothing_shows_who_they_are() {
    let bench = Bench::new();
    let (Some(here), Some(there)) = (bench.another(), bench.another()) else { return };
    assert_eq!(here.keys().user(&ACME, b"jane"), there.keys().user(&ACME, b"jane"));
    put(&here, 1).await;
    let names = bench.server().cli(&["--no-raw", "KEYS", "*"]);
    let record =
        bench.server().cli(&["--no-raw", "GET", "uid2gw:r:{AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE}"]);
    assert!(record.len() > 100, "the record is there: {record}");
    for text in [&names, &record] {
        assert!(!text.contains("acme") && !text.contains("AgAAAAN"), "{text}");
    }
}

#[tokio::test]
async fn another_encryption_key_does_not_open_the_store_and_a_rotated_one_does() {
    let mut bench = Bench::new();
    let Some(store) = bench.another() else { return };
    put(&store, 1).await;
    let user = store.keys().user(&ACME, b"jane");
    bench.current = 2;
    let settings = Kind::Redis(bench.server().settings());
    let refused = bench.open_as(settings.clone()).map(|_| ()).unwrap_err();
    assert!(matches!(refused, StoreError::WrongKey(_)), "{refused}");
    bench.previous = vec![1];
    let rotated = bench.open_as(settings.clone()).unwrap();
    assert_eq!(there(&rotated, [1]).await, [1]);
    assert_eq!(rotated.keys().user(&ACME, b"jane"), user);
    bench.previous = vec![];
    assert!(bench.open_as(settings).is_ok(), "the index key was sealed anew");
}

#[tokio::test]
async fn an_index_key_that_is_gone_is_not_made_anew_over_data() {
    let bench = Bench::new();
    let Some(store) = bench.another() else { return };
    put(&store, 1).await;
    store.close().await.unwrap();
    bench.server().cli(&["DEL", "uid2gw:index"]);
    let refused = bench.open_as(Kind::Redis(bench.server().settings())).map(|_| ()).unwrap_err();
    assert!(matches!(refused, StoreError::IndexKeyMissing(_)), "{refused}");
}

#[tokio::test]
async fn opt_outs_are_heard_by_the_others_and_found_by_those_who_come_later() {
    let bench = Bench::new();
    let (Some(here), Some(there)) = (bench.another(), bench.another()) else { return };
    here.opt_out(vec![key(1), key(2)], START, KEEP_UNTIL).await.unwrap();
    here.site_opt_out(key(3), START).await.unwrap();
    until("the opt-outs", async || {
        there.opted_out(&key(1), START)
            && there.opted_out(&key(2), START)
            && there.opted_out_at_site(&key(3), START)
    })
    .await;
    let late = bench.another().unwrap();
    assert!([1, 2, 3].iter().all(|byte| late.opted_out(&key(*byte), START)));
    assert!(!late.opted_out(&key(1), KEEP_UNTIL) && late.opted_out(&key(3), KEEP_UNTIL));
    there.site_opt_in(key(3), START).await.unwrap();
    until("the return", async || !here.opted_out(&key(3), START) && !late.opted_out(&key(3), START)).await;
    here.site_opt_out(key(3), START).await.unwrap();
    until("the last word", async || there.opted_out(&key(3), START)).await;
    assert!(bench.another().unwrap().opted_out_at_site(&key(3), START));
}

#[tokio::test]
async fn what_redis_lost_is_said_again_by_those_who_know() {
    let bench = Bench::new();
    let Some(store) = bench.another() else { return };
    store.opt_out(vec![key(1)], START, KEEP_UNTIL).await.unwrap();
    store.site_opt_out(key(2), START).await.unwrap();
    store.site_opt_out(key(3), START).await.unwrap();
    store.site_opt_in(key(3), START).await.unwrap();
    bench.server().cli(&["FLUSHALL"]);
    until("the opt-outs to be there again", async || {
        bench.server().cli(&[
            "EXISTS",
            "uid2gw:index",
            "uid2gw:optouts:01",
            "uid2gw:optouts:02",
            "uid2gw:optouts:03",
        ]) == "4"
    })
    .await;
    let late = bench.another().unwrap();
    assert!(late.opted_out(&key(1), START) && late.opted_out_at_site(&key(2), START));
    assert!(!late.opted_out(&key(3), START), "what was taken back stays so");
    assert_eq!(late.keys().user(&ACME, b"jane"), store.keys().user(&ACME, b"jane"));
}

#[tokio::test]
async fn one_gateway_at_a_time_holds_a_lease_and_only_on_the_record_that_is_meant() {
    let bench = Bench::new();
    let (Some(here), Some(there)) = (bench.another(), bench.another()) else { return };
    let generation = put(&here, 1).await;
    let held = match here.lease(key(1), generation).await {
        Ok(Lease::Taken(held)) => held,
        other => panic!("{other:?}"),
    };
    assert!(matches!(there.lease(key(1), generation).await, Ok(Lease::Elsewhere)));
    assert!(matches!(there.lease(key(1), generation - 1).await, Ok(Lease::Outdated)));
    drop(held);
    until("the lease to be given back", async || {
        matches!(there.lease(key(1), generation).await, Ok(Lease::Taken(_)))
    })
    .await;
    let alone = bench.open_as(Kind::Memory).unwrap();
    assert!(matches!(alone.lease(key(1), 7).await, Ok(Lease::Taken(_))));
}

#[tokio::test]
async fn records_end_in_redis_too_and_generations_never_come_again() {
    let bench = Bench::new();
    let Some(store) = bench.another() else { return };
    let first = put(&store, 1).await;
    let name = "uid2gw:r:{AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE}";
    let left: i64 = bench.server().cli(&["PTTL", name]).parse().unwrap();
    let life = KEEP_UNTIL.since(START);
    assert!((life..=life + 60_000).contains(&left), "{left} of {life}");
    bench.clock.advance(1_000);
    bench.server().cli(&["DEL", name]); // as its end, or a fail-over
    assert!(put(&store, 1).await > first + 100, "a gateway that remembers the lost one believes the new one");
    let ended = Draft { keep_until: START, ..draft() };
    store.write(key(1), Expect::Any, ended).await.unwrap();
    assert_eq!(bench.server().cli(&["EXISTS", name]), "0");
}

#[tokio::test]
async fn a_server_that_hangs_or_is_gone_costs_an_error_in_bounded_time_and_heals() {
    let bench = Bench::new();
    if bench.another().is_none() {
        return;
    }
    let store = bench.open_as(Kind::Redis(bench.server().brief())).unwrap();
    put(&store, 1).await;
    bench.server().signal("-STOP");
    let start = Clock::monotonic();
    for _ in 0..10 {
        let refused = store.read(key(1)).await.unwrap_err();
        assert!(matches!(refused, StoreError::Redis(_)), "{refused}");
    }
    let taken = start.elapsed();
    assert!(taken < Duration::from_secs(2), "ten answers took {taken:?}: the rest must fail at once");
    bench.server().signal("-CONT");
    until("the server to be used again", async || store.read(key(1)).await.is_ok()).await;
}

#[tokio::test]
async fn an_evicting_policy_is_noticed_while_it_lasts() {
    let bench = Bench::new();
    let Some(store) = bench.another() else { return };
    assert_eq!(store.unfit(), None);
    bench.server().cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    until("the policy to be noticed", async || store.unfit().is_some()).await;
    assert!(store.unfit().unwrap().contains("maxmemory-policy is allkeys-lru"));
    bench.server().cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    until("the policy to be forgiven", async || store.unfit().is_none()).await;
}

#[tokio::test]
async fn opt_outs_that_ended_are_swept_and_those_that_hold_are_not() {
    let bench = Bench::new();
    let Some(store) = bench.another() else { return };
    store.opt_out(vec![key(0)], START, UnixMillis(9_000)).await.unwrap();
    store.opt_out(vec![key(64)], START, KEEP_UNTIL).await.unwrap();
    bench.clock.advance(10_000);
    let mut removed = 0;
    for _ in 0..120 {
        removed += store.sweep(bench.clock.now(), 1).await.unwrap();
    }
    assert_eq!(removed, 1);
    assert_eq!(bench.server().cli(&["HLEN", "uid2gw:optouts:00"]), "1");
}

#[test]
fn a_server_that_is_not_there_stops_the_start_with_a_reason() {
    let bench = Bench::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = RedisSettings {
        urls: vec![Secret::new(format!("redis://user:hunter2@127.0.0.1:{port}"))],
        cluster: false,
        ca: None,
        timeout: Duration::from_millis(500),
        connect_timeout: Duration::from_secs(1),
        max_stale: Duration::from_mins(5),
        wait_replicas: None,
    };
    let told = bench.open_as(Kind::Redis(settings)).map(|_| ()).unwrap_err().to_string();
    assert!(told.starts_with("redis: ") && told.contains("refused"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

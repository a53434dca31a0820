//! Two gateways on one Redis: what one does counts at the other, whatever comes late or was not heard.

use super::*;
use crate::identity::cache::{Entry, Token, What};
use crate::store::RedisServer;

const PATIENCE: Duration = Duration::from_secs(10);

/// One more gateway, on a clock of its own.
fn gateway(server: &RedisServer, clock: UnixMillis, gate: usize, script: &[Say]) -> Bench {
    let place = (store::Kind::Redis(server.settings()), Clock::manual(clock));
    let settings = Settings { refresh_jitter_ms: 0, wait: Duration::from_secs(5), ..Settings::default() };
    bench_on(place, settings, operator::Settings::default(), gate, script)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Clock::monotonic() + PATIENCE;
    while !holds().await {
        assert!(Clock::monotonic() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

impl Bench {
    async fn has_heard(&self) {
        until("the news", async || self.identities.0.known.contains(&self.key())).await;
    }
}

#[tokio::test]
async fn what_was_read_before_a_logout_elsewhere_and_comes_after_it_is_not_sent() {
    let Some(server) = RedisServer::start() else { return };
    let (a, b) = (gateway(&server, START, OPEN, &[HOURLY]), gateway(&server, START, OPEN, &[HOURLY]));
    a.login().await;
    b.has_heard().await;
    let late = b.store.read(b.key()).await.unwrap().unwrap();
    a.logout().await.unwrap();
    let gone = b.store.read(b.key()).await.unwrap().unwrap();
    assert!(gone.generation > late.generation && gone.state == State::LoggedOut);
    until("the news of the logout", async || {
        // A look-up that began before it ends now.
        matches!(b.identities.0.take_in(b.key(), &late), Resolution::Absent(Absence::Wait))
    })
    .await;
    assert!(b.identities.0.cache.find(&b.key()).is_none());
    assert_eq!(b.resolve().await, "LoggedOut");
}

#[tokio::test]
async fn a_logout_at_a_gateway_that_has_not_heard_of_the_login_counts() {
    let Some(server) = RedisServer::start() else { return };
    let (a, b) = (gateway(&server, START, 0, &[HOURLY]), gateway(&server, START, OPEN, &[HOURLY]));
    // While the operator is still asked for the user, elsewhere.
    let (login, ()) = tokio::join!(a.login_as("u1@example.com"), async {
        until("the operator to be asked", async || a.operator.knocks.load(Ordering::Relaxed) > 0).await;
        b.logout().await.unwrap();
        a.operator.gate.add_permits(OPEN);
    });
    assert!(matches!(login, Err(LoginError::Overtaken)), "{login:?}");
    assert_eq!(a.resolve().await, "LoggedOut");
    let tombstone = b.store.read(b.key()).await.unwrap().unwrap();
    assert_eq!(tombstone.keep_until.since(START), MINUTE, "nobody was here: not for a day");
    // After the login, of which the news has not come.
    server.silence();
    a.login().await;
    assert!(b.logout().await.is_err(), "nobody can be told");
    server.unsilence();
    a.becomes_in_time("LoggedOut").await;
    assert!(b.store.read(b.key()).await.unwrap().unwrap().keep_until > START.plus(HOUR));
}

#[tokio::test]
async fn a_newer_record_that_redis_lost_gives_way_to_a_logout_by_a_clock_that_is_behind() {
    let Some(server) = RedisServer::start() else { return };
    let (a, b) =
        (gateway(&server, START.plus(HOUR), OPEN, &[HOURLY]), gateway(&server, START, OPEN, &[HOURLY]));
    a.login().await;
    b.has_heard().await;
    assert_eq!(a.resolve().await, "Fresh #1");
    let ahead = a.store.read(a.key()).await.unwrap().unwrap().generation;
    // As a fail-over does.
    server.cli(&[
        "EVAL",
        "for _, k in ipairs(redis.call('KEYS', 'uid2gw:r:*')) do redis.call('DEL', k) end",
        "0",
    ]);
    b.logout().await.unwrap();
    assert!(b.store.read(b.key()).await.unwrap().unwrap().generation < ahead);
    a.becomes_in_time("LoggedOut").await;
}

#[tokio::test]
async fn who_came_while_nothing_was_heard_is_known_afterwards() {
    let Some(server) = RedisServer::start() else { return };
    let (a, b) = (gateway(&server, START, OPEN, &[HOURLY]), gateway(&server, START, OPEN, &[HOURLY]));
    let first = b.identities.user_key(&b.publisher, b"u0");
    a.store.opt_out(vec![first], START, START.plus(HOUR)).await.unwrap();
    until("the first news", async || b.store.opted_out(&first, START)).await;
    server.silence();
    a.login().await;
    assert_eq!(b.resolve().await, "UnknownUser");
    let opted_out = b.identities.user_key(&b.publisher, b"u2");
    a.identities.opt_out_at_site(&a.publisher, b"u2").await.unwrap_err();
    a.store.close().await.unwrap();
    server.cli(&["DEL", "uid2gw:changes"]);
    b.becomes_in_time("Fresh #1").await;
    let seen = async || b.identities.see(&of_user(opted_out)).denial() == Some(Denial::OptedOut);
    until("the opt-out", seen).await;
}

#[tokio::test]
async fn a_token_that_the_store_never_took_is_compared_too() {
    let Some(server) = RedisServer::start() else { return };
    let (a, b) = (gateway(&server, START, OPEN, &[HOURLY]), gateway(&server, START, OPEN, &[HOURLY]));
    a.login().await;
    b.has_heard().await;
    let record = a.store.read(a.key()).await.unwrap().unwrap();
    let (key, unkept) = (b.key(), Draft::from(record).into_record(0, START));
    assert!(matches!(b.identities.0.keep(key, &unkept, How::Generated), Resolution::Absent(Absence::Wait)));
    // Long after the news.
    b.identities.0.cache.insert(key, of(&unkept), START);
    b.identities.0.compare_part(vec![(key, 0)]).await.unwrap();
    let generation = b.identities.0.cache.find(&key).unwrap().generation;
    assert_eq!(generation, a.store.read(key).await.unwrap().unwrap().generation);
    // One of whom the store knows nothing goes on.
    let unknown = b.identities.user_key(&b.publisher, b"u3");
    b.identities.0.cache.insert(unknown, of(&unkept), START);
    b.identities.0.compare_part(vec![(unknown, 0)]).await.unwrap();
    assert!(b.identities.0.cache.find(&unknown).is_some());
}

/// What the cache holds of a record.
fn of(record: &store::Record) -> Entry {
    let State::Active(identity) = &record.state else { panic!() };
    let token = Token::new(identity.advertising_token.clone(), identity.times, record.environment, None);
    Entry { generation: record.generation, what: What::Token(token) }
}

impl Bench {
    /// As [`Bench::becomes`], for what takes a while.
    async fn becomes_in_time(&self, expected: &str) {
        until(expected, async || self.resolve().await == expected).await;
    }
}

//! Cache, store and operator as one question: who is this, and what may be sent for them?
//!
//! ```text
//!  data plane     denial ──► opt-outs, filter, hot cache ─► marker?  shared locks read at most; no task,
//!                 resolve ─► opt-outs, filter, hot cache ─► token    no allocation, no waiting
//!                                 │         └ due, lapsed, miss ┐
//!  control plane                  ▼                            ▼
//!                 denial      look-up (one per key) ─► store ─► hot cache
//!                 resolve      flight (one per key) ─► store ─► operator ─► store ─► hot cache
//! ```
//!
//! Identity fails open: whatever goes wrong ends as an absence with its reason. A marker (opt-out, logout) beats
//! every late answer: records carry a generation, writes compare it, and the cache keeps the newer one.

mod acting;
mod ahead;
mod browser;
mod cache;
mod claimed;
mod compare;
mod consent;
mod current;
mod filter;
mod flight;
mod import;
mod logout;
mod marked;
mod metrics;
mod news;
mod opt_outs;
mod refresher;
mod renewals;
mod resolver;
mod scopes;
mod session;
mod site;
mod sweeper;
#[cfg(test)]
mod tests;
mod ticket;

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::runtime::Handle;

use crate::net::permit::Permits;
use crate::operator::{self, Credentials, Operators};
use crate::privacy::{self, Gvl, Policy, Regime, Said};
use crate::sso::Providers;
use crate::store::{RecordKey, Store, StoreError, Tenant};
use crate::time::{Clock, UnixMillis};
use crate::uid2::cookie::Claim;
use crate::uid2::cookie::write::Attributes;
use crate::uid2::{AdvertisingToken, DiiHash, Environment, Identity, Scope};

pub use crate::store::Origin;
pub use browser::OwnCookie;
pub use claimed::Claimed;
pub use current::{Phase, Status, TokenAnswer};
pub use import::{Imported, Unfit};
pub use marked::{Marked, Seen};
pub use metrics::Metrics;
pub use session::{Login, LoginAnswer, LoginError};
pub use ticket::Ticket;

use ahead::Served;
use cache::HotCache;
use claimed::Pointers;
use filter::KnownKeys;
use flight::Flights;
use news::Fleet;
use opt_outs::Unkept;
use renewals::Renewals;

/// `[identity]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long an ad request may wait for a token.
    pub wait: Duration,
    /// A token this close to its expiry is not sent any more, milliseconds.
    pub expiry_margin_ms: i64,
    /// Identities in the hot cache.
    pub cache_entries: u64,
    /// Bytes of the hot cache.
    pub cache_bytes: u64,
    /// How long it is remembered that the operator does not take an identifier, milliseconds.
    pub dii_error_ttl_ms: i64,
    /// Identities used within so many milliseconds are refreshed when due, before they are asked for again; 0: none are.
    pub active_window_ms: i64,
    /// Longest jitter after `refresh_from`, milliseconds.
    pub refresh_jitter_ms: i64,
    /// How long an operator's opt-out is remembered, days.
    pub optout_days: u32,
    /// How long a session token names its user, milliseconds.
    pub session_ttl_ms: i64,
    /// Refresh tokens of cookies of which it is remembered what came of them.
    pub cookie_entries: u64,
    /// Cookies that are refreshed at once; anybody can bring some.
    pub cookie_refreshes: usize,
    /// Look-ups and refreshes under way at once, and as many look-ups that only read; one more is `busy`. At most half of them are refreshes, so that an
    /// operator which hangs leaves room for tokens that only need the store.
    pub max_flights: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wait: Duration::from_millis(5),
            expiry_margin_ms: 60_000,
            cache_entries: 1_000_000,
            cache_bytes: 1 << 30,
            dii_error_ttl_ms: 3_600_000,
            active_window_ms: 0,
            refresh_jitter_ms: 600_000,
            optout_days: 365,
            session_ttl_ms: 3_600_000,
            cookie_entries: 50_000,
            cookie_refreshes: 64,
            max_flights: 1024,
        }
    }
}

/// A publisher as the identity floor sees it: a tenant with its UID2 credentials.
#[derive(Clone, Debug)]
pub struct Publisher {
    id: Arc<str>,
    credentials: Arc<Credentials>,
    policy: Arc<Policy>,
    notice: Notice,
    /// Ids of the identity providers whose tokens count for its users.
    trusted: Arc<[Arc<str>]>,
    /// The identity provider that acts for it, where it does not act itself.
    actor: Option<Arc<str>>,
    /// The cookie that is kept for its users in this scope, if one is.
    cookie: Option<Arc<Attributes>>,
}

/// Whether users were told that an identity is made of their e-mail address or phone number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Notice {
    /// Always: the publisher sees to it.
    #[default]
    Always,
    /// The publisher says so at each login; without that there is no identity.
    PerLogin,
}

impl Publisher {
    /// The tenant `id` with its key pair, under the default policy.
    pub fn new(id: Arc<str>, credentials: Arc<Credentials>) -> Self {
        let (policy, notice, trusted) = (Arc::default(), Notice::default(), Arc::from([]));
        Self { id, credentials, policy, notice, trusted, actor: None, cookie: None }
    }

    /// The same under this policy: by it what was said at login is judged again at each refresh.
    #[must_use]
    pub fn under(self, policy: Arc<Policy>, notice: Notice) -> Self {
        Self { policy, notice, ..self }
    }

    /// The same tenant, whose users may come with ID tokens of these identity providers.
    #[must_use]
    pub fn trusting(self, providers: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { trusted: providers.into_iter().collect(), ..self }
    }

    /// The same tenant, with a cookie that is kept for its users in this scope.
    #[must_use]
    pub fn keeping(self, cookie: Option<Arc<Attributes>>) -> Self {
        Self { cookie, ..self }
    }

    /// The cookie that is kept for its users in this scope, if one is.
    pub fn cookie(&self) -> Option<&Attributes> {
        self.cookie.as_deref()
    }

    /// Ids of the identity providers whose tokens count for its users.
    pub fn trusted(&self) -> &[Arc<str>] {
        &self.trusted
    }

    /// Whether its logins have to assert notice.
    pub fn notice(&self) -> Notice {
        self.notice
    }

    fn regime(&self) -> Regime {
        consent::regime(self.scope())
    }

    /// UID2 or EUID.
    pub fn scope(&self) -> Scope {
        self.credentials.scope
    }

    /// The environment of its API key.
    pub fn environment(&self) -> Environment {
        self.credentials.environment
    }

    fn tenant(&self) -> Tenant<'_> {
        Tenant { publisher: &self.id, scope: self.scope(), environment: self.environment() }
    }
}

/// Who a request is about: everything in it that names a user.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// The publisher's own user id, as a key: it may yield an identity.
    pub user: Option<RecordKey>,
    /// Every user id in the request, whoever calls, and every e-mail address or phone number: only asked for markers.
    pub named: SmallVec<[RecordKey; 3]>,
    /// The same people under the publisher's other scope, where it has both: only asked for opt-outs, which memory knows.
    pub elsewhere: SmallVec<[RecordKey; 2]>,
    /// What the request claims of its user besides: hardly ever anything.
    pub claimed: Option<Box<Claimed>>,
    /// What the browser's cookies say; of those that yield no identity, only an opt-out.
    pub browser: Option<Claim>,
    /// Of the publisher's own cookie, what takes it further.
    pub cookie: Option<Box<OwnCookie>>,
    /// Whose session token came with the request.
    pub session: Option<Box<Ticket>>,
}

/// What may be sent.
#[derive(Clone, Debug)]
pub enum Resolution {
    /// This token.
    Token(Injectable),
    /// Nothing, because …
    Absent(Absence),
    /// Nothing, and nothing of anybody else's either, because …
    Denied(Denial),
}

/// A token that may be sent.
#[derive(Clone, Debug)]
pub struct Injectable {
    token: Arc<AdvertisingToken>,
    /// What was said at login, when anything was.
    said: Option<Arc<Said>>,
    /// The publisher asserted notice at login.
    noticed: bool,
    /// When its user logged in; of a token that was brought, nothing.
    login: UnixMillis,
    /// The whole identity, where the browser that asked has an older one.
    renewed: Option<Arc<Identity>>,
    /// Where it came from.
    pub how: How,
}

impl Injectable {
    /// The text for `uids[].id`.
    pub fn as_str(&self) -> &str {
        self.token.as_str()
    }

    /// What was said of the user's privacy at login; `None`: nothing that a judgement goes by.
    pub fn said(&self) -> Option<&Said> {
        self.said.as_deref()
    }
}

/// Where a token came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// The record or cookie, before `refresh_from`.
    Fresh,
    /// The record or cookie, while a refresh is due.
    Due,
    /// A refresh that came back in time.
    Refreshed,
    /// A generate that came back in time.
    Generated,
}

/// Why there is no token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absence {
    /// Nothing names a user.
    NoHint,
    /// Nobody logged this user in.
    UnknownUser,
    /// The token expired and could not be renewed yet.
    Lapsed,
    /// Neither token nor refresh token lives.
    Dead,
    /// The budget ran out first.
    Wait,
    /// The operator failed.
    Operator,
    /// The store failed.
    Store,
    /// Too much is being looked up already.
    Busy,
    /// The record belongs to another operator environment.
    Environment,
    /// The e-mail address, phone number or ID token that names the user is not valid.
    DiiInvalid,
}

/// Why a user must not be represented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denial {
    /// Opted out.
    OptedOut,
    /// Logged out.
    LoggedOut,
    /// What was said at the last login forbids it.
    Privacy(privacy::Reason),
    /// Nobody asserted at login that the user was told.
    Notice,
}

/// The vendor list in force, whenever it is asked for.
pub type VendorList = Arc<dyn Fn() -> Arc<Gvl> + Send + Sync>;

/// What the floor is built from.
pub struct Parts {
    /// Where records are kept.
    pub store: Store,
    /// Who makes tokens.
    pub operators: Operators,
    /// What vendors declare: a refresh judges again what was said at login.
    pub vendors: VendorList,
    /// Who vouches for users.
    pub providers: Providers,
    /// Wall-clock time.
    pub clock: Clock,
    /// Families of this module.
    pub metrics: Metrics,
}

/// All identities. Cheap to clone; usable from any runtime.
#[derive(Clone)]
pub struct Identities(Arc<Inner>);

struct Inner {
    settings: Settings,
    store: Store,
    operators: Operators,
    vendors: VendorList,
    clock: Clock,
    metrics: Metrics,
    cache: HotCache,
    known: KnownKeys,
    /// Look-ups that may end in a refresh.
    flights: Flights,
    /// Look-ups that only read: who waits for a marker must not wait for the operator.
    glances: Flights,
    /// Look-ups of identifiers and ID tokens, which may end in a generate.
    claims: Flights,
    /// Where identifiers lead.
    pointers: Pointers,
    providers: Providers,
    /// What came of the cookies that browsers bring.
    renewals: Renewals,
    refreshes: Permits,
    /// Opt-outs that could not be written yet.
    unkept: Unkept,
    served: Served,
    /// For a store that other gateways use, too.
    fleet: Option<Arc<Fleet>>,
    control: Handle,
}

impl Identities {
    /// Builds the floor: fills the filter from the store and starts the sweeper on `control`. Blocks on the disk.
    pub fn new(settings: Settings, parts: Parts, control: Handle) -> Result<Self, StoreError> {
        let Parts { store, operators, providers, vendors, clock, metrics } = parts;
        // Before anything is read: whatever others change meanwhile is told.
        let news = store.take_news();
        let known = KnownKeys::load(&store)?;
        let cache = HotCache::new(&settings);
        let flights = Flights::new(settings.max_flights);
        let refreshes = Permits::with_gauge((settings.max_flights / 2).max(1), metrics.refresh_queue.clone());
        let glances = Flights::new(settings.max_flights);
        let claims = Flights::new(settings.max_flights);
        let renewals = Renewals::new(&settings);
        let (pointers, unkept) = (Pointers::new(), Unkept::default());
        let fleet = store.max_stale().map(|max_stale| Arc::new(Fleet::new(max_stale)));
        let inner = Inner {
            settings,
            store,
            operators,
            vendors,
            clock,
            metrics,
            cache,
            known,
            flights,
            glances,
            claims,
            pointers,
            providers,
            renewals,
            refreshes,
            unkept,
            served: Served::default(),
            fleet,
            control,
        };
        let identities = Self(Arc::new(inner));
        sweeper::start(&identities.0);
        ahead::start(&identities.0);
        if let Some(news) = news {
            news::start(&identities.0, news);
        }
        Ok(identities)
    }

    /// The key of a publisher's own user id.
    pub fn user_key(&self, publisher: &Publisher, user_id: &[u8]) -> RecordKey {
        self.0.store.keys().user(&publisher.tenant(), user_id)
    }

    /// The key of an e-mail address or phone number, under which its opt-out is remembered.
    pub fn dii_key(&self, publisher: &Publisher, dii: &DiiHash) -> RecordKey {
        self.0.store.keys().dii(&publisher.tenant(), dii.digest(), dii.kind())
    }

    /// Runs on the control plane, whoever awaits it: an abandoned caller does not abandon the work.
    async fn on_control<T, F>(&self, work: F) -> Result<T, LoginError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, LoginError>> + Send + 'static,
    {
        self.0.control.spawn(work).await.unwrap_or(Err(LoginError::Stopped))
    }
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[identities]")
    }
}

impl From<operator::OperatorError> for LoginError {
    fn from(error: operator::OperatorError) -> Self {
        match error.fault {
            operator::Fault::InvalidDii => Self::InvalidDii,
            fault => Self::Operator(fault),
        }
    }
}

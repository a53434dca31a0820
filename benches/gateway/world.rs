//! A gateway with users in memory and nobody to dial.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::runtime::Runtime;
use uid2_gateway::config::Config;
use uid2_gateway::gateway::{
    Caller, Directory, Gateway, Inbound, Labels, Leg, Metrics, Outcome, Peer, Shared,
};
use uid2_gateway::identity::{self, Identities, Origin, Subject};
use uid2_gateway::net::body::Segments;
use uid2_gateway::net::{Transport, TransportError, tls};
use uid2_gateway::operator::{self, OperatorClient, Operators};
use uid2_gateway::secret::Secret;
use uid2_gateway::sso;
use uid2_gateway::ssp::{self, SspOutcome, SspReply};
use uid2_gateway::store::{self, Draft, Expect, State, Store, Tenant};
use uid2_gateway::telemetry::Registry;
use uid2_gateway::time::{Clock, Deadline};
use uid2_gateway::uid2::{AdvertisingToken, Identity, Times};

use super::settings::{BID, KEY, configuration};

/// Shaped like a token of an operator.
pub(super) const TOKEN: &str = concat!(
    "A4AAAABlICEiIyQlJicoKSoreoP5B3ANjhwAktwXfXw93eeM08N10ir73n5KlSf26ABuUtGTAxG1qLn3QpcB0V_TcekDTpTaT2b5R83fylJP-tZ8",
    "YdjTDXOaCyzj-zln6dO4BP_ZV7wGj_yCD-NjwUz4ohrfdajuf4155_9q8n2fQqePcgWDhu2X7BP1J08Jp1OaORD75XUsZ73mMAFht8TUSw"
);

const HOUR_MS: i64 = 3_600_000;

/// The gateway, and what runs beside it.
pub(super) struct World {
    pub(super) runtime: Runtime,
    gateway: Gateway,
}

impl World {
    /// With so many SSPs, and so many users whose tokens are in the store.
    pub(super) fn new(ssps: usize, users: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let config = configuration(ssps, "http://127.0.0.1:9", "http://127.0.0.1:9");
        let gateway = build(config, users, &runtime);
        Self { runtime, gateway }
    }

    /// Brings the users into the cache.
    pub(super) fn warm(&self, body: &Bytes, users: usize) {
        let _entered = self.runtime.enter();
        for user in 0..users {
            let outcome = self.runtime.block_on(self.gateway.rehearse(self.inbound(body, user), answer));
            outcome.unwrap_or_else(|_| panic!("user {user} was refused"));
        }
    }

    /// A request as the server hands it over.
    pub(super) fn inbound(&self, body: &Bytes, user: usize) -> Inbound {
        let headers = headers(body.len(), user);
        let caller = Caller::of(self.gateway.shared(), &headers, None).expect("a known key");
        let peer = Peer { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), trusted: false, tls: false };
        Inbound { headers, caller, body: body.clone(), started: Clock::monotonic(), peer }
    }

    /// One request, of a user about whom nothing has to be awaited.
    pub(super) fn request(&self, inbound: Inbound) -> Outcome {
        self.gateway.rehearse(inbound, answer).now_or_never().expect("nothing to wait for").expect("admitted")
    }

    /// The identities, and users to look up.
    pub(super) fn subjects(&self, users: usize) -> (Identities, Vec<Subject>) {
        let Shared { directory, identities, .. } = &**self.gateway.shared();
        let publisher = &directory.publishers().first().expect("one").settings.identity;
        let subject = |user| {
            let key = identities.user_key(publisher, format!("user-{user}").as_bytes());
            Subject { user: Some(key), named: [key].into_iter().collect(), ..Subject::default() }
        };
        (identities.clone(), (0..users).map(subject).collect())
    }

    /// The body that leaves.
    pub(super) fn sent(&self, body: &Bytes, user: usize) -> Bytes {
        let mut sent = Bytes::new();
        let rehearsal = self.gateway.rehearse(self.inbound(body, user), |body| {
            sent = body.to_bytes();
            answer(body)
        });
        drop(rehearsal.now_or_never().expect("nothing to wait for"));
        sent
    }
}

fn headers(length: usize, user: usize) -> HeaderMap {
    let text = |text: String| HeaderValue::try_from(text).expect("plain text");
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(HOST, HeaderValue::from_static("127.0.0.1:8080"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(AUTHORIZATION, text(format!("Bearer {KEY}")));
    headers.insert("x-publisher-user-id", text(format!("user-{user}")));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers
}

fn answer(_body: Segments) -> SspReply {
    let body = Bytes::from_static(BID.as_bytes());
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    SspReply {
        status: 200,
        headers,
        body,
        ..SspReply::without_answer(SspOutcome::Bid, std::time::Duration::ZERO)
    }
}

fn build(config: Config, users: usize, runtime: &Runtime) -> Gateway {
    let _entered = runtime.enter();
    let registry = Registry::new();
    let metrics = store::Metrics::register(&registry).expect("a fresh registry");
    let store = Store::open(config.store, Clock::System, metrics).expect("memory");
    let tenant = &config.publishers.first().expect("one").identity;
    let tenant = Tenant { publisher: "acme", scope: tenant.scope(), environment: tenant.environment() };
    for user in 0..users {
        let key = store.keys().user(&tenant, format!("user-{user}").as_bytes());
        runtime.block_on(store.write(key, Expect::Any, record(&tenant))).expect("memory takes everything");
    }
    let metrics = operator::Metrics::register(&registry).expect("a fresh registry");
    let operator = |settings: &operator::Settings| {
        OperatorClient::new(settings.clone(), Arc::new(Nobody), Clock::System, metrics.clone())
    };
    let vendors = config.vendors;
    let parts = identity::Parts {
        store,
        operators: Operators { uid2: operator(&config.operator), euid: operator(&config.operator_euid) },
        vendors: vendors.list(),
        providers: sso::Providers::none(sso::Metrics::register(&registry).expect("a fresh registry")),
        clock: Clock::System,
        metrics: identity::Metrics::register(&registry).expect("a fresh registry"),
    };
    let identities = Identities::new(config.identity, parts, runtime.handle().clone()).expect("memory");
    let labels = Labels {
        publishers: config.publishers.iter().map(|p| p.id.clone()).collect(),
        ssps: config.ssps.iter().map(|s| s.id.clone()).collect(),
        max_publishers: 10,
    };
    let shared = Shared {
        directory: Directory::new(config.publishers).expect("one publisher"),
        identities,
        metrics: Metrics::register(&registry, &labels).expect("a fresh registry"),
        limits: config.limits,
        vendors,
        insecure_identity: config.server.insecure_identity,
        require_key: config.require_key,
        debug: config.debug,
        tap: Arc::default(),
        gzip_min_bytes: config.gzip_min_bytes,
        origins: config.origins.clone(),
    };
    let metrics = ssp::Metrics::register(&registry).expect("a fresh registry");
    let leg = |settings: ssp::Settings| {
        let tls = tls::client_config(None).expect("public roots");
        let seed = ssp::Seed::new(settings, 1, tls, &metrics).expect("a URL with an origin");
        Leg { settings: Arc::clone(seed.settings()), client: seed.client().expect("a URL with an origin") }
    };
    Gateway::new(Arc::new(shared), config.ssps.into_iter().map(leg).collect())
}

fn record(tenant: &Tenant<'_>) -> Draft {
    let now = Clock::System.now();
    let lives = now.plus(24 * HOUR_MS);
    let identity = Identity {
        advertising_token: AdvertisingToken::parse(TOKEN).expect("a token"),
        refresh_token: Secret::new(String::new()),
        refresh_response_key: Secret::new(String::new()),
        times: Times {
            refresh_from: now.plus(12 * HOUR_MS),
            identity_expires: lives,
            refresh_expires: lives,
        },
    };
    Draft {
        publisher: tenant.publisher.to_owned(),
        scope: tenant.scope,
        environment: tenant.environment,
        dii: None,
        origin: Origin::Import,
        provider: None,
        said: uid2_gateway::privacy::Said::default(),
        created: now,
        keep_until: lives,
        state: State::Active(identity),
    }
}

/// No network.
struct Nobody;

impl Transport for Nobody {
    fn send(
        &self,
        _request: Request<Bytes>,
        _deadline: Deadline,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        async { Err(TransportError::Connect("a bench uses no network".into())) }.boxed()
    }
}

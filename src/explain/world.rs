//! The gateway of a configuration without its surroundings: the store is empty and in memory, nobody is dialled.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tokio::runtime::Handle;

use super::STAND_IN;
use crate::config::Config;
use crate::gateway::{
    self, DebugAllow, Directory, Gateway, Leg, Origins, PublisherSettings, Shared, Vendors,
};
use crate::identity::{self, Identities, Origin};
use crate::net::{Transport, TransportError, tls};
use crate::openrtb::Limits;
use crate::operator::{self, OperatorClient, Operators};
use crate::privacy::Said;
use crate::secret::Secret;
use crate::server;
use crate::sso;
use crate::ssp;
use crate::store::{self, Draft, Expect, RecordKey, State, Store};
use crate::telemetry::Registry;
use crate::time::{Clock, Deadline};
use crate::uid2::{AdvertisingToken, Identity, Scope, Times};

/// What gateways are made from here.
pub(super) struct World {
    publishers: Vec<PublisherSettings>,
    ssps: Vec<ssp::Settings>,
    operators: [operator::Settings; 2],
    identity: identity::Settings,
    vendors: Arc<Vendors>,
    limits: Limits,
    require_key: bool,
    origins: Origins,
    server: server::Settings,
    store: Store,
    control: Handle,
}

impl World {
    pub(super) fn new(config: Config, control: Handle) -> anyhow::Result<Self> {
        let settings = store::Settings { kind: store::Kind::Memory, ..config.store };
        let metrics = store::Metrics::register(&Registry::new())?;
        let store = {
            let _entered = control.enter();
            Store::open(settings, Clock::System, metrics)?
        };
        Ok(Self {
            publishers: config.publishers,
            ssps: config.ssps,
            operators: [config.operator, config.operator_euid],
            identity: identity::Settings { wait: PATIENCE, ..config.identity },
            vendors: Arc::new(config.vendors),
            limits: config.limits,
            require_key: config.require_key,
            origins: config.origins,
            server: config.server,
            store,
            control,
        })
    }

    /// What bounds a request's body.
    pub(super) fn server(&self) -> &server::Settings {
        &self.server
    }

    /// A gateway that knows whom [`World::remember`] was told before.
    pub(super) fn gateway(&self) -> anyhow::Result<Gateway> {
        let registry = Registry::new();
        let metrics = ssp::Metrics::register(&registry)?;
        let leg = |settings: &ssp::Settings| {
            let tls = tls::client_config(settings.ca.as_deref())
                .with_context(|| format!("ssp.{}.tls.ca", settings.id))?;
            let seed = ssp::Seed::new(settings.clone(), 1, tls, &metrics)
                .with_context(|| format!("ssp.{}.url", settings.id))?;
            Ok(Leg { settings: Arc::clone(seed.settings()), client: seed.client()? })
        };
        let legs = self.ssps.iter().map(leg).collect::<anyhow::Result<Vec<_>>>()?;
        // Nobody reads them.
        let labels = gateway::Labels {
            publishers: self.publishers.iter().map(|publisher| publisher.id.clone()).collect(),
            ssps: self.ssps.iter().map(|settings| settings.id.clone()).collect(),
            max_publishers: self.publishers.len(),
        };
        let shared = Shared {
            directory: Directory::new(self.publishers.clone())?,
            identities: self.identities(&registry)?,
            metrics: gateway::Metrics::register(&registry, &labels)?,
            limits: self.limits,
            vendors: Arc::clone(&self.vendors),
            require_key: self.require_key,
            tap: Arc::default(),
            debug: DebugAllow::default(),
            // No answer is packed: there is none.
            gzip_min_bytes: 0,
            origins: self.origins.clone(),
        };
        Ok(Gateway::new(Arc::new(shared), legs))
    }

    fn identities(&self, registry: &Registry) -> anyhow::Result<Identities> {
        let metrics = operator::Metrics::register(registry)?;
        let operator = |settings: &operator::Settings| {
            OperatorClient::new(settings.clone(), Arc::new(Nobody), Clock::System, metrics.clone())
        };
        let [uid2, euid] = self.operators.each_ref().map(operator);
        let parts = identity::Parts {
            store: self.store.clone(),
            operators: Operators { uid2, euid },
            vendors: self.vendors.list(),
            providers: sso::Providers::none(sso::Metrics::register(registry)?),
            clock: Clock::System,
            metrics: identity::Metrics::register(registry)?,
        };
        Ok(Identities::new(self.identity.clone(), parts, self.control.clone())?)
    }

    /// Puts a record with the stand-in token under a user's key.
    pub(super) async fn remember(
        &self,
        key: RecordKey,
        (publisher, scope): (&PublisherSettings, Scope),
    ) -> anyhow::Result<()> {
        let now = Clock::System.now();
        let (fresh, lives) = (now.plus(HOUR_MS), now.plus(2 * HOUR_MS));
        let identity = Identity {
            advertising_token: AdvertisingToken::parse(STAND_IN)?,
            refresh_token: Secret::new(String::new()),
            refresh_response_key: Secret::new(String::new()),
            times: Times { refresh_from: fresh, identity_expires: lives, refresh_expires: lives },
        };
        let draft = Draft {
            publisher: publisher.id.clone(),
            scope,
            environment: publisher.tenant(scope).environment(),
            dii: None,
            origin: Origin::Import,
            provider: None,
            said: Said::default(),
            created: now,
            keep_until: lives,
            state: State::Active(identity),
        };
        self.store.write(key, Expect::Any, draft).await?;
        Ok(())
    }
}

/// Memory answers at once; this only must not be the reason for anything.
const PATIENCE: Duration = Duration::from_secs(5);
const HOUR_MS: i64 = 3_600_000;

/// No network: whoever asks hears that nobody is there.
struct Nobody;

impl Transport for Nobody {
    fn send(
        &self,
        _request: Request<Bytes>,
        _deadline: Deadline,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let refused = TransportError::Connect("explain uses no network".into());
        async { Err(refused) }.boxed()
    }
}

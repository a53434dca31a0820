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
    self, DebugAllow, Directory, Gateway, Leg, Origins, PublisherSettings, Shared, Someone, Vendors,
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
use crate::store::{self, Draft, Expect, State, Store};
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
            vendors: config.vendors,
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
            insecure_identity: self.server.insecure_identity,
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
        someone: Someone,
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
            created: someone.login.unwrap_or(now),
            keep_until: lives,
            state: State::Active(identity),
        };
        self.store.write(someone.key, Expect::Any, draft).await?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::IpAddr;
    use std::path::Path;

    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;
    use crate::config;
    use crate::gateway::{Caller, Inbound, OutcomeLabel, Peer};

    const CONFIG: &str = r#"
        [operator]
        urls = ["http://127.0.0.1:1"]
        [store]
        kind = "memory"
        encryption_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
        [[ssp]]
        id = "alpha"
        url = "http://127.0.0.1:1/bid"
        [[publisher]]
        id = "acme"
        default = true
        operator_key = "UID2-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc="
        operator_secret = "NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM="
        ssps = ["alpha"]
    "#;

    const STRANGER: Peer =
        Peer { ip: IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9)), trusted: false, tls: false };

    /// What becomes of a request with this header and `user`, from this peer.
    async fn told(insecure: bool, (header, user): (&'static str, &str), peer: Peer) -> Option<OutcomeLabel> {
        let text = format!("[server]\ninsecure_identity = {insecure}\n{CONFIG}");
        let (config, _) = config::from_str(&text, Path::new("test.toml"), &BTreeMap::new()).unwrap();
        let gateway = World::new(config, Handle::current()).unwrap().gateway().unwrap();
        let mut headers = HeaderMap::new();
        if !header.is_empty() {
            headers.insert(HeaderName::from_static(header), HeaderValue::from_static("x"));
        }
        let caller = Caller::of(gateway.shared(), &headers, None).unwrap();
        let body = format!(r#"{{"id":"r","imp":[{{"id":"1"}}],"user":{user}}}"#).into();
        let inbound = Inbound { headers, caller, body, started: Clock::monotonic(), peer };
        gateway.explain(inbound).await.err().map(|reject| reject.label())
    }

    #[tokio::test]
    async fn whoever_is_named_by_an_identifier_is_named_over_tls() {
        let naming = [
            ("x-uid2-email-hash", "{}"),
            ("x-uid2-phone-hash", "{}"),
            ("x-uid2-id-token", "{}"),
            ("", r#"{"ext":{"uid2":{"email":"user@example.com"}}}"#),
            ("", r#"{"ext":{"uid2":{"phone":"none"}}}"#),
        ];
        for request in naming {
            assert_eq!(told(false, request, STRANGER).await, Some(OutcomeLabel::Forbidden), "{request:?}");
            assert_eq!(told(true, request, STRANGER).await, None, "{request:?}: allowed");
            let near = [Peer { tls: true, ..STRANGER }, Peer { trusted: true, ..STRANGER }];
            for peer in near.into_iter().chain([Peer { ip: IpAddr::from([127, 0, 0, 1]), ..STRANGER }]) {
                assert_eq!(told(false, request, peer).await, None, "{request:?} {peer:?}");
            }
        }
        for request in [("", "{}"), ("x-publisher-user-id", r#"{"id":"u1"}"#)] {
            assert_eq!(told(false, request, STRANGER).await, None, "{request:?}");
        }
    }
}

//! Wiring: builds every floor once, binds, runs, drains.
//!
//! Two planes. The control plane is one small multi-thread runtime: operator, refreshes, store, admin. The data
//! plane is one thread per core, see `server::worker`.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};

use crate::config::Config;
use crate::gateway::{self, Directory, PublisherSettings, Shared};
use crate::identity::{self, Identities};
use crate::net::{HyperTransport, Transport, TransportSettings, tls};
use crate::operator::{self, OperatorClient, Operators};
use crate::server::{self, Admin, AdminState, CaptureSettings, Captures, DataPlane, Drain, Plane, Stage};
use crate::sso::{self, Providers};
use crate::ssp;
use crate::store::{self, Store};
use crate::telemetry::Registry;
use crate::time::Clock;

/// Threads of the control plane: enough that one busy with cryptography does not hold up the others.
const CONTROL_THREADS: usize = 2;

/// A gateway that is built and bound; traffic starts with [`App::start`].
pub struct App {
    control: Runtime,
    plane: Plane,
    data: std::net::TcpListener,
    admin: std::net::TcpListener,
    admin_token: Option<crate::secret::Secret<String>>,
    capture: CaptureSettings,
    registry: Registry,
    store: Store,
}

/// A gateway that serves.
pub struct Running {
    control: Runtime,
    data: DataPlane,
    admin: SocketAddr,
    drain: Drain,
    drain_time: std::time::Duration,
    registry: Registry,
    store: Store,
}

impl App {
    /// Opens the store, builds every floor and binds both listeners. Nothing is answered yet.
    pub fn build(config: Config) -> anyhow::Result<Self> {
        let control = Builder::new_multi_thread()
            .worker_threads(CONTROL_THREADS)
            .thread_name("control")
            .enable_all()
            .build()
            .context("control runtime")?;
        let registry = Registry::new();
        let data = server::bind("server.listen", config.server.listen)?;
        let admin = server::bind("admin.listen", config.admin.listen)?;
        server::register_build(&registry)?;
        let store = {
            let _entered = control.enter();
            Store::open(config.store, Clock::System, store::Metrics::register(&registry)?)?
        };
        let operators = operators(&config.operator, &config.operator_euid, &registry)?;
        let vendors = Arc::new(config.vendors);
        let identities = {
            let parts = identity::Parts {
                store: store.clone(),
                operators,
                providers: providers(config.sso, &registry)?,
                vendors: vendors.list(),
                clock: Clock::System,
                metrics: identity::Metrics::register(&registry)?,
            };
            Identities::new(config.identity, parts, control.handle().clone())?
        };
        identities.serve(config.publishers.iter().flat_map(PublisherSettings::tenants).cloned());
        let ssps = ssp_seeds(config.ssps, config.server.workers, &registry)?;
        let labels = gateway::Labels {
            publishers: config.publishers.iter().map(|p| p.id.clone()).collect(),
            ssps: ssps.iter().map(|seed| seed.settings().id.clone()).collect(),
            max_publishers: config.metrics_publishers,
        };
        control.spawn(Arc::clone(&vendors).watch());
        let shared = Shared {
            directory: Directory::new(config.publishers)?.with_providers(config.providers)?,
            identities,
            metrics: gateway::Metrics::register(&registry, &labels)?,
            limits: config.limits,
            vendors,
            insecure_identity: config.server.insecure_identity,
            require_key: config.require_key,
            tap: Arc::default(),
            debug: config.debug,
            gzip_min_bytes: config.gzip_min_bytes,
            origins: config.origins.clone(),
        };
        let plane = Plane {
            settings: Arc::new(config.server),
            shared: Arc::new(shared),
            ssps: Arc::new(ssps),
            metrics: server::Metrics::register(&registry)?,
            drain: Drain::default(),
            control: control.handle().clone(),
        };
        let (admin_token, capture) = (config.admin.token, config.capture);
        Ok(Self { control, plane, data, admin, admin_token, capture, registry, store })
    }

    /// The control runtime, for what else the process watches.
    pub fn control(&self) -> &tokio::runtime::Handle {
        self.control.handle()
    }

    /// Where ad requests and identity calls, and where health and metrics will be taken.
    pub fn addresses(&self) -> std::io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.data.local_addr()?, self.admin.local_addr()?))
    }

    /// What the data listener speaks: `http` or `https`.
    pub fn data_scheme(&self) -> &'static str {
        if self.plane.settings.tls.is_some() { "https" } else { "http" }
    }

    /// Starts both planes.
    pub fn start(self) -> anyhow::Result<Running> {
        let admin = self.admin.local_addr()?;
        let state = AdminState {
            registry: self.registry.clone(),
            drain: self.plane.drain.clone(),
            token: self.admin_token,
            captures: Captures {
                tap: Arc::clone(&self.plane.shared.tap),
                settings: self.capture,
                limits: self.plane.shared.limits,
                drain: self.plane.drain.clone(),
            },
        };
        let entered = self.control.enter();
        let listener = tokio::net::TcpListener::from_std(self.admin)?;
        drop(entered);
        self.control.spawn(Admin::new(state, admin).serve(listener));
        let data = DataPlane::start(&self.plane, self.data).context("data plane")?;
        let drain_time = self.plane.settings.drain;
        let (control, registry, store) = (self.control, self.registry, self.store);
        Ok(Running { control, data, admin, drain: self.plane.drain, drain_time, registry, store })
    }
}

impl Running {
    /// Where ad requests and identity calls are taken.
    pub fn data_address(&self) -> SocketAddr {
        self.data.address()
    }

    /// Where health and metrics are.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// All metrics, for a caller in the same process.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Serves until `first` resolves, drains, and returns when all is finished; `second` ends it at once.
    pub fn run_until<F, S>(self, first: F, second: S) -> anyhow::Result<()>
    where
        F: Future<Output = ()>,
        S: Future<Output = ()>,
    {
        let Self { control, data, drain, drain_time, store, .. } = self;
        let closed = control.block_on(async {
            first.await;
            drain.enter(Stage::Draining);
            tracing::info!(seconds = drain_time.as_secs(), "draining");
            let gently = async {
                tokio::time::sleep(drain_time).await;
                drain.enter(Stage::Closing);
                // The threads finish what is in flight; waiting for them must not hold up this runtime.
                tokio::task::spawn_blocking(|| data.join()).await
            };
            tokio::select! {
                joined = gently => drop(joined),
                () = second => tracing::warn!("second signal: ending at once"),
            }
            store.close().await
        });
        control.shutdown_background();
        tracing::info!("stopped");
        closed.context("store")
    }

    /// Closes the door, finishes what is in flight and flushes the store.
    pub fn stop(self) -> anyhow::Result<()> {
        self.drain.enter(Stage::Closing);
        self.data.join();
        self.control.block_on(self.store.close()).context("store")?;
        tracing::info!("stopped");
        Ok(())
    }
}

fn operators(
    uid2: &operator::Settings,
    euid: &operator::Settings,
    registry: &Registry,
) -> anyhow::Result<Operators> {
    let metrics = operator::Metrics::register(registry)?;
    let uid2 = operator_client(uid2, metrics.clone()).context("operator.ca")?;
    let euid = operator_client(euid, metrics).context("operator.euid.ca")?;
    Ok(Operators { uid2, euid })
}

/// A set of keys is a few KiB; the largest providers' are below 20.
const MAX_JWKS_BYTES: usize = 256 * 1024;

fn providers(settings: Vec<sso::Settings>, registry: &Registry) -> anyhow::Result<Providers> {
    let transport: Arc<dyn Transport> = Arc::new(HyperTransport::new(TransportSettings {
        connect_timeout: std::time::Duration::from_secs(1),
        max_response_bytes: MAX_JWKS_BYTES,
        tls: tls::client_config(None)?,
    }));
    Ok(Providers::new(settings, &transport, Clock::System, sso::Metrics::register(registry)?))
}

fn operator_client(
    settings: &operator::Settings,
    metrics: operator::Metrics,
) -> anyhow::Result<OperatorClient> {
    let tls = tls::client_config(settings.ca.as_deref())?;
    let transport = HyperTransport::new(TransportSettings {
        connect_timeout: settings.connect_timeout,
        max_response_bytes: settings.max_response_bytes,
        tls,
    });
    Ok(OperatorClient::new(settings.clone(), Arc::new(transport), Clock::System, metrics))
}

fn ssp_seeds(
    settings: Vec<ssp::Settings>,
    workers: usize,
    registry: &Registry,
) -> anyhow::Result<Vec<ssp::Seed>> {
    let metrics = ssp::Metrics::register(registry)?;
    let seed = |settings: ssp::Settings| {
        let id = settings.id.clone();
        let tls = tls::client_config(settings.ca.as_deref()).with_context(|| format!("ssp.{id}.tls.ca"))?;
        ssp::Seed::new(settings, workers, tls, &metrics).with_context(|| format!("ssp.{id}.url"))
    };
    settings.into_iter().map(seed).collect()
}

//! Wiring: builds every floor once, binds, runs, drains.
//!
//! Two planes. The control plane is one small multi-thread runtime: operator, refreshes, store, admin. The data
//! plane is one thread per core, see `server::worker`.

mod generation;
mod reload;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};

use crate::config::Config;
use crate::gateway;
use crate::identity::{self, Identities};
use crate::net::{HyperTransport, Transport, TransportSettings, tls};
use crate::operator::{self, OperatorClient, Operators};
use crate::server::{
    self, Admin, AdminState, CaptureSettings, Captures, Configured, DataPlane, Drain, Live, Plane, Stage,
};
use crate::sso::{self, Providers};
use crate::ssp;
use crate::store::{self, Store};
use crate::telemetry::Registry;
use crate::time::Clock;

pub use reload::{Reloader, Source};

use generation::Lasting;

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
    reloader: Arc<Reloader>,
}

/// A gateway that serves.
pub struct Running {
    control: Runtime,
    data: DataPlane,
    admin: SocketAddr,
    drain: Drain,
    live: Live,
    registry: Registry,
    store: Store,
}

impl App {
    /// Opens the store, builds every floor and binds both listeners. Nothing is answered yet.
    pub fn build(config: Config) -> anyhow::Result<Self> {
        Self::build_from(config, None)
    }

    /// The same for a configuration that can be read again.
    pub fn build_from(mut config: Config, source: Option<Source>) -> anyhow::Result<Self> {
        let stamps = reload::stamps(std::mem::take(&mut config.files));
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
            Store::open(config.store.clone(), Clock::System, store::Metrics::register(&registry)?)?
        };
        let operators = operators(&config.operator, &config.operator_euid, &registry)?;
        let vendors = Arc::clone(&config.vendors);
        let identities = {
            let parts = identity::Parts {
                store: store.clone(),
                operators,
                providers: providers(std::mem::take(&mut config.sso), &registry)?,
                vendors: vendors.list(),
                clock: Clock::System,
                metrics: identity::Metrics::register(&registry)?,
            };
            Identities::new(config.identity.clone(), parts, control.handle().clone())?
        };
        control.spawn(Arc::clone(&vendors).watch());
        let lasting = Lasting {
            identities,
            vendors,
            tap: Arc::default(),
            families: gateway::Families::register(&registry)?,
            ssp_metrics: ssp::Metrics::register(&registry)?,
            workers: config.server.workers,
        };
        let start = reload::Start { source, resolved: config.resolved.clone(), stamps };
        let (admin_token, capture) = (config.admin.token.take(), config.capture);
        let live = Live::new(lasting.generation(config, None)?);
        let reloader = Reloader::new(lasting, live.clone(), reload::Metrics::register(&registry)?, start);
        let plane = Plane {
            live,
            metrics: server::Metrics::register(&registry)?,
            drain: Drain::default(),
            control: control.handle().clone(),
        };
        let reloader = Arc::new(reloader);
        Ok(Self { control, plane, data, admin, admin_token, capture, registry, store, reloader })
    }

    /// Who reads the configuration again.
    pub fn reloader(&self) -> Arc<Reloader> {
        Arc::clone(&self.reloader)
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
        if self.plane.live.current().settings.tls.is_some() { "https" } else { "http" }
    }

    /// Starts both planes.
    pub fn start(self) -> anyhow::Result<Running> {
        let admin = self.admin.local_addr()?;
        let live = self.plane.live.clone();
        let state = AdminState {
            registry: self.registry.clone(),
            drain: self.plane.drain.clone(),
            token: self.admin_token,
            store: self.store.clone(),
            captures: Captures {
                tap: Arc::clone(&self.plane.live.current().shared.tap),
                limits: Box::new(move || live.current().shared.limits),
                settings: self.capture,
                drain: self.plane.drain.clone(),
            },
            configured: Arc::clone(&self.reloader) as Arc<dyn Configured>,
        };
        let entered = self.control.enter();
        let listener = tokio::net::TcpListener::from_std(self.admin)?;
        drop(entered);
        self.control.spawn(Admin::new(state, admin).serve(listener));
        let data = DataPlane::start(&self.plane, self.data).context("data plane")?;
        let Plane { live, drain, .. } = self.plane;
        let pause = live.current().settings.reload_poll;
        if !pause.is_zero() {
            self.control.spawn(self.reloader.watch(pause));
        }
        let (control, registry, store) = (self.control, self.registry, self.store);
        Ok(Running { control, data, admin, drain, live, registry, store })
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
        let Self { control, data, drain, live, store, .. } = self;
        let closed = control.block_on(async {
            first.await;
            drain.enter(Stage::Draining);
            let drain_time = live.current().settings.drain;
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

fn providers(settings: Vec<sso::Settings>, registry: &Registry) -> anyhow::Result<Providers> {
    let transport: Arc<dyn Transport> = Arc::new(HyperTransport::new(TransportSettings {
        connect_timeout: std::time::Duration::from_secs(1),
        max_response_bytes: settings.iter().map(|it| it.limits.max_jwks_bytes).max().unwrap_or_default(),
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

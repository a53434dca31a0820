//! File and environment → the floors' own `Settings`. Reads once, reports every fault at once, each with its place.
//!
//! The environment is handed in as a map. Unknown keys are faults; keys of the published contract that this version
//! does not have yet are faults of their own, so that nothing is silently ignored.

mod breaker;
mod context;
mod cookie;
mod credentials;
mod debug;
mod faults;
mod include;
mod later;
mod provider;
mod publisher;
mod reader;
mod resolved;
mod secrets;
mod sections;
mod ssp;
mod store_section;
mod tls_files;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use crate::openrtb::Limits;
use crate::server::{self, AdminSettings};
use crate::telemetry::log;
use crate::{gateway, identity, operator, sso, store};

use faults::Source;
pub use faults::{Fault, Faults, Warning};
use reader::{Context, Section};
pub use resolved::Resolved;

/// Everything the program needs to know, resolved.
#[derive(Debug)]
pub struct Config {
    /// `[server]`.
    pub server: server::Settings,
    /// `server.require_key`.
    pub require_key: bool,
    /// `server.cors_origins`.
    pub origins: gateway::Origins,
    /// `server.gzip_min_bytes`.
    pub gzip_min_bytes: usize,
    /// `server.max_json_depth` and `server.max_eids`.
    pub limits: Limits,
    /// `[admin]`.
    pub admin: AdminSettings,
    /// `[operator]`.
    pub operator: operator::Settings,
    /// `[operator.euid]`.
    pub operator_euid: operator::Settings,
    /// `[identity]`.
    pub identity: identity::Settings,
    /// `[store]`.
    pub store: store::Settings,
    /// `[[publisher]]`, in order.
    pub publishers: Vec<gateway::PublisherSettings>,
    /// `[[identity_provider]]`: who may act for publishers.
    pub providers: Vec<gateway::ProviderSettings>,
    /// `[[identity_provider]]`: whose ID tokens are verified, and how.
    pub sso: Vec<sso::Settings>,
    /// `[[ssp]]`, in order.
    pub ssps: Vec<crate::ssp::Settings>,
    /// `privacy.gvl`, read.
    pub vendors: Arc<gateway::Vendors>,
    /// `debug.allow`.
    pub debug: gateway::DebugAllow,
    /// `[debug]`: how much a capture may record.
    pub capture: server::CaptureSettings,
    /// `[log]`.
    pub log: log::Settings,
    /// `metrics.publishers`.
    pub metrics_publishers: usize,
    /// Every key with what it came to.
    pub resolved: Resolved,
    /// Files and folders whose change means another configuration; the main file is the first.
    pub files: Vec<PathBuf>,
}

/// Reads `path` and what it includes. On success also what is allowed but unwise.
pub fn load(path: &Path, env: &BTreeMap<String, String>) -> Result<(Config, Vec<Warning>), Faults> {
    let text = std::fs::read_to_string(path).map_err(|fault| Faults::unreadable(path, &fault))?;
    from_str(&text, path, env)
}

/// Reads `text` as if it stood at `path`; files it includes are read from the disk.
pub fn from_str(
    text: &str,
    path: &Path,
    env: &BTreeMap<String, String>,
) -> Result<(Config, Vec<Warning>), Faults> {
    let context = Context::new(env);
    context.depends_on(path);
    let main = Source::new(path.display().to_string(), text.to_owned());
    let included = match parse(&main, &context) {
        Some(table) => include::sources(&table, &main, path, &context),
        None => return Err(context.into_faults()),
    };
    let config = resolve(&main, &included, &context);
    context.unused_overrides();
    match config {
        Some(mut config) if context.is_clean() => {
            config.resolved = context.resolved().clone();
            config.files = context.take_files();
            Ok((config, context.into_warnings()))
        }
        _ => Err(context.into_faults()),
    }
}

/// The syntax tree, or a syntax fault.
fn parse<'a>(source: &'a Source, context: &Context<'_>) -> Option<DeTable<'a>> {
    match DeTable::parse(source.text()) {
        Ok(table) => Some(table.into_inner()),
        Err(fault) => {
            let offset = fault.span().map_or(0, |span| span.start);
            context.fault(source.fault(offset, "", fault.message()));
            None
        }
    }
}

fn resolve(main: &Source, included: &[Source], context: &Context<'_>) -> Option<Config> {
    let tables: Vec<(&Source, DeTable<'_>)> = std::iter::once(main)
        .chain(included)
        .filter_map(|source| parse(source, context).map(|table| (source, table)))
        .collect();
    let (_, root) = tables.first()?;
    let section = |name: &'static str| Section::top(context, main, root, name);
    let privacy = section("privacy");
    let (policy, vendors) = (sections::privacy(&privacy), sections::vendors(&privacy));
    drop(privacy);
    let server_section = section("server");
    let (server, require_key) = sections::server(&server_section);
    let limits = sections::limits(&server_section);
    let gzip_min_bytes = sections::gzip_min_bytes(&server_section);
    let origins = sections::origins(&server_section);
    drop(server_section);
    let admin = sections::admin(&section("admin"));
    let ([operator, operator_euid], has_operator) = sections::operators(&section("operator"));
    let identity = sections::identity(&section("identity"));
    let store = store_section::store(&section("store"));
    let log = sections::log(&section("log"));
    let metrics_publishers = sections::metrics(&section("metrics"));
    let ssps = ssp::all(&tables, context);
    let providers = provider::all(&tables, context);
    let defaults = publisher::Defaults { policy: &policy, providers: &providers, has_operator };
    let publishers = publisher::all(&tables, context, &ssps, &defaults);
    let debug_section = section("debug");
    let capture = debug::capture(&debug_section);
    let debug = debug::allow(&debug_section, &publisher::ids(&tables));
    drop(debug_section);
    for (index, (source, table)) in tables.iter().enumerate() {
        reader::unknown_sections(context, source, table, index == 0);
    }
    Some(Config {
        server,
        require_key,
        origins,
        gzip_min_bytes,
        limits,
        admin,
        operator,
        operator_euid,
        identity,
        store: store?,
        publishers,
        providers: providers.all,
        sso: providers.verified,
        ssps,
        vendors: Arc::new(vendors?),
        debug,
        capture,
        log,
        metrics_publishers,
        resolved: Resolved::default(),
        files: Vec::new(),
    })
}

#[cfg(test)]
mod tests;

//! The demo's servers: operator and SSPs on one runtime, the gateway on its own planes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::app::{App, Running};
use crate::config;
use crate::sandbox::operator::{self, Operator};
use crate::sandbox::ssp::{self, Ssp};
use crate::time::Clock;

/// One SSP of the demo: id, OpenRTB dialect, latency, share of bids.
const SSPS: [(&str, &str, &str, f64); 3] = [
    ("alpha", "2.6", "uniform:4ms-12ms", 0.8),
    ("beta", "2.5", "uniform:6ms-18ms", 0.6),
    ("gamma", "both", "8ms", 0.4),
];

/// Requests that each SSP keeps, so that their tokens can be decrypted afterwards.
const KEPT: usize = 20_000;

/// The demo's servers.
pub(super) struct Stack {
    pub(super) operator: Arc<Operator>,
    pub(super) ssps: Vec<(&'static str, Arc<Ssp>)>,
    pub(super) api_key: String,
    gateway: Running,
    folder: Folder,
}

impl Stack {
    pub(super) fn start(outside: &Runtime) -> anyhow::Result<Self> {
        let operator = Operator::new(operator::Settings::default(), Clock::System);
        let (operator_listener, operator_address) = outside.block_on(listen())?;
        outside.spawn(operator::serve(
            Arc::clone(&operator),
            operator_listener,
            std::future::pending::<()>(),
        ));
        let mut ssps = Vec::with_capacity(SSPS.len());
        let mut ssp_tables = String::new();
        for (index, (id, dialect, latency, bid_rate)) in (1..).zip(SSPS) {
            let latency = latency.parse()?;
            let settings = ssp::Settings {
                seat: id.to_owned(),
                seed: index,
                latency,
                bid_rate,
                keep_requests: KEPT,
                keep_bytes: usize::MAX,
                ..ssp::Settings::default()
            };
            let ssp = Ssp::new(settings);
            let (listener, address) = outside.block_on(listen())?;
            outside.spawn(ssp::serve(Arc::clone(&ssp), listener, std::future::pending::<()>()));
            write!(
                ssp_tables,
                "[[ssp]]\nid = \"{id}\"\nurl = \"http://{address}/openrtb2/bid\"\nopenrtb = \"{dialect}\"\n"
            )?;
            ssps.push((id, ssp));
        }
        let folder = Folder::make()?;
        let (text, api_key) = configuration(operator_address, &ssp_tables, &folder)?;
        let (config, _) = config::from_str(&text, Path::new("demo.toml"), &BTreeMap::new())?;
        let gateway = App::build(config)?.start()?;
        Ok(Self { operator, ssps, api_key, gateway, folder })
    }

    /// Where the gateway takes ad requests and identity calls.
    pub(super) fn data(&self) -> SocketAddr {
        self.gateway.data_address()
    }

    /// Where its metrics are.
    pub(super) fn admin(&self) -> SocketAddr {
        self.gateway.admin_address()
    }

    /// Its metrics as text.
    pub(super) fn metrics(&self) -> anyhow::Result<String> {
        Ok(String::from_utf8(self.gateway.registry().text()?)?)
    }

    pub(super) fn stop(self) -> anyhow::Result<()> {
        self.gateway.stop()?;
        drop(self.folder);
        Ok(())
    }
}

async fn listen() -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The gateway's configuration and the publisher's API key, made for this run.
fn configuration(operator: SocketAddr, ssps: &str, folder: &Folder) -> anyhow::Result<(String, String)> {
    let mut random = [0_u8; 64];
    getrandom::fill(&mut random)?;
    let (store, key) = random.split_at(32);
    let api_key = format!("demo_{}", STANDARD.encode(key));
    let mut digest = String::with_capacity(64);
    for byte in Sha256::digest(api_key.as_bytes()) {
        write!(digest, "{byte:02x}")?;
    }
    let (operator_key, operator_secret) = operator::clients::PUBLISHER;
    let ids = SSPS.map(|(id, ..)| format!("\"{id}\"")).join(", ");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\ndrain_seconds = 0\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [operator]\nurls = [\"http://{operator}\"]\n\
         [store]\nkind = \"disk\"\npath = \"{path}\"\nencryption_key = \"{store}\"\n\
         [[publisher]]\nid = \"demo\"\napi_keys = [\"sha256:{digest}\"]\nscope = \"uid2\"\n\
         operator_key = \"{operator_key}\"\noperator_secret = \"{operator_secret}\"\nssps = [{ids}]\n{ssps}",
        path = folder.0.join("identities").display(),
        store = STANDARD.encode(store),
    );
    Ok((text, api_key))
}

/// A folder of this run, removed at its end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Self> {
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random)?;
        let name = format!("uid2-gateway-demo-{:016x}", u64::from_le_bytes(random));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(fault) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), error = %fault, "temporary folder stays");
        }
    }
}

//! `keygen`: random keys and the configuration lines they belong in.

use std::fmt::Write;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::print;

/// Make a random key and print the line to put in the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  uid2-gateway keygen store-key")]
pub(super) struct Args {
    /// Which key.
    #[arg(value_enum)]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    /// A publisher's key for the identity API and ad requests; the gateway stores only its SHA-256.
    ApiKey,
    /// The key under which identities are sealed at rest.
    StoreKey,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random)?;
    let text = match args.kind {
        Kind::ApiKey => api_key(&random),
        Kind::StoreKey => store_key(&random),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn api_key(random: &[u8; 32]) -> String {
    let key = format!("gw_{}", URL_SAFE_NO_PAD.encode(random));
    let digest = Sha256::digest(key.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap_or_default();
        hex
    });
    format!(
        "key, for the publisher (shown once, not stored):\n  {key}\nline for [[publisher]]:\n  api_keys = [\"sha256:{digest}\"]\n"
    )
}

fn store_key(random: &[u8; 32]) -> String {
    let key = STANDARD.encode(random);
    format!(
        "key, for the environment (keep a copy: without it the store cannot be read):\n  export UID2GW_STORE_KEY={key}\nline for [store]:\n  encryption_key = {{ env = \"UID2GW_STORE_KEY\" }}\n"
    )
}

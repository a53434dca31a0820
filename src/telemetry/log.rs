//! Log set-up: structured, to stderr, once, at the boundary. Callers never log DII, tokens, user ids or bodies.

use std::io;

use tracing_subscriber::EnvFilter;

/// `[log]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A `tracing` filter directive such as `info` or `uid2_gateway=debug`.
    pub level: String,
    /// How a line is written.
    pub format: Format,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One line of text.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self { level: String::from("info"), format: Format::Text }
    }
}

/// The filter directive does not parse, or a subscriber is already installed.
#[derive(Debug, thiserror::Error)]
#[error("log set-up: {0}")]
pub struct LogError(String);

/// Whether `level` is a filter directive that [`install`] takes.
pub fn check_level(level: &str) -> Result<(), LogError> {
    EnvFilter::try_new(level).map(|_| ()).map_err(|e| LogError(e.to_string()))
}

/// Installs the process-wide subscriber. Call once, from `cli`.
pub fn install(settings: &Settings) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&settings.level).map_err(|e| LogError(e.to_string()))?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    match settings.format {
        Format::Text => builder.with_ansi(false).try_init(),
        Format::Json => builder.json().try_init(),
    }
    .map_err(|e| LogError(e.to_string()))
}

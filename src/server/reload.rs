//! What the admin listener asks of whoever keeps the configuration.

/// The configuration in force, and the way to another one.
pub trait Configured: Send + Sync {
    /// Every key with what it came to, secrets hidden.
    fn shown(&self) -> serde_json::Value;

    /// Reads the files again and takes over what they say, or nothing of it. The keys that changed. Blocks on files.
    fn reload(&self) -> Result<Vec<String>, ReloadFault>;
}

/// Why everything stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ReloadFault {
    /// There are no files to read again.
    #[error("the configuration does not come from a file")]
    NoFile,
    /// The files have faults; each with file, line, column and key.
    #[error("the configuration cannot be used:\n{}", .0.join("\n"))]
    Faulty(Vec<String>),
    /// These keys are read at the start only.
    #[error("these keys need a restart: {}", .0.join(", "))]
    Restart(Vec<String>),
    /// What was read could not be built.
    #[error("{0}")]
    Unusable(String),
}

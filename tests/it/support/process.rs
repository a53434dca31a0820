//! The real binary as a process of its own, on a store that outlives it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use uid2_gateway::sandbox::operator::Settings as OperatorSettings;

use super::binary;
use super::scripted_ssp::ScriptedSsp;
use super::stack::{Plan, operator};

/// A `serve` process; killed when the test ends, however it ends.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) data: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Process {
    pub(crate) fn start(config: &Path) -> Self {
        Self::start_with(config, Stdio::null())
    }

    /// What it logs is kept in a file.
    pub(crate) fn start_logging(config: &Path, log: &Path) -> Self {
        Self::start_with(config, std::fs::File::create(log).unwrap().into())
    }

    fn start_with(config: &Path, log: Stdio) -> Self {
        let mut child = Command::new(binary())
            .args(["serve", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = |label: &str| -> SocketAddr {
            let rest = line.split_once(label).unwrap_or_else(|| panic!("no {label} in {line:?}")).1;
            rest.split_whitespace().next().unwrap().strip_prefix("http://").unwrap().parse().unwrap()
        };
        assert!(line.starts_with("listening "), "{line:?}");
        let (data, admin) = (address("data="), address("admin="));
        Self { child, data, admin }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap(); // SIGKILL
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Any other.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A folder with a configuration whose store is on disk.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) config: PathBuf,
    pub(crate) operator: SocketAddr,
}

/// Such a folder, a sandbox operator and the SSP in its configuration.
pub(crate) async fn place(drain_seconds: u32, ssp: &ScriptedSsp) -> Place {
    let (_, operator_address) = operator(OperatorSettings::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        store: format!("kind = \"disk\"\npath = \"{}\"", folder.path().join("identities").display()),
        ssps: vec![("alpha".into(), ssp.address, String::new())],
        ..Plan::default()
    };
    let text = plan.toml(&format!("http://{operator_address}"));
    let text = text.replace("drain_seconds = 0", &format!("drain_seconds = {drain_seconds}"));
    let config = folder.path().join("gateway.toml");
    std::fs::write(&config, text).unwrap();
    Place { folder, config, operator: operator_address }
}

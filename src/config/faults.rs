//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::{Path, PathBuf};

/// One file of the configuration.
#[derive(Debug)]
pub(super) struct Source {
    name: String,
    text: String,
}

impl Source {
    pub(super) fn new(name: String, text: String) -> Self {
        Self { name, text }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// A fault at a byte offset.
    pub(super) fn fault(&self, offset: usize, key: &str, reason: impl Into<String>) -> Fault {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Fault { file: self.name.clone(), line, column, key: key.to_owned(), reason: reason.into() }
    }
}

/// One fault. Never holds a secret's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The file, or `environment`.
    pub file: String,
    /// Line, from 1; 0 when the fault stands in the environment.
    pub line: usize,
    /// Column in characters, from 1; 0 when the fault stands in the environment.
    pub column: usize,
    /// Full key, such as `publisher.acme.operator_key`; empty for a fault of syntax.
    pub key: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: ", self.file)?,
            line => write!(f, "{}:{line}:{}: ", self.file, self.column)?,
        }
        if self.key.is_empty() {
            f.write_str(&self.reason)
        } else {
            write!(f, "{}: {}", self.key, self.reason)
        }
    }
}

/// Every fault, in the order of the file.
#[derive(Debug)]
pub struct Faults {
    faults: Vec<Fault>,
    /// Files and folders whose change may mend them.
    files: Vec<PathBuf>,
}

impl Faults {
    pub(super) fn new(mut faults: Vec<Fault>, files: Vec<PathBuf>) -> Self {
        faults.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        Self { faults, files }
    }

    pub(super) fn unreadable(path: &Path, fault: &std::io::Error) -> Self {
        let reason = format!("cannot be read: {fault}");
        let file = path.display().to_string();
        let faults = vec![Fault { file, line: 0, column: 0, key: String::new(), reason }];
        Self { faults, files: vec![path.to_owned()] }
    }

    /// Files and folders that were read, or should have been: a change of them may mend the faults.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The faults themselves.
    pub fn into_vec(self) -> Vec<Fault> {
        self.faults
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Something that works but is unwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning(pub(super) Fault);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

//! `fixtures/privacy/table.json`: what must come out, as lawyers and engineers wrote it down. Shapes only; nothing here
//! knows how the gateway decides.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// The built-in table: it travels in the binary, so that the command works anywhere.
pub const BUILT_IN: &str = include_str!("../../fixtures/privacy/table.json");

/// Some keys of `[privacy]` and their values.
pub(super) type Choices = BTreeMap<String, Value>;

/// A member's path (`regs.ext.gpc`), or `header <name>`, and its value.
pub(super) type Members = BTreeMap<String, Value>;

/// The whole table. `reading` in the file says what the words mean.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What this is, for whoever opens the file.
    #[expect(dead_code, reason = "for readers of the file")]
    about: Vec<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    reading: BTreeMap<String, String>,
    pub(super) requests: BTreeMap<String, Value>,
    pub(super) ssps: Vec<Demand>,
    pub(super) choices: Vec<Choice>,
    pub(super) entries: BTreeMap<String, Box<RawValue>>,
    pub(super) standing: Vec<Standing>,
    pub(super) brief: BTreeSet<String>,
    pub(super) signals: Vec<Signal>,
    pub(super) together: Vec<Together>,
}

/// An SSP to test with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Demand {
    pub(super) openrtb: String,
    pub(super) gvl_id: Option<u16>,
}

/// Choices of `[privacy]` to try.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Choice {
    pub(super) name: String,
    pub(super) privacy: Choices,
}

/// The EIDs of a request, by their names in `entries`; `None`: the member is not there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Standing {
    pub(super) name: String,
    #[serde(rename = "user.eids")]
    pub(super) user: Option<Vec<String>>,
    #[serde(rename = "user.ext.eids")]
    pub(super) ext: Option<Vec<String>>,
}

/// One signal: each value in each place alone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signal {
    #[serde(rename = "signal")]
    pub(super) name: String,
    #[expect(dead_code, reason = "for readers of the file")]
    about: String,
    pub(super) request: String,
    pub(super) places: Vec<String>,
    #[serde(default)]
    pub(super) besides: Members,
    #[serde(default)]
    pub(super) standing: Extent,
    pub(super) values: Vec<Values>,
}

/// How many of the lists of EIDs a signal is tried with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Extent {
    #[default]
    Whole,
    Brief,
}

/// Values with one meaning.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Values {
    #[expect(dead_code, reason = "for readers of the file")]
    says: String,
    #[serde(rename = "values")]
    pub(super) each: Vec<Value>,
    #[serde(default)]
    pub(super) with: Members,
    pub(super) uid2: Outcome,
    pub(super) euid: Outcome,
    #[serde(default, rename = "or")]
    pub(super) instead: Vec<Instead>,
}

/// Several members at once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Together {
    pub(super) case: String,
    pub(super) request: String,
    pub(super) set: Members,
    pub(super) uid2: Outcome,
    pub(super) euid: Outcome,
    #[serde(default, rename = "or")]
    pub(super) instead: Vec<Instead>,
}

/// What holds under other choices of `[privacy]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Instead {
    pub(super) privacy: Choices,
    pub(super) uid2: Option<Outcome>,
    pub(super) euid: Option<Outcome>,
}

/// What one column of a row says.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outcome {
    pub(super) row: u8,
    pub(super) result: Said,
    pub(super) reason: String,
    pub(super) removed: Removed,
    /// Where GDPR applies: the vendor ids of SSPs that may get an EUID.
    pub(super) vendors: Option<Vec<u16>>,
}

/// The result a column states.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Said {
    Injected,
    Absent,
    Denied,
}

/// What is taken out of both lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Removed {
    None,
    All,
    Uid2,
    Euid,
}

impl Removed {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::All => "all",
            Self::Uid2 => "uid2",
            Self::Euid => "euid",
        }
    }
}

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Not JSON, or not of the table's shape.
    #[error("the table cannot be read: {0}")]
    Shape(serde_json::Error),
    /// It names something that is not in it.
    #[error("the table names {what} \"{name}\", and holds none of that name")]
    Unknown {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A column that says two things at once.
    #[error(
        "the table says of {case} that EIDs are removed, but not that the result is denied, or the other way round"
    )]
    Contradiction {
        /// Which signal or case.
        case: String,
    },
}

impl Table {
    /// Reads a table and checks that it agrees with itself.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let table: Self = serde_json::from_str(text).map_err(TableError::Shape)?;
        let entries = table.standing.iter().flat_map(|s| s.user.iter().chain(&s.ext).flatten());
        known("an entry", entries, |name| table.entries.contains_key(name))?;
        known("a standing list", &table.brief, |name| table.standing.iter().any(|s| s.name == *name))?;
        let requests =
            table.signals.iter().map(|s| &s.request).chain(table.together.iter().map(|t| &t.request));
        known("a request", requests, |name| table.requests.contains_key(name))?;
        for (case, outcome) in table.outcomes() {
            let strips = outcome.removed != Removed::None;
            if strips != (outcome.result == Said::Denied) {
                return Err(TableError::Contradiction { case: case.to_owned() });
            }
        }
        Ok(table)
    }

    /// Whether the name of a signal or case holds this.
    pub fn knows(&self, part: &str) -> bool {
        self.outcomes().any(|(name, _)| name.contains(part))
    }

    /// Every outcome that is stated anywhere, with the name of its signal or case.
    fn outcomes(&self) -> impl Iterator<Item = (&str, &Outcome)> {
        let values = self.signals.iter().flat_map(|signal| {
            let name = signal.name.as_str();
            signal.values.iter().map(move |v| (name, [&v.uid2, &v.euid], &v.instead))
        });
        let together = self.together.iter().map(|t| (t.case.as_str(), [&t.uid2, &t.euid], &t.instead));
        values.chain(together).flat_map(|(name, columns, instead)| {
            let others = instead.iter().flat_map(|i| i.uid2.iter().chain(&i.euid));
            columns.into_iter().chain(others).map(move |outcome| (name, outcome))
        })
    }
}

fn known<'a>(
    what: &'static str,
    names: impl IntoIterator<Item = &'a String>,
    is_known: impl Fn(&String) -> bool,
) -> Result<(), TableError> {
    match names.into_iter().find(|name| !is_known(name)) {
        Some(name) => Err(TableError::Unknown { what, name: name.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_agrees_with_itself() {
        let table = Table::parse(BUILT_IN).unwrap();
        let rows: BTreeSet<u8> = table.outcomes().map(|(_, outcome)| outcome.row).collect();
        // Row 15 is configuration alone and stated for all at once.
        assert_eq!(rows, (1..=17).filter(|row| *row != 15).collect());
    }

    #[test]
    fn slips_are_found() {
        let broken = |from: &str, to: &str| {
            assert!(BUILT_IN.contains(from), "{from}");
            Table::parse(&BUILT_IN.replacen(from, to, 1)).unwrap_err().to_string()
        };
        assert!(broken("\"reason\": \"coppa\"", "\"resaon\": \"coppa\"").contains("resaon"));
        assert!(broken("[\"other\", \"tdid\"]", "[\"other\", \"nobody\"]").contains("nobody"));
        assert!(broken("\"request\": \"web\"", "\"request\": \"fax\"").contains("fax"));
        assert!(broken("\"removed\": \"all\"", "\"removed\": \"none\"").contains("coppa"));
    }
}

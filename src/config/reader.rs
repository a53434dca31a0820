//! One table of the file, read key by key. Every read takes the key off the list of unknown ones; every fault is noted
//! and reading goes on, so that a person sees all of them at once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::context::OVERRIDE;
use super::faults::{Fault, Source, Warning};
use super::later;
use super::resolved::Value;

pub(super) use super::context::Context;

/// Where a value stands.
#[derive(Clone, Debug)]
pub(super) enum At<'a> {
    File(&'a Source, usize),
    Env(String),
}

impl At<'_> {
    pub(super) fn fault(&self, key: &str, reason: impl Into<String>) -> Fault {
        match self {
            Self::File(source, offset) => source.fault(*offset, key, reason),
            Self::Env(name) => Fault {
                file: format!("environment {name}"),
                line: 0,
                column: 0,
                key: key.to_owned(),
                reason: reason.into(),
            },
        }
    }
}

/// A value and its place.
pub(super) type Placed<'a, T> = (T, At<'a>);

/// One table.
pub(super) struct Section<'a> {
    context: &'a Context<'a>,
    source: &'a Source,
    table: Option<&'a DeTable<'a>>,
    path: String,
    /// Where the table begins, for "missing" faults.
    start: usize,
    /// `UID2GW_SERVER__` of a section whose scalars can be overridden.
    overrides: Option<String>,
    /// Kind of table, for the list of keys that come later.
    kind: &'static str,
    seen: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Section<'a> {
    /// `[name]` of the main file; absent reads as empty.
    pub(super) fn top(
        context: &'a Context<'a>,
        source: &'a Source,
        root: &'a DeTable<'a>,
        name: &'static str,
    ) -> Self {
        let value = root.get(name);
        let table = value.and_then(|value| value.get_ref().as_table());
        let start = value.map_or(0, |value| value.span().start);
        let section = Self {
            context,
            source,
            table,
            path: name.to_owned(),
            start,
            overrides: Some(format!("{OVERRIDE}{}__", name.to_ascii_uppercase())),
            kind: name,
            seen: RefCell::default(),
        };
        if value.is_some() && table.is_none() {
            section.missing("", "must be a table");
        }
        section
    }

    /// One element of an array of tables, or an inline table.
    pub(super) fn nested(
        context: &'a Context<'a>,
        source: &'a Source,
        value: &'a Spanned<DeValue<'a>>,
        path: String,
        kind: &'static str,
    ) -> Self {
        let table = value.get_ref().as_table();
        let start = value.span().start;
        let section =
            Self { context, source, table, path, start, overrides: None, kind, seen: RefCell::default() };
        if table.is_none() {
            section.missing("", "must be a table");
        }
        section
    }

    pub(super) fn context(&self) -> &'a Context<'a> {
        self.context
    }

    pub(super) fn key(&self, key: &str) -> String {
        if key.is_empty() { self.path.clone() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a fault at a value's place.
    pub(super) fn wrong(&self, at: &At<'_>, key: &str, reason: impl Into<String>) {
        self.context.fault(at.fault(&self.key(key), reason));
    }

    /// Notes a fault of the table as a whole.
    pub(super) fn missing(&self, key: &str, reason: impl Into<String>) {
        self.context.fault(self.source.fault(self.start, &self.key(key), reason));
    }

    /// Notes something that works but is unwise.
    pub(super) fn warn(&self, at: &At<'_>, key: &str, reason: impl Into<String>) {
        self.context.warning(Warning(at.fault(&self.key(key), reason)));
    }

    /// The value of `key` when it must be there.
    pub(super) fn required<T>(&self, key: &str, value: Option<T>) -> Option<T> {
        let present = self.table.is_some_and(|table| table.contains_key(key));
        if value.is_none() && !present {
            self.missing(key, "is required");
        }
        value
    }

    /// Whether the file or the environment holds the scalar `key`.
    pub(super) fn holds(&self, key: &'static str) -> bool {
        self.raw(key).is_some() || self.overriding(key).is_some()
    }

    /// Whether the file holds `key`: for what the environment cannot override.
    pub(super) fn in_file(&self, key: &'static str) -> bool {
        self.raw(key).is_some()
    }

    /// A string.
    pub(super) fn text(&self, key: &'static str) -> Option<Placed<'a, String>> {
        let placed = self.overriding(key).or_else(|| self.text_in_file(key));
        placed.map(|(text, at)| {
            self.note(key, Value::Text(text.to_owned()));
            (text.to_owned(), at)
        })
    }

    fn text_in_file(&self, key: &'static str) -> Option<Placed<'a, &'a str>> {
        let value = self.raw(key)?;
        let at = self.at(value);
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.mistyped(&at, key, "a string", value.get_ref());
        }
        Some((text?, at))
    }

    /// A whole number inside `range`, or `default`.
    pub(super) fn integer(&self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let (low, high) = (range.start(), range.end());
        let value = match self.integer_text(key) {
            None => default,
            Some((Some(value), _)) if range.contains(&value) => value,
            Some((_, at)) => {
                self.wrong(&at, key, format!("must be a whole number from {low} to {high}"));
                default
            }
        };
        self.note(key, Value::Number(value));
        value
    }

    fn integer_text(&self, key: &'static str) -> Option<Placed<'a, Option<u64>>> {
        if let Some((value, at)) = self.overriding(key) {
            return Some((value.parse().ok(), at));
        }
        let value = self.raw(key)?;
        let number = value.get_ref().as_integer();
        let parsed = number.and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        Some((parsed, self.at(value)))
    }

    /// true or false, or `default`.
    pub(super) fn flag(&self, key: &'static str, default: bool) -> bool {
        let (value, at) = match (self.overriding(key), self.raw(key)) {
            (Some((value, at)), _) => (value.parse().ok(), at),
            (None, Some(value)) => (value.get_ref().as_bool(), self.at(value)),
            (None, None) => {
                self.note(key, Value::Flag(default));
                return default;
            }
        };
        if value.is_none() {
            self.wrong(&at, key, "must be true or false");
        }
        self.note(key, Value::Flag(value.unwrap_or(default)));
        value.unwrap_or(default)
    }

    /// One of a closed list of words; the first is the default.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let Some((text, at)) = self.text(key) else {
            let (word, value) = words.first().filter(|_| !self.holds(key))?;
            self.note(key, Value::Text((*word).to_owned()));
            return Some(*value);
        };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            self.wrong(&at, key, format!("must be one of {}", quoted(words)));
        }
        found
    }

    /// One of a closed list of words, or `default`.
    pub(super) fn choice_or<T: Copy>(&self, key: &'static str, words: &[(&str, T)], default: T) -> T {
        if self.holds(key) { self.choice(key, words).unwrap_or(default) } else { default }
    }

    /// A list of strings; absent reads as empty.
    pub(super) fn list(&self, key: &'static str) -> Vec<Placed<'a, String>> {
        let mut items = Vec::new();
        for value in self.elements(key) {
            let at = self.at(value);
            if let Some(text) = value.get_ref().as_str() {
                items.push((text.to_owned(), at));
            } else {
                self.mistyped(&at, key, "a list of strings", value.get_ref());
            }
        }
        self.note_list(key, items.iter().map(|(text, _)| Value::Text(text.clone())).collect());
        items
    }

    /// A list of words out of a closed list, in the order in which they stand; absent reads as all of them.
    pub(super) fn words<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Vec<T> {
        if !self.in_file(key) {
            return words.iter().map(|(_, value)| *value).collect();
        }
        let mut found = Vec::new();
        for (text, at) in self.list(key) {
            if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
                found.push(*value);
            } else {
                self.wrong(&at, key, format!("must be some of {}", quoted(words)));
            }
        }
        found
    }

    /// The elements of an array, whatever they are; absent reads as empty.
    pub(super) fn elements(&self, key: &'static str) -> &'a [Spanned<DeValue<'a>>] {
        let Some(value) = self.raw(key) else { return &[] };
        let array = value.get_ref().as_array();
        if array.is_none() {
            self.mistyped(&self.at(value), key, "a list", value.get_ref());
        }
        array.map_or(&[], |array| array.as_ref())
    }

    /// An inline table.
    pub(super) fn table(&self, key: &'static str, kind: &'static str) -> Option<Self> {
        let value = self.raw(key)?;
        Some(Self::nested(self.context, self.source, value, self.key(key), kind))
    }

    /// Every key of the table with its value, for tables whose keys are names: none of them is unknown.
    pub(super) fn entries(&mut self) -> Vec<(String, &'a Spanned<DeValue<'a>>)> {
        let pairs = self.table.take().into_iter().flatten();
        pairs.map(|(name, value)| (name.get_ref().to_string(), value)).collect()
    }

    pub(super) fn at(&self, value: &Spanned<DeValue<'a>>) -> At<'a> {
        At::File(self.source, value.span().start)
    }

    /// The value as it stands, and off the list of unknown keys.
    pub(super) fn raw(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.seen.borrow_mut().insert(key);
        self.table?.get(key)
    }

    pub(super) fn overriding(&self, key: &'static str) -> Option<Placed<'a, &'a str>> {
        self.seen.borrow_mut().insert(key);
        let name = format!("{}{}", self.overrides.as_ref()?, key.to_ascii_uppercase());
        let value = self.context.env(&name)?;
        self.context.overridden(&name);
        Some((value, At::Env(name)))
    }

    fn mistyped(&self, at: &At<'_>, key: &str, expected: &str, found: &DeValue<'_>) {
        self.wrong(at, key, format!("must be {expected}, not {}", found.type_str()));
    }
}

fn quoted<T>(words: &[(&str, T)]) -> String {
    let quoted: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    quoted.join(", ")
}

impl Drop for Section<'_> {
    /// Whatever was not read is unknown.
    fn drop(&mut self) {
        let seen = self.seen.borrow();
        for (name, _) in self.table.into_iter().flatten() {
            let key: &str = name.get_ref();
            if !seen.contains(key) {
                let reason = later::reason(self.kind, key);
                self.context.fault(self.source.fault(name.span().start, &self.key(key), reason));
            }
        }
    }
}

/// Tables of the root that nobody knows. Included files hold publishers and SSPs only.
pub(super) fn unknown_sections(context: &Context<'_>, source: &Source, root: &DeTable<'_>, main: bool) {
    const SHARED: [&str; 2] = ["publisher", "ssp"];
    const MAIN: [&str; 11] = [
        "server",
        "identity_provider",
        "admin",
        "operator",
        "identity",
        "store",
        "privacy",
        "debug",
        "log",
        "metrics",
        "include",
    ];
    for name in root.keys() {
        let key: &str = name.get_ref();
        if SHARED.contains(&key) || (main && MAIN.contains(&key)) {
            continue;
        }
        let reason = if main {
            later::reason("", key)
        } else {
            String::from("an included file holds [[publisher]] and [[ssp]] only")
        };
        context.fault(source.fault(name.span().start, key, reason));
    }
}

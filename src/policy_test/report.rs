//! What a test found: one line a row for programs and files, a table grouped by signal and value for a terminal, and
//! one JSON document.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::case::{Case, Lists, Setting};
use super::compare::Finding;
use super::expected::Expected;
use super::table::Demand;

/// One row: a signal's value in a place, under some choices, beside what stands in the request, for one dialect.
#[derive(Debug)]
pub struct Row {
    scope: &'static str,
    choice: String,
    signal: String,
    place: String,
    value: String,
    standing: String,
    dialect: String,
    result: &'static str,
    reason: String,
    removed: &'static str,
    number: u8,
    finding: Finding,
}

/// All rows of a test.
#[derive(Debug)]
pub struct Report {
    /// In the order of the table.
    pub rows: Vec<Row>,
}

impl Row {
    pub(super) fn new(
        (case, lists, setting): (&Case<'_>, &Lists<'_>, &Setting),
        ssp: &Demand,
        expected: &Expected,
        finding: Finding,
    ) -> Self {
        Self {
            scope: setting.scope.as_str(),
            choice: setting.name.clone(),
            signal: case.signal.to_owned(),
            place: case.place.to_owned(),
            value: case.value.clone(),
            standing: lists.name.to_owned(),
            dialect: match ssp.gvl_id {
                Some(id) => format!("{} gvl {id}", ssp.openrtb),
                None => format!("{} no gvl", ssp.openrtb),
            },
            result: expected.result,
            reason: expected.reason.clone(),
            removed: expected.removed.as_str(),
            number: expected.row,
            finding,
        }
    }

    fn status(&self) -> (&'static str, &str) {
        match &self.finding {
            Finding::Ok => ("ok", ""),
            Finding::Leak(what) => ("LEAK", what),
            Finding::Difference(what) => ("DIFFERENCE", what),
        }
    }

    fn line(&self) -> String {
        let Self {
            scope,
            choice,
            signal,
            place,
            value,
            standing,
            dialect,
            result,
            reason,
            removed,
            number,
            ..
        } = self;
        let (status, what) = self.status();
        let said = if what.is_empty() { String::new() } else { format!(" | {what}") };
        format!(
            "{status} | {scope} | {choice} | {signal} | {place} = {value} | {standing} | {dialect} | row {number} | \
             {result} {reason} | removed {removed}{said}\n"
        )
    }

    fn json(&self) -> Value {
        let (status, what) = self.status();
        json!({
            "status": status, "what": what, "scope": self.scope, "choices": self.choice, "signal": self.signal,
            "place": self.place, "value": self.value, "standing": self.standing, "dialect": self.dialect,
            "row": self.number, "result": self.result, "reason": self.reason, "removed": self.removed,
        })
    }
}

impl Report {
    /// Rows that are not as the table says, without the leaks.
    pub fn differences(&self) -> usize {
        self.rows.iter().filter(|row| matches!(row.finding, Finding::Difference(_))).count()
    }

    /// Rows in which an identifier reached an SSP that may not.
    pub fn leaks(&self) -> usize {
        self.rows.iter().filter(|row| matches!(row.finding, Finding::Leak(_))).count()
    }

    /// Nothing leaked and nothing differs.
    pub fn passed(&self) -> bool {
        !self.rows.is_empty() && self.differences() == 0 && self.leaks() == 0
    }

    /// One line a row, columns separated by ` | `, and the summary.
    pub fn lines(&self) -> String {
        let mut text = String::from(
            "status | scope | choices | signal | place = value | standing | dialect, vendor | row | result reason | removed\n",
        );
        text.extend(self.rows.iter().map(Row::line));
        text + &self.summary()
    }

    /// One line for each signal, place and result, the rows that failed, and the summary.
    pub fn grouped(&self) -> String {
        let mut groups: Vec<((&str, &str, String), Group)> = Vec::new();
        let mut at: BTreeMap<(&str, &str, &str, &str, u8), usize> = BTreeMap::new();
        for row in &self.rows {
            let key = (row.signal.as_str(), row.place.as_str(), row.result, row.reason.as_str(), row.number);
            let index = *at.entry(key).or_insert_with(|| {
                let outcome = format!("row {:<2} {} {}", row.number, row.result, row.reason);
                groups.push(((&row.signal, &row.place, outcome), Group::default()));
                groups.len() - 1
            });
            groups[index].1.add(row);
        }
        let mut text = String::new();
        for ((signal, place, outcome), group) in groups {
            let bad = group.rows - group.ok;
            let mark = if bad == 0 { String::new() } else { format!("  {bad} FAILED") };
            let dialects =
                group.dialects.iter().map(|(d, n)| format!("{d}: {n}")).collect::<Vec<_>>().join("  ");
            writeln!(text, "{signal:<24.24} {place:<16} {outcome:<30} {dialects}{mark}").unwrap_or_default();
        }
        text.extend(self.failed().map(Row::line));
        text + &self.summary()
    }

    /// One document.
    pub fn json(&self) -> Value {
        json!({
            "passed": self.passed(),
            "rows": self.rows.len(),
            "differences": self.differences(),
            "leaks": self.leaks(),
            "table": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
        })
    }

    fn failed(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.finding != Finding::Ok)
    }

    fn summary(&self) -> String {
        format!("rows {}, differences {}, leaks {}\n", self.rows.len(), self.differences(), self.leaks())
    }
}

#[derive(Default)]
struct Group {
    rows: usize,
    ok: usize,
    dialects: BTreeMap<String, usize>,
}

impl Group {
    fn add(&mut self, row: &Row) {
        self.rows += 1;
        self.ok += usize::from(row.finding == Finding::Ok);
        *self.dialects.entry(row.dialect.clone()).or_default() += 1;
    }
}

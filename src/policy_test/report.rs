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

    /// One line for each signal, place and result, the rows that failed, and the summary; for 100 columns.
    pub fn grouped(&self) -> String {
        let mut order: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut groups: BTreeMap<_, Group> = BTreeMap::new();
        for row in &self.rows {
            let next = order.len();
            let at = *order.entry((&row.signal, &row.place)).or_insert(next);
            groups.entry((at, row.number, row.result, &row.reason)).or_default().add(row);
        }
        let mut names = vec![("", ""); order.len()];
        for (name, at) in order {
            names[at] = name;
        }
        let mut text =
            format!("{:<32} {:<19} {:<28} {:>6}\n", "signal", "place", "row result reason", "rows");
        for ((at, number, result, reason), Group { rows, failed }) in groups {
            let ((signal, place), outcome) = (names[at], format!("{number:>3} {result} {reason}"));
            let mark = if failed == 0 { String::new() } else { format!("  {failed} FAILED") };
            writeln!(text, "{signal:<32.32} {place:<19} {outcome:<28} {rows:>6}{mark}").unwrap_or_default();
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
    failed: usize,
}

impl Group {
    fn add(&mut self, row: &Row) {
        self.rows += 1;
        self.failed += usize::from(row.finding != Finding::Ok);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(signal: &str, number: u8, finding: Finding) -> Row {
        Row {
            scope: "uid2",
            choice: "defaults".into(),
            signal: signal.into(),
            place: "regs.coppa".into(),
            value: "1".into(),
            standing: "nothing".into(),
            dialect: "2.6 no gvl".into(),
            result: "denied",
            reason: "coppa".into(),
            removed: "all",
            number,
            finding,
        }
    }

    #[test]
    fn a_signal_stays_together_in_its_order_and_failures_come_before_the_summary() {
        let leak = Finding::Leak("it leaked".into());
        let rows = [("z", 1, Finding::Ok), ("a", 2, Finding::Ok), ("z", 9, Finding::Ok), ("z", 1, leak)];
        let rows = rows.into_iter().map(|(signal, number, finding)| row(signal, number, finding));
        let text = Report { rows: rows.collect() }.grouped();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["z", "regs.coppa", "1", "denied", "coppa", "2", "1", "FAILED"]);
        assert_eq!(lines[2], ["z", "regs.coppa", "9", "denied", "coppa", "1"]);
        assert_eq!(lines[3], ["a", "regs.coppa", "2", "denied", "coppa", "1"]);
        assert_eq!((lines[4][0], lines.len()), ("LEAK", 6), "{text}");
        assert_eq!(text.lines().last(), Some("rows 4, differences 0, leaks 1"));
    }
}

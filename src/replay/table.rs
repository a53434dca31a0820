//! Reports as text: columns that line up, figures to the right.

use std::fmt;
use std::time::Duration;

use super::recorder::{Report, at};
use super::slo::Outcome;

/// A table of text. Columns in which every cell looks like a figure are aligned to the right.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these column titles.
    pub fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row; missing cells stay empty, surplus ones are left out.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) -> &mut Self {
        let mut cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.head.len(), String::new());
        self.rows.push(cells);
        self
    }

    fn column(&self, index: usize) -> impl Iterator<Item = &str> {
        self.rows.iter().filter_map(move |row| row.get(index).map(String::as_str))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |cell: &str| cell.chars().count();
        let columns: Vec<(usize, bool)> = (0..self.head.len())
            .map(|i| {
                let widest = self.column(i).map(length).max().unwrap_or(0).max(length(&self.head[i]));
                (widest, self.column(i).all(is_figure))
            })
            .collect();
        let rule: Vec<String> = columns.iter().map(|(width, _)| "─".repeat(*width)).collect();
        for row in [&self.head, &rule].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (cell, (width, figure)) in row.iter().zip(&columns) {
                let cell = if *figure { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
                line.push_str(&cell);
                line.push_str("  ");
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn is_figure(cell: &str) -> bool {
    cell.is_empty() || cell == "–" || cell.starts_with(|c: char| c.is_ascii_digit() || c == '-')
}

/// A duration for people: `87 µs`, `1.24 ms`, `2.50 s`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1e-3 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

/// A count for people: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

impl fmt::Display for Report {
    /// What a load came to: throughput, answers, latencies, goals, and what to know about the driver itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} requests due, {} sent in {}: {:.0} a second, {:.0} a second answered well",
            count(self.due),
            count(self.sent),
            duration(self.span()),
            self.rate(),
            self.goodput(),
        )?;
        f.write_str(&self.remarks())?;
        writeln!(f, "\n{}\n{}", self.answers_table(), self.times_table())?;
        if let Some(cpu) = self.cpu_per_request() {
            let busy = 100.0 * self.busy();
            writeln!(f, "generator: {:.1} µs of CPU a request, busy {busy:.0} %", cpu.as_secs_f64() * 1e6)?;
        }
        if let Some(warning) = self.warning() {
            writeln!(f, "warning: {warning}")?;
        }
        f.write_str(&self.goals())?;
        if let Some(content) = &self.content {
            write!(f, "\n{content}")?;
        }
        Ok(())
    }
}

impl Report {
    /// What to know about the whole, a line each.
    pub fn remarks(&self) -> String {
        let drain = self.elapsed.saturating_sub(self.span());
        [
            self.stopped_after.map(|after| format!("stopped after {}, before its end", duration(after))),
            (drain >= Duration::from_millis(100))
                .then(|| format!("the last answers took {} more", duration(drain))),
            self.missing.as_ref().map(|missing| format!("warning: {missing}")),
            self.uncounted
                .then(|| "how many requests failed is not known: only answers were logged".to_owned()),
        ]
        .into_iter()
        .flatten()
        .map(|line| line + "\n")
        .collect()
    }

    fn answers_table(&self) -> Table {
        let mut answers = Table::new(["answer", "requests"]);
        for (status, number) in &self.by_status {
            answers.row([status.to_string(), count(*number)]);
        }
        for (fault, number) in &self.errors {
            answers.row([fault.name().to_owned(), count(*number)]);
        }
        answers
    }

    /// A line for each goal.
    pub fn goals(&self) -> String {
        let verdict = |met| if met { "met" } else { "MISSED" };
        let line = |goal: &Outcome| format!("goal {}: {}, {}\n", goal.goal, verdict(goal.met), goal.measured);
        self.slo.iter().map(line).collect()
    }

    /// The latencies; what was not measured, as in a log, is left out.
    pub fn times_table(&self) -> Table {
        const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 100.0];
        let mut times = Table::new(["", "p50", "p90", "p99", "p99.9", "p99.99", "max"]);
        let share = self.answered_share().filter(|share| *share < 1.0);
        if !self.latency.is_empty() && share.is_some() {
            let of_all = PERCENTILES.map(|p| self.latency_of_all(p).map_or_else(|| "–".to_owned(), duration));
            times.row(std::iter::once("latency of all requests".to_owned()).chain(of_all));
        }
        // 99.996 % must not read as all of them.
        let of = share
            .map_or_else(String::new, |share| format!(", answered {:.2} %", (1e4 * share).floor() / 1e2));
        for (name, histogram) in [
            (format!("latency, from when it was due{of}"), &self.latency),
            (format!("latency, from when it was sent{of}"), &self.service),
            ("wait for a connection".to_owned(), &self.wait),
            ("generator's own lateness".to_owned(), &self.lateness),
        ] {
            if !histogram.is_empty() {
                let percentiles = PERCENTILES.map(|p| duration(at(histogram, p)));
                times.row(std::iter::once(name).chain(percentiles));
            }
        }
        times
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorder::Fault;
    use super::*;

    #[test]
    fn columns_line_up_and_figures_stand_right() {
        let mut table = Table::new(["ssp", "bids", "p99"]);
        table.row(["alpha", "1,204", "1.20 ms"]).row(["bêta", "7", "–"]).row(["c"]);
        let expected = "\
ssp     bids      p99
─────  ─────  ───────
alpha  1,204  1.20 ms
bêta       7        –
c
";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn figures_read_well() {
        let times =
            [(0, "0 µs"), (999, "999 µs"), (1_000, "1.00 ms"), (999_994, "999.99 ms"), (1_000_000, "1.00 s")];
        for (micros, text) in times {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn a_report_names_every_kind_of_end() {
        let mut report =
            Report { due: 1_004, sent: 1_003, elapsed: Duration::from_secs(2), ..Report::default() };
        report.by_status.insert(204, 1_000);
        report.errors.insert(Fault::Timeout, 3);
        report.latency.record_n(1_000, 1_000).unwrap();
        report.cpu = Duration::from_secs(2);
        report.slo = "p50<5ms,errors<1".parse::<super::super::slo::Slo>().unwrap().judge(&report);
        let text = report.to_string();
        let first = "1,004 requests due, 1,003 sent in 2.00 s: 502 a second, 500 a second answered well\n";
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains("\n204         1,000\n") && text.contains("\ntimeout         3\n"), "{text}");
        assert!(text.contains("goal p50<5ms: met, 1.00 ms\ngoal errors<1: MISSED, 3\n"), "{text}");
        assert!(text.contains("busy 100 %\nwarning: the generator"), "{text}");
        assert!(!text.contains("wait for"), "{text}");
        let row = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        assert!(row("latency of all requests").ends_with('–'), "{text}");
        assert!(row("latency, from when it was due, answered 99.70 %").ends_with("1.00 ms"), "{text}");
    }
}

//! Reports for programs. Times are milliseconds where the name ends in `_ms`.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::recorder::{Report, at};
use super::second::Second;
use super::verify::Content;

/// Percentiles that are told.
const TOLD: [(&str, f64); 6] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99), ("max", 100.0)];

impl Report {
    /// One document with everything.
    pub fn json(&self) -> Value {
        let load = &self.load;
        let statuses: Map<String, Value> =
            self.by_status.iter().map(|(status, number)| (status.to_string(), json!(number))).collect();
        let faults: Map<String, Value> =
            self.errors.iter().map(|(fault, number)| (fault.key().to_owned(), json!(number))).collect();
        let slo: Vec<Value> = self
            .slo
            .iter()
            .map(|one| json!({"goal": one.goal, "measured": one.measured, "met": one.met}))
            .collect();
        let counted = |number: u64| (!self.uncounted).then_some(number);
        json!({
            "ok": self.passed(),
            "load": {
                "target": load.target,
                "corpus": load.corpus,
                "entries": load.entries,
                "pace": load.pace,
                "protocol": load.protocol,
                "connections": load.connections,
                "threads": load.threads,
                "users": load.users,
                "duration_s": load.duration.as_secs_f64(),
                "warmup_s": load.warmup.as_secs_f64(),
                "timeout_ms": millis(load.timeout),
            },
            "started_unix_ms": self.started.0,
            "elapsed_s": self.elapsed.as_secs_f64(),
            "window_s": self.span().as_secs_f64(),
            "stopped_after_s": self.stopped_after.map(|after| after.as_secs_f64()),
            "requests": {
                "due": self.due,
                "sent": self.sent,
                "answered": self.latency.len(),
                "failed": counted(self.failed()),
                "unanswered": counted(self.unanswered()),
            },
            "statuses": statuses,
            "faults": faults,
            "bytes": self.bytes,
            "rate_per_s": self.rate(),
            "good_per_s": self.goodput(),
            "latency_ms": times(&self.latency),
            "latency_of_all_ms": TOLD
                .iter()
                .map(|(name, percentile)| ((*name).to_owned(), json!(self.latency_of_all(*percentile).map(millis))))
                .collect::<Map<String, Value>>(),
            "service_ms": times(&self.service),
            "wait_ms": times(&self.wait),
            "lateness_ms": times(&self.lateness),
            "generator": {
                "cpu_us_per_request": self.cpu_per_request().map(|cpu| cpu.as_secs_f64() * 1e6),
                "busy": self.busy(),
                "warning": self.warning(),
                "connections_missing": self.missing,
            },
            "seconds": self.seconds.iter().map(Second::json).collect::<Vec<Value>>(),
            "slo": slo,
            "content": self.content.as_ref().map(Content::json),
        })
    }
}

impl Second {
    fn json(&self) -> Value {
        json!({
            "due": self.due,
            "sent": self.sent,
            "answered": self.answered,
            "failed": self.failed,
            "latency_ms": {
                "p50": millis(self.latency.p50),
                "p90": millis(self.latency.p90),
                "p99": millis(self.latency.p99),
                "p99.9": millis(self.latency.p999),
                "max": millis(self.latency.max),
            },
        })
    }
}

/// `null` without a value.
fn times(histogram: &Histogram<u64>) -> Value {
    if histogram.is_empty() {
        return Value::Null;
    }
    let mut told: Map<String, Value> = TOLD
        .iter()
        .map(|(name, percentile)| ((*name).to_owned(), json!(millis(at(histogram, *percentile)))))
        .collect();
    told.insert("mean".to_owned(), json!(histogram.mean() / 1e3));
    Value::Object(told)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::super::recorder::Fault;
    use super::super::slo::Outcome;
    use super::*;

    #[test]
    fn a_document_holds_figures_and_verdicts() {
        let mut report = Report { due: 12, sent: 11, elapsed: Duration::from_secs(2), ..Report::default() };
        report.latency.record_n(2_000, 10).unwrap();
        report.by_status.insert(204, 10);
        report.errors = [(Fault::Timeout, 1), (Fault::Unsent, 1)].into();
        report.seconds.push(Second { due: 12, ..Second::default() });
        let met = |met| Outcome { goal: "p99<5ms".to_owned(), measured: "2 ms".to_owned(), met };
        report.slo = vec![met(true)];
        let document = report.json();
        assert_eq!(document["ok"], true);
        assert_eq!(
            document["requests"],
            json!({"due": 12, "sent": 11, "answered": 10, "failed": 2, "unanswered": 2})
        );
        assert_eq!(document["faults"], json!({"timeout": 1, "unsent": 1}));
        assert_eq!((&document["statuses"]["204"], &document["good_per_s"]), (&json!(10), &json!(5.0)));
        let p99 = document["latency_ms"]["p99.99"].as_f64().unwrap();
        assert!((1.99..2.01).contains(&p99), "{p99}");
        assert_eq!((&document["lateness_ms"], &document["seconds"][0]["due"]), (&Value::Null, &json!(12)));
        assert_eq!(document["slo"], json!([{"goal": "p99<5ms", "measured": "2 ms", "met": true}]));
        assert_eq!(document["latency_of_all_ms"]["p99"], Value::Null, "one in six has no answer");
        assert!(document["latency_of_all_ms"]["p50"].is_number());
        assert_eq!(document["content"], Value::Null);
        // Checks that saw nothing have not passed.
        report.content = Some(Content::default());
        assert_eq!(
            (&report.json()["ok"], &report.json()["content"]["passed"]),
            (&json!(false), &json!(false))
        );
        report.content = None;
        report.slo.push(met(false));
        assert_eq!(report.json()["ok"], false);
    }
}

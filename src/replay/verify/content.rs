//! What the content checks of a load came to: counts and examples, with names of entries and members and never a value.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::super::table::{Table, count};

/// Examples kept of each finding.
pub(super) const EXAMPLES: usize = 5;

/// Something that arrived otherwise than it must.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Finding {
    /// A token was expected and none arrived.
    TokenMissing,
    /// No token was expected and one arrived.
    TokenUnexpected,
    /// The token is not where the dialect has it, or not there alone.
    TokenPlace,
    /// An entry of UID2 or EUID that we would not write so.
    TokenMalformed,
    /// UID2 and EUID in one request.
    BothScopes,
    /// A raw UID2 where a token belongs.
    RawUid,
    /// An e-mail address, phone number or hash of one.
    Dii,
    /// A member for the gateway alone: `user.ext.uid2`, `user.ext.publisher_user_id`.
    HintLeft,
    /// A header for the gateway alone.
    HeaderLeft,
    /// `tmax` is larger than it was, or no whole number any more.
    TmaxRaised,
    /// An EID of the publisher's is gone and nothing says why.
    EidLost,
    /// An EID that was not sent.
    EidAdded,
    /// An EID of the publisher's is not what it was.
    EidChanged,
    /// EIDs stand in another order.
    EidOrder,
    /// A member has another value.
    Changed,
    /// A member that was not sent.
    Added,
    /// A member is gone.
    Removed,
    /// Members stand in another order.
    Reordered,
    /// White space is not what it was.
    Spacing,
    /// No JSON, or too deep.
    Unreadable,
    /// A request that was answered with a bid arrived at no SSP.
    Lost,
    /// A request arrived twice at one SSP.
    Doubled,
}

/// A difference that is meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Change {
    /// Our entry was added.
    TokenAdded,
    /// An entry of theirs holds a new token, or ours stands for it.
    TokenReplaced,
    /// `tmax` is what is left.
    TmaxLowered,
    /// A hint for the gateway was taken out.
    HintRemoved,
    /// DII was taken out.
    DiiCut,
    /// EIDs of one place stand in the other.
    EidsMoved,
    /// EIDs were taken out, as privacy or an opt-out can ask for.
    EidsStripped,
    /// EIDs were held back by `eidpermissions`.
    EidsHeldBack,
    /// `regs.ext.gpc` was written, as `Sec-GPC` said.
    GpcFilled,
    /// What `--verify-allow` names.
    Allowed,
}

/// How often, and where.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// Requests, per SSP.
    pub count: u64,
    /// A few, all different.
    pub examples: Vec<Example>,
}

/// One case of a finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Example {
    /// The corpus entry that was sent.
    pub entry: String,
    /// Which member of the body, or `header NAME`; empty for the whole.
    pub member: String,
    /// Which SSP received it.
    pub ssp: String,
}

/// What one SSP received.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Received {
    /// Its address.
    pub ssp: String,
    /// Requests that were compared.
    pub compared: u64,
    /// Requests of anybody that this SSP had thrown away before they could be looked at.
    pub gone: u64,
    /// Why this SSP could not be asked, if so.
    pub fault: Option<String>,
}

/// What the content checks of a load came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Content {
    /// One request in so many was checked.
    pub one_in: u64,
    /// What was expected: `token`, `none`, `any`, or as the corpus says.
    pub expected: String,
    /// Requests of the load.
    pub sent: u64,
    /// Bodies compared, over all SSPs.
    pub checked: u64,
    /// Of those, the ones that arrived byte for byte as sent.
    pub unchanged: u64,
    /// Of those, the ones with a UID2 or EUID token.
    pub with_token: u64,
    /// Requests that were answered well and could be told apart at the SSPs, of those that were to be checked.
    pub checkable: u64,
    /// Requests that were answered well and brought a `traceparent` of their own: they cannot be checked.
    pub own_trace: u64,
    /// Requests that were answered well, without a bid, and arrived at no SSP.
    pub unasked: u64,
    /// Meant differences, in requests.
    pub changes: BTreeMap<Change, u64>,
    /// What was wrong.
    pub findings: BTreeMap<Finding, Found>,
    /// Per SSP.
    pub received: Vec<Received>,
}

impl Content {
    /// Something was checked, at every SSP, all of it was seen, and nothing was wrong.
    pub fn passed(&self) -> bool {
        let seen = self.received.iter().all(|ssp| ssp.compared > 0);
        !self.received.is_empty() && seen && self.is_whole() && self.findings.is_empty()
    }

    /// Everything that arrived at the SSPs was looked at.
    pub fn is_whole(&self) -> bool {
        self.received.iter().all(|ssp| ssp.fault.is_none() && ssp.gone == 0)
    }

    /// Nothing of what was answered could have been checked: that says nothing of the target.
    fn is_idle(&self) -> bool {
        self.checked == 0 && self.checkable == 0 && (self.own_trace > 0 || self.one_in > 1)
    }

    /// Findings over all requests.
    pub fn wrong(&self) -> u64 {
        self.findings.values().map(|found| found.count).sum()
    }

    pub(super) fn note(&mut self, finding: Finding, example: Example) {
        let found = self.findings.entry(finding).or_default();
        found.count += 1;
        if found.examples.len() < EXAMPLES && !found.examples.contains(&example) {
            found.examples.push(example);
        }
    }

    /// In one sentence.
    pub fn verdict(&self) -> String {
        let checked = format!("{} bodies compared", count(self.checked));
        let fault = self.received.iter().find_map(|ssp| ssp.fault.as_ref().map(|fault| (&ssp.ssp, fault)));
        if let Some((ssp, fault)) = fault {
            return format!("{checked}; {ssp} could not be asked: {fault}");
        }
        if self.is_idle() && self.own_trace > 0 {
            return format!("{checked}; requests that bring a traceparent of their own cannot be checked");
        }
        if self.is_idle() {
            return format!("{checked}; no request was the one in {} that is checked", count(self.one_in));
        }
        if let Some(blind) = self.received.iter().find(|ssp| ssp.compared == 0) {
            return format!("{checked}; nothing that was sent arrived at {}", blind.ssp);
        }
        let mut parts = match self.wrong() {
            0 => vec![format!("{checked}, nothing wrong")],
            wrong => vec![format!("{checked}, {} wrong", count(wrong))],
        };
        let gone: u64 = self.received.iter().map(|ssp| ssp.gone).sum();
        for (number, says) in [
            (gone, "thrown away by the SSPs unseen"),
            (self.own_trace, "with a traceparent of their own not checked"),
            (self.unasked, "answered without a bid and seen at no SSP"),
        ] {
            if number > 0 {
                parts.push(format!("{} {says}", count(number)));
            }
        }
        parts.join("; ")
    }

    /// Nothing wrong was seen, and not all there was: neither right nor wrong.
    pub fn is_open(&self) -> bool {
        self.findings.is_empty() && (self.is_idle() || !self.is_whole())
    }

    /// In a word.
    pub fn mark(&self) -> &'static str {
        match (self.passed(), self.is_open()) {
            (true, _) => "right",
            (false, true) => "NOT CHECKED",
            (false, false) => "WRONG",
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let example = |e: &Example| json!({"entry": e.entry, "member": e.member, "ssp": e.ssp});
        let findings = self.findings.iter().map(|(finding, found)| {
            let examples: Vec<Value> = found.examples.iter().map(example).collect();
            json!({"finding": finding.key(), "count": found.count, "examples": examples})
        });
        let received = self.received.iter().map(
            |ssp| json!({"ssp": ssp.ssp, "compared": ssp.compared, "gone": ssp.gone, "fault": ssp.fault}),
        );
        let changes: serde_json::Map<String, Value> =
            self.changes.iter().map(|(change, count)| (change.key().to_owned(), json!(count))).collect();
        json!({
            "passed": self.passed(),
            "one_in": self.one_in,
            "expected": self.expected,
            "sent": self.sent,
            "checked": self.checked,
            "unchanged": self.unchanged,
            "with_token": self.with_token,
            "own_trace": self.own_trace,
            "unasked": self.unasked,
            "changes": changes,
            "findings": findings.collect::<Vec<_>>(),
            "received": received.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Content {
    /// The verdict, then what was wrong with examples, then what was meant.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "content: {}, {}", self.mark(), self.verdict())?;
        if self.one_in > 1 {
            writeln!(f, "checked: one request in {}", count(self.one_in))?;
        }
        for (finding, found) in &self.findings {
            writeln!(f, "  {}: {}", finding.says(), count(found.count))?;
            for example in &found.examples {
                let member = if example.member.is_empty() { "the whole" } else { &example.member };
                writeln!(f, "    {member} in {} at {}", example.entry, example.ssp)?;
            }
        }
        let mut meant = Table::new(["meant to change", "requests"]);
        for (change, number) in &self.changes {
            meant.row([change.says().to_owned(), count(*number)]);
        }
        if !self.changes.is_empty() {
            write!(f, "\n{meant}")?;
        }
        for ssp in self.received.iter().filter(|ssp| ssp.gone > 0) {
            writeln!(
                f,
                "{}: {} requests were gone before they could be looked at",
                ssp.ssp,
                count(ssp.gone)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(entry: &str) -> Example {
        Example { entry: entry.into(), member: "tmax".into(), ssp: "http://a".into() }
    }

    fn seen(compared: u64) -> Content {
        let received = vec![Received { ssp: "http://a".into(), compared, ..Received::default() }];
        Content { checked: compared, received, ..Content::default() }
    }

    #[test]
    fn a_check_that_saw_nothing_has_not_passed() {
        assert!(!Content::default().passed() && !seen(0).passed() && seen(1).passed());
        assert!(seen(0).verdict().ends_with("nothing that was sent arrived at http://a"));
        let mut blind = seen(1);
        blind.received[0].fault = Some("gone".into());
        assert!(!blind.passed() && blind.verdict().ends_with("could not be asked: gone"));
        assert_eq!(seen(1_000).verdict(), "1,000 bodies compared, nothing wrong");
        let mut part = seen(7);
        part.received[0].gone = 3;
        assert_eq!((part.passed(), part.mark()), (false, "NOT CHECKED"));
        assert!(part.verdict().ends_with("nothing wrong; 3 thrown away by the SSPs unseen"));
    }

    #[test]
    fn what_cannot_be_checked_is_no_fault_of_the_target() {
        let own = Content { own_trace: 9, ..seen(0) };
        assert_eq!((own.passed(), own.mark()), (false, "NOT CHECKED"));
        assert!(own.verdict().ends_with("a traceparent of their own cannot be checked"));
        let sampled = Content { one_in: 100, ..seen(0) };
        assert_eq!((sampled.passed(), sampled.mark()), (false, "NOT CHECKED"));
        assert!(sampled.verdict().ends_with("no request was the one in 100 that is checked"));
        let nothing = Content { checkable: 1, own_trace: 9, one_in: 100, ..seen(0) };
        assert_eq!(nothing.mark(), "WRONG");
        let some = Content { own_trace: 2, unasked: 1, ..seen(5) };
        assert!(some.passed());
        assert_eq!(
            some.verdict(),
            "5 bodies compared, nothing wrong; 2 with a traceparent of their own not checked; 1 answered without a \
             bid and seen at no SSP"
        );
    }

    #[test]
    fn examples_are_few_and_different_and_all_are_counted() {
        let mut content = seen(9);
        for entry in ["a", "a", "b", "c", "d", "e", "f"] {
            content.note(Finding::TmaxRaised, example(entry));
        }
        let found = &content.findings[&Finding::TmaxRaised];
        assert_eq!((found.count, found.examples.len(), content.wrong()), (7, EXAMPLES, 7));
        assert!(!content.passed());
        let text = content.to_string();
        assert!(
            text.starts_with(
                "content: WRONG, 9 bodies compared, 7 wrong\n  tmax raised: 7\n    tmax in a at"
            ),
            "{text}"
        );
        let json = content.json();
        assert_eq!(json["findings"][0]["finding"], "tmax_raised");
        assert_eq!(json["findings"][0]["examples"][0]["entry"], "a");
    }
}

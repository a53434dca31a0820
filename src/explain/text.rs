//! An explanation for people.

use std::borrow::Cow;
use std::fmt::Write;

use http::HeaderMap;

use super::edit::{Mark, edits};
use super::{Explained, Problem, STAND_IN};
use crate::gateway::{Brought, ExplainedLeg, Explanation, Found, Hint, RejectKind, UserIdFrom};
use crate::openrtb::Dialect;
use crate::privacy::{StripWhat, Verdict};
use crate::ssp::TmaxMode;

/// How edits and text of the request are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// `[-removed-]{+added+}`, and everything as it is: for files and programs.
    Words,
    /// Red, struck out; green. Control characters are escaped, as they would act on a terminal.
    Colours,
}

impl Explained {
    /// The explanation, several lines.
    pub fn text(&self, style: Style) -> String {
        let explanation = &self.explanation;
        let mut out = String::new();
        line(&mut out, "publisher", &publisher(explanation));
        line(&mut out, "caller", caller(explanation));
        for (hint, said, won) in hints(explanation) {
            let won = if won { "  <- wins" } else { "" };
            line(&mut out, "hint", &format!("{}: {said}{won}", hint.as_str()));
        }
        for hit in explanation.guarded.iter().flat_map(|guarded| &guarded.hits) {
            let what = if hit.raw { "raw UID2 cut" } else { "cut" };
            line(&mut out, "dii", &format!("{}: {what}, at byte {}", hit.spot.path(), hit.offset));
        }
        if self.signals.is_empty() {
            line(&mut out, "signal", "none");
        }
        for signal in &self.signals {
            line(&mut out, "signal", &format!("{} = {}", signal.place, style.shown(&signal.value)));
        }
        let scope = explanation.scope;
        line(&mut out, "verdict", &format!("{}: {}", scope.as_str(), verdict(explanation.verdict)));
        if let Some(other) = explanation.other {
            let said = verdict(other);
            line(&mut out, "verdict", &format!("{} entries that are there: {said}", scope.other().as_str()));
        }
        line(&mut out, "identity", &self.identity());
        for leg in &explanation.legs {
            self.leg(&mut out, leg, style);
        }
        out
    }

    fn identity(&self) -> String {
        let decision = &self.explanation.decision;
        let source = decision.source.map_or("none", Hint::as_str);
        let stands_in = decision.token.as_ref().is_some_and(|token| token.as_str() == STAND_IN);
        let stood_in = match (stands_in, self.user_known || decision.token.is_some()) {
            (true, _) => format!("; {STAND_IN} stands for the user's token, the store was not read"),
            (false, true) => String::new(),
            (false, false) => String::from("; nobody logged this user in (--no-user)"),
        };
        format!("{}, reason {}, hint {source}{stood_in}", decision.result.as_str(), decision.reason.as_str())
    }

    fn leg(&self, out: &mut String, leg: &ExplainedLeg, style: Style) {
        let consent = if leg.unconsented {
            "; row 7: no EUID, the TC string has no consent for its gvl_id"
        } else {
            ""
        };
        let (id, openrtb) = (&leg.ssp.id, dialect(leg.ssp.dialect));
        let head = format!("{id} ({openrtb}): {}{consent}", leg.result.as_str());
        let Some(call) = &leg.call else {
            line(out, "ssp", &format!("{head}; not called, its time is under min_ms"));
            return;
        };
        line(out, "ssp", &format!("{head}; tmax {} ms{}", call.left.as_millis(), kept_tmax(leg.ssp.tmax)));
        for (name, value) in header_lines(&call.headers) {
            line(out, "  header", &format!("{name}: {}", style.shown(&value)));
        }
        let body: String = edits(&self.explanation, call).iter().map(|mark| marked(mark, style)).collect();
        line(out, if call.packed { "  unpacked" } else { "  body" }, &body);
    }
}

impl Style {
    /// Text of the request.
    fn shown(self, text: &str) -> Cow<'_, str> {
        let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        if self == Self::Words || !text.contains(acts) {
            return Cow::Borrowed(text);
        }
        let shown = |mut out: String, c: char| {
            if acts(c) {
                write!(out, "\\u{:04x}", u32::from(c)).unwrap_or_default();
            } else {
                out.push(c);
            }
            out
        };
        Cow::Owned(text.chars().fold(String::new(), shown))
    }
}

impl Problem {
    /// What a caller would read.
    pub fn text(&self) -> String {
        let mut out = String::new();
        line(&mut out, "refused", &self.0.to_string());
        if let RejectKind::BadRequest(fault) = &self.0 {
            line(&mut out, "member", if fault.member.is_empty() { "(the document)" } else { fault.member });
            line(&mut out, "offset", &fault.offset.to_string());
            line(&mut out, "reason", fault.reason.as_str());
        }
        out
    }
}

fn line(out: &mut String, name: &str, text: &str) {
    writeln!(out, "{name:<10} {text}").unwrap_or_default();
}

fn publisher(explanation: &Explanation) -> String {
    let mismatch = if explanation.mismatch { "; a match rule names another publisher" } else { "" };
    format!("{}, found by {}{mismatch}", explanation.publisher.settings.id, found_name(explanation.found))
}

fn caller(explanation: &Explanation) -> &'static str {
    if explanation.authenticated {
        "authenticated: believed about users"
    } else {
        "no key: what it says of users names nobody, but opt-outs and logouts count (--publisher asks in its name)"
    }
}

/// Where the number does not reach the SSP.
fn kept_tmax(mode: TmaxMode) -> &'static str {
    match mode {
        TmaxMode::Rewrite => "",
        TmaxMode::Keep => " (kept here; the SSP is told what came in)",
    }
}

pub(super) fn found_name(found: Found) -> &'static str {
    match found {
        Found::Key => "its key",
        Found::Match => "match",
        Found::Default => "default = true",
    }
}

/// The configured hints in their order, with what each found, and whether it won.
pub(super) fn hints(explanation: &Explanation) -> Vec<(Hint, String, bool)> {
    let scope = explanation.scope;
    let said = |hint: Hint| match hint {
        Hint::Request if explanation.theirs => format!("an entry of {} is there", scope.source()),
        Hint::Request => format!("no entry of {}", scope.source()),
        Hint::User => match (explanation.user, explanation.users.first()) {
            (Some(place), _) => String::from(place_name(place)),
            (None, Some(place)) => format!("{}, not believed", place_name(*place)),
            (None, None) => String::from("no user id"),
        },
        Hint::IdToken if explanation.claimed[1] => String::from("an ID token, not verified here"),
        Hint::IdToken => String::from("no ID token that counts"),
        Hint::Dii if explanation.claimed[0] => String::from("an e-mail address or phone number"),
        Hint::Dii => String::from("no e-mail address or phone number that counts"),
        Hint::Session if explanation.session => String::from("a session token"),
        Hint::Session => String::from("no session token that counts"),
        Hint::Cookie => String::from(match explanation.browser {
            Some(Brought::Identity) => "a cookie with an identity",
            Some(Brought::OptOut) => "a cookie that says opted out",
            None => "no cookie that counts",
        }),
    };
    let won = |hint: Hint| explanation.decision.source == Some(hint);
    let hints = explanation.publisher.settings.hints.iter();
    hints.map(|hint| (*hint, said(*hint), won(*hint))).collect()
}

fn place_name(place: UserIdFrom) -> &'static str {
    match place {
        UserIdFrom::Header => "header X-Publisher-User-Id",
        UserIdFrom::Ext => "user.ext.publisher_user_id",
        UserIdFrom::UserId => "user.id",
    }
}

/// A verdict in words, with its row and reason.
pub(super) fn verdict((verdict, row): (Verdict, u8)) -> String {
    match verdict {
        Verdict::Inject(_) => format!("row {row}, may be added"),
        Verdict::Pass(reason) => {
            format!("row {row}, {}: nothing is added, what is there stays", reason.as_str())
        }
        Verdict::Strip(what, reason) => {
            format!("row {row}, {}: nothing is added, {} removed", reason.as_str(), strip_name(what))
        }
    }
}

pub(super) fn strip_name(what: StripWhat) -> &'static str {
    match what {
        StripWhat::All => "every EID",
        StripWhat::UidFamily => "EIDs of uidapi.com, euid.eu and adserver.org",
        StripWhat::Uid2Only => "EIDs of uidapi.com",
        StripWhat::EuidOnly => "EIDs of euid.eu",
    }
}

pub(super) fn dialect(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::V25 => "2.5",
        Dialect::V26 => "2.6",
        Dialect::Both => "both",
        Dialect::AsReceived => "as-received",
    }
}

/// Headers by name; what the configuration keeps secret is not shown.
pub(super) fn header_lines(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = |value: &http::HeaderValue| {
        if value.is_sensitive() {
            String::from("[from the configuration]")
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        }
    };
    let mut lines: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str().to_owned(), shown(value))).collect();
    lines.sort();
    lines
}

pub(super) fn marked(mark: &Mark, style: Style) -> String {
    let text = |bytes: &[u8]| style.shown(&String::from_utf8_lossy(bytes)).into_owned();
    match (mark, style) {
        (Mark::Same(bytes), _) => text(bytes),
        (Mark::Removed(bytes), Style::Words) => format!("[-{}-]", text(bytes)),
        (Mark::Added(bytes), Style::Words) => format!("{{+{}+}}", text(bytes)),
        (Mark::Removed(bytes), Style::Colours) => format!("\x1b[31;9m{}\x1b[0m", text(bytes)),
        (Mark::Added(bytes), Style::Colours) => format!("\x1b[32;7m{}\x1b[0m", text(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_act_on_a_terminal() {
        let text = "a\x1b[2J\u{7f}\u{9b}31m\r\n\té";
        assert_eq!(Style::Words.shown(text), text);
        assert_eq!(Style::Colours.shown(text), "a\\u001b[2J\\u007f\\u009b31m\\u000d\n\té");
        let mark = Mark::Added("x\x1b[0m".into());
        assert_eq!(marked(&mark, Style::Colours), "\x1b[32;7mx\\u001b[0m\x1b[0m");
    }
}

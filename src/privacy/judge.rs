//! The decision table: one ordered list, first match wins.
//!
//! Rows carry the numbers under which the policy is documented (openrtb §3.9). Two of them stand later than their number
//! says, so that nothing which withholds is passed over: an undetermined ATT status (row 3) gives way to every strip,
//! and the grant for EUID (row 6) to rows 13–16. Row 7 is what rows 5 and 6 leave.

use super::facts::{Facts, Tcf, gdpr_applies, ssp_allowed};
use super::policy::{Consent, OnDoubt, OnSignal, Policy, Reason, Rules, StripScope, StripWhat, Verdict};
use super::signals::{Regime, Signals};

/// What may be done with a request: the first row that holds decides.
pub fn judge(signals: &Signals<'_>, rules: Rules<'_>, regime: Regime) -> Verdict {
    judge_by_row(signals, rules, regime).0
}

/// As [`judge`], with the number of the row that decided.
pub fn judge_by_row(signals: &Signals<'_>, rules: Rules<'_>, regime: Regime) -> (Verdict, u8) {
    first_match(&Facts::gather(signals, rules, regime), regime, |_| true)
}

/// Whether an identity may be made: as [`judge`], but what only says that *this auction* is in doubt (unknown scope, no
/// country, `dnt`, `test`) does not forbid it. Every auction is judged again by its own signals.
///
/// An EUID is made on consent alone: whoever asks for one says that GDPR applies, unless something says that it does not,
/// and the TC string has to be there and to suffice.
pub fn judge_login(signals: &Signals<'_>, rules: Rules<'_>, regime: Regime) -> Result<Consent, Reason> {
    if regime == Regime::Euid && !Facts::gather(signals, rules, Regime::Uid2).scope_known {
        let under_gdpr = Signals { gdpr: Some(true), ..signals.clone() };
        return judge_stored(&under_gdpr, rules, regime);
    }
    judge_stored(signals, rules, regime)
}

/// Whether an identity that was made may be kept, refreshed and handed to its publisher: as [`judge_login`], but what the
/// user said at login need not be said again.
pub fn judge_stored(signals: &Signals<'_>, rules: Rules<'_>, regime: Regime) -> Result<Consent, Reason> {
    let facts = Facts::gather(signals, rules, regime);
    match first_match(&facts, regime, |row| row.binds_stored) {
        (Verdict::Inject(consent), _) => Ok(consent),
        (Verdict::Pass(Reason::Disabled), 17) if !facts.scope_known => Ok(Consent::granted()),
        (Verdict::Pass(reason) | Verdict::Strip(_, reason), _) => Err(reason),
    }
}

/// Row 6 for one SSP: `verdict` is what the table says of EUID for the whole request, and stays what it is unless this SSP
/// lacks consent for its vendor id or a basis for purpose 2. Then row 7 holds for it: it gets no EUID, ours or theirs. An
/// SSP without a vendor id cannot have consent. Outside GDPR nobody asks for it, and theirs stays.
pub fn judge_leg(verdict: Verdict, signals: &Signals<'_>, rules: Rules<'_>, gvl_id: Option<u16>) -> Verdict {
    let allowed = || gvl_id.is_some_and(|vendor| ssp_allowed(signals, rules.gvl, vendor));
    if matches!(verdict, Verdict::Strip(..)) || !gdpr_applies(signals) || allowed() {
        return verdict;
    }
    Verdict::Strip(unconsented(rules.policy), Reason::TcfPurpose)
}

/// Which identity a request or a login with these signals is about, where a publisher has both: EUID where GDPR applies,
/// UID2 elsewhere. Whether it may be used is another question.
pub fn regime_for(signals: &Signals<'_>) -> Regime {
    if gdpr_applies(signals) { Regime::Euid } else { Regime::Uid2 }
}

/// One row: when it holds, and what it does to either identity.
struct Row {
    number: u8,
    holds: fn(&Facts<'_>) -> bool,
    uid2: Act,
    euid: Act,
    /// Whether the row also forbids to make, store or refresh an identity.
    binds_stored: bool,
}

/// What a row does.
#[derive(Clone, Copy)]
enum Act {
    /// The row says nothing about this identity.
    Next,
    Inject,
    Pass(Reason),
    /// Strips as widely as `strip_scope` says.
    Strip(Reason),
    StripUid2(Reason),
    /// Strips `euid.eu`, or more by `euid_strip_others`.
    StripEuid(Reason),
    /// Strips or passes, as `us_optout` says.
    UsOptOut(Reason),
    /// Passes or strips, as `dnt` says.
    Dnt,
}

use Act::{Dnt, Inject, Next, Pass, Strip, StripEuid, StripUid2, UsOptOut};
use Reason as R;

const fn row(number: u8, holds: fn(&Facts<'_>) -> bool, uid2: Act, euid: Act) -> Row {
    Row { number, holds, uid2, euid, binds_stored: true }
}

/// A row about this auction only.
const fn auction_row(number: u8, holds: fn(&Facts<'_>) -> bool, uid2: Act, euid: Act) -> Row {
    Row { number, holds, uid2, euid, binds_stored: false }
}

#[rustfmt::skip]
static TABLE: [Row; 21] = [
    //          #   condition                                    UID2                     EUID
    row         (1, |f| f.signals.coppa,                         Strip(R::Coppa),         Strip(R::Coppa)),
    row         (2, |f| f.us.gpp.child,                          Strip(R::Child),         Strip(R::Child)),
    row         (3, |f| f.signals.lmt,                           Strip(R::Lmt),           Strip(R::Lmt)),
    row         (3, |f| att(f, 1) || att(f, 2),                  Strip(R::Att),           Strip(R::Att)),
    row         (4, |f| f.gdpr,                                  StripUid2(R::Gdpr),      Next),
    row         (5, |f| f.tcf == Tcf::Missing,                   Next,                    Strip(R::TcfMissing)),
    row         (5, |f| f.tcf == Tcf::Invalid,                   Next,                    Strip(R::TcfInvalid)),
    row         (7, |f| f.tcf == Tcf::Insufficient,              Next,                    StripEuid(R::TcfPurpose)),
    auction_row (8, scope_unknown,                               Pass(R::UnknownScope),   Pass(R::UnknownScope)),
    row         (9, |f| f.us.sale_opt_out,                       UsOptOut(R::UsPrivacy),  Next),
    row        (10, |f| f.us.gpp.opted_out,                      UsOptOut(R::Gpp),        Next),
    row        (11, |f| f.signals.gpc,                           UsOptOut(R::Gpc),        Next),
    row         (3, |f| att(f, 0),                               Pass(R::Att),            Pass(R::Att)),
    row        (12, |f| f.us.gpp.unreadable || f.us.gpp.contradictory, Pass(R::Unparsable),   Next),
    row        (13, |f| f.us.malformed || f.signals.malformed,   Pass(R::Unparsable),     Pass(R::Unparsable)),
    auction_row(14, |f| f.signals.dnt,                           Dnt,                     Dnt),
    row        (15, |f| f.country_refused,                       Pass(R::Disabled),       Pass(R::Disabled)),
    auction_row(15, |f| f.country_unknown,                       Pass(R::Disabled),       Pass(R::Disabled)),
    auction_row(16, test_withheld,                               Pass(R::Test),           Pass(R::Test)),
    row         (6, |f| f.tcf == Tcf::Sufficient,                Next,                    Inject),
    row        (17, |_| true,                                    Inject,                  Pass(R::Disabled)),
];

fn att(facts: &Facts<'_>, status: u8) -> bool {
    facts.signals.ios_app && facts.signals.atts == Some(status)
}

fn scope_unknown(facts: &Facts<'_>) -> bool {
    !facts.scope_known && facts.policy.unknown_scope == OnDoubt::Pass
}

fn test_withheld(facts: &Facts<'_>) -> bool {
    facts.signals.test && facts.policy.test == OnDoubt::Pass
}

fn first_match(facts: &Facts<'_>, regime: Regime, counts: fn(&Row) -> bool) -> (Verdict, u8) {
    for row in TABLE.iter().filter(|row| counts(row) && (row.holds)(facts)) {
        let act = if regime == Regime::Uid2 { row.uid2 } else { row.euid };
        if let Some(verdict) = verdict(act, facts.policy) {
            return (verdict, row.number);
        }
    }
    // The last row always holds; should it ever not, nothing is added.
    (Verdict::Pass(Reason::UnknownScope), 0)
}

fn verdict(act: Act, policy: &Policy) -> Option<Verdict> {
    let wide = wide(policy);
    let by = |on, reason| match on {
        OnSignal::Strip => Verdict::Strip(wide, reason),
        OnSignal::Pass => Verdict::Pass(reason),
    };
    Some(match act {
        Next => return None,
        Inject => Verdict::Inject(Consent::granted()),
        Pass(reason) => Verdict::Pass(reason),
        Strip(reason) => Verdict::Strip(wide, reason),
        StripUid2(reason) => Verdict::Strip(StripWhat::Uid2Only, reason),
        StripEuid(reason) => Verdict::Strip(unconsented(policy), reason),
        UsOptOut(reason) => by(policy.us_optout, reason),
        Dnt => by(policy.dnt, Reason::Dnt),
    })
}

/// What a strip of everybody's entries takes away.
fn wide(policy: &Policy) -> StripWhat {
    match policy.strip_scope {
        StripScope::All => StripWhat::All,
        StripScope::Uid => StripWhat::UidFamily,
    }
}

/// What goes where consent for an EUID is lacking.
fn unconsented(policy: &Policy) -> StripWhat {
    if policy.euid_strip_others { wide(policy) } else { StripWhat::EuidOnly }
}

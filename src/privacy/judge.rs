//! The decision table: one ordered list, first match wins.
//!
//! Rows carry the numbers under which the policy is documented (openrtb §3.9). Two of them stand later than their number
//! says, so that nothing which withholds is passed over: an undetermined ATT status (row 3) gives way to every strip,
//! and the grant for EUID (row 6) to rows 13–16. Row 7 is what rows 5 and 6 leave.

use super::facts::{Facts, Tcf, ssp_allowed};
use super::policy::{Consent, OnDoubt, OnSignal, Policy, Reason, StripScope, StripWhat, Verdict};
use super::signals::{Regime, Signals};

/// What may be done with a request: the first row that holds decides.
pub fn judge(signals: &Signals<'_>, policy: &Policy, regime: Regime) -> Verdict {
    judge_by_row(signals, policy, regime).0
}

/// As [`judge`], with the number of the row that decided.
pub fn judge_by_row(signals: &Signals<'_>, policy: &Policy, regime: Regime) -> (Verdict, u8) {
    first_match(&Facts::gather(signals, policy, regime), regime, |_| true)
}

/// Whether an identity may be made, stored or refreshed: as [`judge`], but what only says that *this auction* is in doubt
/// (unknown scope, no country, `dnt`, `test`) does not forbid it. Every auction is judged again by its own signals.
pub fn judge_stored(signals: &Signals<'_>, policy: &Policy, regime: Regime) -> Result<Consent, Reason> {
    let facts = Facts::gather(signals, policy, regime);
    if regime == Regime::Euid && !facts.scope_known && facts.tcf_given {
        // Whoever sends a TC string with an EUID says that GDPR applies; it has to suffice.
        let under_gdpr = Signals { gdpr: Some(true), ..signals.clone() };
        return judge_stored(&under_gdpr, policy, regime);
    }
    match first_match(&facts, regime, |row| row.binds_stored) {
        (Verdict::Inject(consent), _) => Ok(consent),
        (Verdict::Pass(Reason::Disabled), 17) if !facts.scope_known => Ok(Consent::granted()),
        (Verdict::Pass(reason) | Verdict::Strip(_, reason), _) => Err(reason),
    }
}

/// Row 6 for one SSP: an EUID may go to it only when the user consented to that vendor too and purpose 2 has a basis. An
/// SSP without a vendor id gets none. Verdicts other than `Inject`, and UID2, are as they were.
pub fn judge_leg(
    verdict: Verdict,
    signals: &Signals<'_>,
    policy: &Policy,
    regime: Regime,
    gvl_id: Option<u16>,
) -> Verdict {
    match (verdict, regime) {
        (Verdict::Inject(_), Regime::Euid)
            if !gvl_id.is_some_and(|vendor| ssp_allowed(signals, &policy.gvl, vendor)) =>
        {
            Verdict::Pass(Reason::TcfPurpose)
        }
        _ => verdict,
    }
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
    row        (12, |f| f.us.unreadable || f.us.gpp.contradictory, Pass(R::Unparsable),   Next),
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
    let wide = match policy.strip_scope {
        StripScope::All => StripWhat::All,
        StripScope::Uid => StripWhat::UidFamily,
    };
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
        StripEuid(reason) if policy.euid_strip_others => Verdict::Strip(wide, reason),
        StripEuid(reason) => Verdict::Strip(StripWhat::EuidOnly, reason),
        UsOptOut(reason) => by(policy.us_optout, reason),
        Dnt => by(policy.dnt, Reason::Dnt),
    })
}

//! What the gateway's operator may choose, and what a judgement can be.

use super::country::Alpha3;
use super::gvl::Gvl;

/// `[privacy]` of the configuration. The default is the first choice of every key.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What a strip takes away.
    pub strip_scope: StripScope,
    /// What a US opt-out (US Privacy, GPP, GPC) does.
    pub us_optout: OnSignal,
    /// What `device.dnt` does.
    pub dnt: OnSignal,
    /// Whether to inject when nothing says which law applies.
    pub unknown_scope: OnDoubt,
    /// Whether to inject into test auctions.
    pub test: OnDoubt,
    /// EUID without consent: strip everyone's entries rather than `euid.eu` alone.
    pub euid_strip_others: bool,
    /// Countries an identity may go to; empty means all.
    pub countries: Vec<Alpha3>,
    /// Whether `Sec-GPC: 1` is written into `regs.ext.gpc` of a request that does not have it. It decides nothing here:
    /// the header itself is a signal already.
    pub fill_gpc: bool,
}

/// What a judgement goes by besides the signals. The vendor list is apart from the policy because it changes while the
/// gateway runs.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// What the gateway's operator chose.
    pub policy: &'a Policy,
    /// What vendors declare now.
    pub gvl: &'a Gvl,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            strip_scope: StripScope::All,
            us_optout: OnSignal::Strip,
            dnt: OnSignal::Pass,
            unknown_scope: OnDoubt::Pass,
            test: OnDoubt::Pass,
            euid_strip_others: false,
            countries: Vec::new(),
            fill_gpc: true,
        }
    }
}

/// What a strip takes away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StripScope {
    /// Every EID.
    All,
    /// The entries of the UID2 family only.
    Uid,
}

/// What a signal against identity does to the entries that are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnSignal {
    /// They go.
    Strip,
    /// They stay; nothing is added.
    Pass,
}

/// What a doubt does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnDoubt {
    /// Nothing is added.
    Pass,
    /// The doubt does not count.
    Inject,
}

/// Leave to resolve an identity and send it. Only a judgement of this module makes one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Consent(());

impl Consent {
    pub(super) const fn granted() -> Self {
        Self(())
    }
}

/// What may be done with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Add ours, keep theirs.
    Inject(Consent),
    /// Add nothing, keep theirs.
    Pass(Reason),
    /// Add nothing, remove theirs in both places.
    Strip(StripWhat, Reason),
}

/// Which entries a strip removes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StripWhat {
    /// Every EID.
    All,
    /// `uidapi.com`, `euid.eu`, `adserver.org`.
    UidFamily,
    /// `uidapi.com`.
    Uid2Only,
    /// `euid.eu`.
    EuidOnly,
}

/// Why nothing is added: a metric label.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// Directed at children (COPPA).
    Coppa,
    /// A US section knows the user as a child.
    Child,
    /// Limit ad tracking.
    Lmt,
    /// iOS app tracking transparency.
    Att,
    /// UID2 where GDPR applies.
    Gdpr,
    /// GDPR applies and there is no TC string.
    TcfMissing,
    /// GDPR applies and a TC string cannot be relied on.
    TcfInvalid,
    /// The TC string does not allow it.
    TcfPurpose,
    /// Opted out by a US Privacy string.
    UsPrivacy,
    /// Opted out by a US section of GPP.
    Gpp,
    /// Global Privacy Control.
    Gpc,
    /// Nothing says which law applies.
    UnknownScope,
    /// A signal that is there but cannot be understood.
    Unparsable,
    /// Do not track.
    Dnt,
    /// A test auction.
    Test,
    /// Not enabled for this country.
    Disabled,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 16] = [
        Self::Coppa,
        Self::Child,
        Self::Lmt,
        Self::Att,
        Self::Gdpr,
        Self::TcfMissing,
        Self::TcfInvalid,
        Self::TcfPurpose,
        Self::UsPrivacy,
        Self::Gpp,
        Self::Gpc,
        Self::UnknownScope,
        Self::Unparsable,
        Self::Dnt,
        Self::Test,
        Self::Disabled,
    ];

    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Coppa => "coppa",
            Self::Child => "child",
            Self::Lmt => "lmt",
            Self::Att => "att",
            Self::Gdpr => "gdpr",
            Self::TcfMissing => "tcf_missing",
            Self::TcfInvalid => "tcf_invalid",
            Self::TcfPurpose => "tcf_purpose",
            Self::UsPrivacy => "us_privacy",
            Self::Gpp => "gpp",
            Self::Gpc => "gpc",
            Self::UnknownScope => "unknown_scope",
            Self::Unparsable => "unparsable",
            Self::Dnt => "dnt",
            Self::Test => "test",
            Self::Disabled => "disabled",
        }
    }
}

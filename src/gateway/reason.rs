//! What an identity can come to, and why: closed lists, each pair a metric label.

use crate::identity::Absence;
use crate::privacy;

/// `result` of the identity metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResultLabel {
    /// Ours was added.
    Injected,
    /// Ours took the place of theirs.
    Replaced,
    /// Theirs stayed.
    Kept,
    /// Nothing was added.
    Absent,
    /// Nothing may be sent; what was there is removed.
    Denied,
}

impl ResultLabel {
    /// Every label, in metric order.
    pub const ALL: [Self; 5] = [Self::Injected, Self::Replaced, Self::Kept, Self::Absent, Self::Denied];

    /// An identifier of the user leaves.
    pub(super) fn sends(self) -> bool {
        matches!(self, Self::Injected | Self::Replaced | Self::Kept)
    }

    /// The label's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Replaced => "replaced",
            Self::Kept => "kept",
            Self::Absent => "absent",
            Self::Denied => "denied",
        }
    }
}

macro_rules! reasons {
    ($($variant:ident $text:literal $($result:ident)+;)+) => {
        /// `reason` of `identity_reason_total`: a closed list, each with the results it explains.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[expect(missing_docs, reason = "the texts are the documentation; the contract lists them")]
        pub enum Reason { $($variant),+ }

        impl Reason {
            /// Every reason, in metric order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label's text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Whether the pair can happen.
            pub fn belongs_to(self, result: ResultLabel) -> bool {
                match self { $(Self::$variant => [$(ResultLabel::$result),+].contains(&result)),+ }
            }
        }
    };
}

reasons! {
    Fresh "fresh" Injected Replaced;
    Due "due" Injected Replaced;
    Refreshed "refreshed" Injected Replaced;
    Generated "generated" Injected Replaced;
    Theirs "theirs" Kept;
    NoHint "no_hint" Absent;
    UnknownUser "unknown_user" Absent;
    Lapsed "lapsed" Absent;
    Dead "dead" Absent;
    Wait "wait" Absent;
    Operator "operator" Absent;
    Store "store" Absent;
    Busy "busy" Absent;
    DiiInvalid "dii_invalid" Absent;
    Environment "environment" Absent;
    Holdout "holdout" Absent;
    UnknownScope "unknown_scope" Absent;
    Unparsable "unparsable" Absent;
    Dnt "dnt" Absent Denied;
    Test "test" Absent;
    Disabled "disabled" Absent;
    WrongType "wrong_type" Absent;
    Coppa "coppa" Denied;
    Child "child" Denied;
    Lmt "lmt" Denied;
    Att "att" Absent Denied;
    Gdpr "gdpr" Denied;
    TcfMissing "tcf_missing" Denied;
    TcfInvalid "tcf_invalid" Denied;
    TcfPurpose "tcf_purpose" Denied;
    UsPrivacy "us_privacy" Absent Denied;
    Gpp "gpp" Absent Denied;
    Gpc "gpc" Absent Denied;
    Optout "optout" Denied;
    LoggedOut "logged_out" Denied;
    Notice "notice" Denied;
}

pub(super) fn reason_of_absence(absence: Absence) -> Reason {
    match absence {
        Absence::NoHint => Reason::NoHint,
        Absence::UnknownUser => Reason::UnknownUser,
        Absence::Lapsed => Reason::Lapsed,
        Absence::Dead => Reason::Dead,
        Absence::Wait => Reason::Wait,
        Absence::Operator => Reason::Operator,
        Absence::Store => Reason::Store,
        Absence::Busy => Reason::Busy,
        Absence::Environment => Reason::Environment,
        Absence::DiiInvalid => Reason::DiiInvalid,
    }
}

/// The label of a privacy reason, for answers that name one.
pub fn denial_label(reason: privacy::Reason) -> &'static str {
    reason_of(reason).as_str()
}

/// The metric reason of a privacy reason.
pub(super) fn reason_of(reason: privacy::Reason) -> Reason {
    use crate::privacy::Reason as P;
    match reason {
        P::Coppa => Reason::Coppa,
        P::Child => Reason::Child,
        P::Lmt => Reason::Lmt,
        P::Att => Reason::Att,
        P::Gdpr => Reason::Gdpr,
        P::TcfMissing => Reason::TcfMissing,
        P::TcfInvalid => Reason::TcfInvalid,
        P::TcfPurpose => Reason::TcfPurpose,
        P::UsPrivacy => Reason::UsPrivacy,
        P::Gpp => Reason::Gpp,
        P::Gpc => Reason::Gpc,
        P::UnknownScope => Reason::UnknownScope,
        P::Unparsable => Reason::Unparsable,
        P::Dnt => Reason::Dnt,
        P::Test => Reason::Test,
        P::Disabled => Reason::Disabled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_explains_a_result() {
        for reason in Reason::ALL {
            assert!(ResultLabel::ALL.iter().any(|result| reason.belongs_to(*result)), "{}", reason.as_str());
        }
    }
}

//! What findings and changes are called.

use super::content::{Change, Finding};

impl Finding {
    /// For people.
    pub const fn says(self) -> &'static str {
        match self {
            Self::TokenMissing => "token missing",
            Self::TokenUnexpected => "token where none may be",
            Self::TokenPlace => "token in the wrong place",
            Self::TokenMalformed => "malformed token entry",
            Self::BothScopes => "UID2 and EUID together",
            Self::RawUid => "raw UID2 instead of a token",
            Self::Dii => "e-mail, phone or hash of one",
            Self::HintLeft => "hint left in the body",
            Self::HeaderLeft => "private header passed on",
            Self::TmaxRaised => "tmax raised",
            Self::EidLost => "EID lost",
            Self::EidAdded => "foreign EID",
            Self::EidChanged => "EID changed",
            Self::EidOrder => "EIDs in another order",
            Self::Changed => "value changed",
            Self::Added => "member added",
            Self::Removed => "member removed",
            Self::Reordered => "members in another order",
            Self::Spacing => "white space changed",
            Self::Unreadable => "not readable as JSON",
            Self::Lost => "request lost, though answered with a bid",
            Self::Doubled => "request arrived twice",
        }
    }

    /// For programs.
    pub const fn key(self) -> &'static str {
        match self {
            Self::TokenMissing => "token_missing",
            Self::TokenUnexpected => "token_unexpected",
            Self::TokenPlace => "token_place",
            Self::TokenMalformed => "token_malformed",
            Self::BothScopes => "both_scopes",
            Self::RawUid => "raw_uid",
            Self::Dii => "dii",
            Self::HintLeft => "hint_left",
            Self::HeaderLeft => "header_left",
            Self::TmaxRaised => "tmax_raised",
            Self::EidLost => "eid_lost",
            Self::EidAdded => "eid_added",
            Self::EidChanged => "eid_changed",
            Self::EidOrder => "eid_order",
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Reordered => "reordered",
            Self::Spacing => "spacing",
            Self::Unreadable => "unreadable",
            Self::Lost => "lost",
            Self::Doubled => "doubled",
        }
    }
}

impl Change {
    /// For people.
    pub const fn says(self) -> &'static str {
        match self {
            Self::TokenAdded => "token added",
            Self::TokenReplaced => "token replaced",
            Self::TmaxLowered => "tmax lowered",
            Self::HintRemoved => "hint removed",
            Self::DiiCut => "DII removed",
            Self::EidsMoved => "EIDs regrouped",
            Self::EidsStripped => "EIDs stripped for privacy",
            Self::EidsHeldBack => "EIDs held back by permission",
            Self::GpcFilled => "GPC filled in",
            Self::Allowed => "allowed by flag",
        }
    }

    /// For programs.
    pub const fn key(self) -> &'static str {
        match self {
            Self::TokenAdded => "token_added",
            Self::TokenReplaced => "token_replaced",
            Self::TmaxLowered => "tmax_lowered",
            Self::HintRemoved => "hint_removed",
            Self::DiiCut => "dii_cut",
            Self::EidsMoved => "eids_moved",
            Self::EidsStripped => "eids_stripped",
            Self::EidsHeldBack => "eids_held_back",
            Self::GpcFilled => "gpc_filled",
            Self::Allowed => "allowed",
        }
    }
}

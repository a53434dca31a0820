//! A small static part of the IAB Global Vendor List: what the vendors we depend on declare.

/// Vendor id of The Trade Desk, under which both UID2 and EUID are operated; neither has an id of its own.
pub const TRADE_DESK: u16 = 21;

/// A set of TCF purposes 1–24.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Purposes(u32);

impl Purposes {
    /// The set of the purposes listed.
    pub const fn of(list: &[u8]) -> Self {
        let (mut set, mut rest) = (0, list);
        while let [purpose, tail @ ..] = rest {
            set |= 1 << *purpose;
            rest = tail;
        }
        Self(set)
    }

    /// Whether the purpose is in the set.
    pub const fn has(self, purpose: u8) -> bool {
        purpose < 25 && self.0 & (1 << purpose) != 0
    }
}

/// What a vendor declares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Declared {
    /// Purposes on consent.
    pub consent: Purposes,
    /// Purposes on legitimate interest.
    pub interest: Purposes,
    /// Purposes for which a publisher may demand the other basis.
    pub flexible: Purposes,
}

/// The vendors known here. A vendor that is not on the list, or whose purposes are not, may use either basis the user gave.
#[derive(Clone, Copy, Debug)]
pub struct Gvl(&'static [(u16, Option<Declared>)]);

impl Gvl {
    /// What the vendor declares, when it is known.
    pub fn declared(&self, vendor: u16) -> Option<Declared> {
        self.0.iter().find(|(id, _)| *id == vendor).and_then(|(_, declared)| *declared)
    }
}

impl Default for Gvl {
    fn default() -> Self {
        Self(VENDORS)
    }
}

/// The Trade Desk as registered in 2026-08. The SSPs' ids are from Prebid Server's bidder files, which do not say what they declare.
const VENDORS: &[(u16, Option<Declared>)] = &[
    (
        TRADE_DESK,
        Some(Declared {
            consent: Purposes::of(&[1, 3, 4]),
            interest: Purposes::of(&[2, 7, 10]),
            flexible: Purposes::of(&[2, 7, 10]),
        }),
    ),
    (10, None), // Index Exchange
    (28, None), // TripleLift
    (32, None), // Xandr
    (52, None), // Magnite
    (69, None), // OpenX
    (76, None), // PubMatic
];

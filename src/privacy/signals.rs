//! What a request says about privacy, in every place it can say it.

use std::borrow::Cow;

/// Text in up to two places (the 2.6 one and the `ext` one); both are always judged and the stricter decides.
pub type Places<'a> = [Option<Cow<'a, str>>; 2];

/// All privacy signals of one request, or of one login. The default says nothing.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a signal of its own in the request")]
pub struct Signals<'a> {
    /// `regs.coppa`: directed at children.
    pub coppa: bool,
    /// `regs.gdpr`, `regs.ext.gdpr`: true when any place says 1, false when one says 0 and none says 1.
    pub gdpr: Option<bool>,
    /// `user.consent`, `user.ext.consent`.
    pub tc_strings: Places<'a>,
    /// `regs.us_privacy`, `regs.ext.us_privacy`.
    pub us_privacy: Places<'a>,
    /// `regs.gpp`, `regs.ext.gpp`.
    pub gpp: Places<'a>,
    /// `regs.gpp_sid`, `regs.ext.gpp_sid`. Ids below 1 mean "none applies" and count as not said.
    pub gpp_sid: [&'a [i32]; 2],
    /// `Sec-GPC: 1` or `regs.ext.gpc`.
    pub gpc: bool,
    /// `device.lmt`.
    pub lmt: bool,
    /// `device.dnt`.
    pub dnt: bool,
    /// `device.ext.atts`: 0 not determined, 1 restricted, 2 denied, 3 authorised.
    pub atts: Option<u8>,
    /// The request is from an app on iOS: only there `atts` means something.
    pub ios_app: bool,
    /// `device.geo.country`, `user.geo.country`: alpha-3, or alpha-2.
    pub countries: Places<'a>,
    /// `test`: the auction is a test.
    pub test: bool,
    /// A privacy member was there but of a type nobody can read.
    pub malformed: bool,
}

/// Which of the two identities is judged. They exclude each other: one outside GDPR, one inside it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Regime {
    /// UID2: never where GDPR applies.
    Uid2,
    /// EUID: only where GDPR applies, on consent.
    Euid,
}

//! Privacy signals as the request states them, from every place they may stand in. What they mean is not decided here.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::error::ScanError;
use super::scan::{Kind, Scanner, Value};
use super::text::Text;

/// Different section ids that a `gpp_sid` may hold. There are 27; a list of more is malformed, and the rest of it is not kept.
const MAX_SECTION_IDS: usize = 64;

/// Section ids as a request lists them.
pub(super) type SectionIds = SmallVec<[i32; 4]>;

/// Privacy signals of a request. Of two places, the first is the OpenRTB 2.6 one, the second that under `ext`.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the protocol")]
pub struct RawSignals {
    /// `regs.coppa` or `regs.ext.coppa` is set.
    pub coppa: bool,
    /// `regs.gdpr`, `regs.ext.gdpr`.
    pub gdpr: [Option<bool>; 2],
    /// TC strings: `user.consent`, `user.ext.consent`.
    pub consent: [Option<Text>; 2],
    /// `regs.us_privacy`, `regs.ext.us_privacy`.
    pub us_privacy: [Option<Text>; 2],
    /// `regs.gpp`, `regs.ext.gpp`.
    pub gpp: [Option<Text>; 2],
    /// Section ids of `regs.gpp_sid`, `regs.ext.gpp_sid`: each once, at most 64 a list.
    pub gpp_sid: [SectionIds; 2],
    /// `regs.ext.gpc` is set.
    pub gpc: bool,
    /// `device.lmt` is set.
    pub lmt: bool,
    /// `device.dnt` is set.
    pub dnt: bool,
    /// `device.ext.atts`.
    pub atts: Option<u8>,
    /// `device.os` is iOS.
    pub ios: bool,
    /// The request has an `app`.
    pub is_app: bool,
    /// `device.geo.country`, `user.geo.country`.
    pub countries: [Option<Text>; 2],
    /// A privacy member is there, but of a type that tells us nothing.
    pub malformed: bool,
}

impl RawSignals {
    /// A flag: `1`, `true`, `"1"` and `"true"` are set, `0`, `false`, `"0"` and `"false"` are not; null is absent.
    pub(super) fn flag(&mut self, scanner: &mut Scanner<'_>) -> Result<Option<bool>, ScanError> {
        self.flag_at(scanner).map(|(_, flag)| flag)
    }

    /// A flag with the value that it was read from.
    pub(super) fn flag_at(&mut self, scanner: &mut Scanner<'_>) -> Result<(Value, Option<bool>), ScanError> {
        let value = scanner.value()?;
        let flag = flag_of(scanner, value);
        self.malformed |= flag == Flag::Unusable;
        Ok((value, flag.said()))
    }

    /// A string; null is absent.
    pub(super) fn text(&mut self, scanner: &mut Scanner<'_>) -> Result<Option<Text>, ScanError> {
        let value = scanner.value()?;
        let text = value.text();
        self.malformed |= text.is_none() && value.kind != Kind::Null;
        Ok(text)
    }

    /// A small number, as such or as a string; null is absent.
    pub(super) fn small(&mut self, scanner: &mut Scanner<'_>) -> Result<Option<u8>, ScanError> {
        let value = scanner.value()?;
        let number = scalar(scanner, value).and_then(|text| text.parse().ok());
        self.malformed |= number.is_none() && value.kind != Kind::Null;
        Ok(number)
    }

    /// A list of section ids; null is absent.
    pub(super) fn sections(&mut self, scanner: &mut Scanner<'_>) -> Result<SectionIds, ScanError> {
        match scanner.kind()? {
            Kind::Array => {}
            kind => {
                self.malformed |= kind != Kind::Null;
                return scanner.value().map(|_| SectionIds::new());
            }
        }
        let mut ids = SectionIds::new();
        let mut array = scanner.array()?;
        while scanner.next_element(&mut array)? {
            let value = scanner.value()?;
            match scalar(scanner, value).and_then(|text| text.parse().ok()) {
                Some(id) if ids.contains(&id) => {}
                Some(id) if ids.len() < MAX_SECTION_IDS => ids.push(id),
                Some(_) | None => self.malformed = true,
            }
        }
        Ok(ids)
    }
}

/// A flag as written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flag {
    Absent,
    Said(bool),
    Unusable,
}

impl Flag {
    pub(super) fn said(self) -> Option<bool> {
        match self {
            Self::Said(said) => Some(said),
            Self::Absent | Self::Unusable => None,
        }
    }
}

/// Reads a flag in any of the forms found in the wild; numbers by value, so that `1.0` is set.
pub(super) fn flag(scanner: &mut Scanner<'_>) -> Result<Flag, ScanError> {
    let value = scanner.value()?;
    Ok(flag_of(scanner, value))
}

fn flag_of(scanner: &Scanner<'_>, value: Value) -> Flag {
    if value.kind == Kind::Null {
        return Flag::Absent;
    }
    let said = match scalar(scanner, value).as_deref() {
        Some("1" | "true") => Some(true),
        Some("0" | "false") => Some(false),
        Some(number) if value.kind == Kind::Number => number.parse::<f64>().ok().and_then(zero_or_one),
        _ => None,
    };
    said.map_or(Flag::Unusable, Flag::Said)
}

fn zero_or_one(number: f64) -> Option<bool> {
    if number == 0.0 {
        return Some(false);
    }
    ((number - 1.0).abs() < f64::EPSILON).then_some(true)
}

/// The text of a scalar, without quotes and escapes; `None` for containers and null.
fn scalar<'a>(scanner: &Scanner<'a>, value: Value) -> Option<Cow<'a, str>> {
    match value.kind {
        Kind::String => value.text().map(|text| text.decode(scanner.text())),
        Kind::Number | Kind::Bool => std::str::from_utf8(scanner.bytes(value.span)).ok().map(Cow::Borrowed),
        Kind::Null | Kind::Array | Kind::Object => None,
    }
}

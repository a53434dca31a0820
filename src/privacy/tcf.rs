//! TCF v2 strings (TC strings): who consented to what, for which vendors.
//!
//! Only a handful of bits are ever asked for, so vendor lists are scanned where they stand and never turned into sets:
//! constant memory, and time linear in the text for each question. Parsing walks every section once, so that a string
//! which is cut off or lies about its lengths is refused as a whole.

use super::bits::{Bits, MAX_TEXT};

/// Why a TC string is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TcfError {
    /// Longer than the limit.
    #[error("longer than {MAX_TEXT} bytes")]
    TooLong,
    /// A character outside base64url.
    #[error("a character is outside the base64url alphabet")]
    Alphabet,
    /// A section ends before its own count says so.
    #[error("cut off")]
    Truncated,
    /// Not version 2.
    #[error("not a version 2 string")]
    Version,
    /// A vendor range that starts at 0, runs backwards or leaves its list.
    #[error("an impossible vendor range")]
    Range,
    /// The same optional segment twice.
    #[error("a segment is there twice")]
    Segment,
    /// Not service-specific: the global scope was withdrawn in 2021.
    #[error("global scope, withdrawn in 2021")]
    GlobalScope,
    /// Made after 2023-09-30 under a policy older than version 4.
    #[error("policy version below 4 in a string made after 2023-09-30")]
    Policy,
    /// Updated on or after 2026-03-01 without the disclosed vendors that TCF 2.3 demands.
    #[error("no disclosed vendors, mandatory since 2026-03-01")]
    Undisclosed,
}

/// A TC string whose structure is sound. Whether it may be relied on is [`TcString::check_validity`].
#[derive(Clone, Copy, Debug)]
pub struct TcString<'a> {
    core: Bits<'a>,
    consents: VendorList<'a>,
    interests: VendorList<'a>,
    restrictions: Restrictions<'a>,
    disclosed: Option<VendorList<'a>>,
}

/// What a publisher laid down for one purpose and vendor; several may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Restriction {
    /// The purpose is forbidden.
    pub forbidden: bool,
    /// Only consent is a basis.
    pub consent_only: bool,
    /// Only legitimate interest is a basis.
    pub interest_only: bool,
}

impl<'a> TcString<'a> {
    /// Reads the structure of `text`: every section is walked to its end.
    pub fn parse(text: &'a str) -> Result<Self, TcfError> {
        if text.len() > MAX_TEXT {
            return Err(TcfError::TooLong);
        }
        let mut segments = text.split('.');
        let core = Bits::new(segments.next().unwrap_or_default()).ok_or(TcfError::Alphabet)?;
        if core.peek(0, 6).ok_or(TcfError::Truncated)? != 2 {
            return Err(TcfError::Version);
        }
        let mut cursor = core.at(MAX_VENDOR_ID);
        let consents = VendorList::read(&mut cursor)?;
        let interests = VendorList::read(&mut cursor)?;
        let restrictions = Restrictions::read(&mut cursor)?;
        let disclosed = disclosed_vendors(segments)?;
        Ok(Self { core, consents, interests, restrictions, disclosed })
    }

    /// The rules that came with later policy versions and dates.
    pub fn check_validity(&self) -> Result<(), TcfError> {
        if self.field(SERVICE_SPECIFIC, 1) != 1 {
            return Err(TcfError::GlobalScope);
        }
        if self.created() >= OCTOBER_2023 && self.field(POLICY_VERSION, 6) < 4 {
            return Err(TcfError::Policy);
        }
        if self.last_updated() >= MARCH_2026 && self.disclosed.is_none() {
            return Err(TcfError::Undisclosed);
        }
        Ok(())
    }

    /// When the string was first made, deciseconds since 1970.
    pub fn created(&self) -> u64 {
        self.field(6, 36)
    }

    /// When the string was last changed, deciseconds since 1970.
    pub fn last_updated(&self) -> u64 {
        self.field(42, 36)
    }

    /// Consent to purpose 1–24.
    pub fn purpose_consent(&self, purpose: u8) -> bool {
        self.purpose_bit(PURPOSE_CONSENTS, purpose)
    }

    /// Legitimate interest established for purpose 1–24.
    pub fn purpose_interest(&self, purpose: u8) -> bool {
        self.purpose_bit(PURPOSE_INTERESTS, purpose)
    }

    /// Consent for a vendor.
    pub fn vendor_consent(&self, vendor: u16) -> bool {
        self.consents.holds(vendor)
    }

    /// Legitimate interest established for a vendor.
    pub fn vendor_interest(&self, vendor: u16) -> bool {
        self.interests.holds(vendor)
    }

    /// Whether the user was shown this vendor; `None` when the string does not say.
    pub fn disclosed(&self, vendor: u16) -> Option<bool> {
        self.disclosed.map(|list| list.holds(vendor))
    }

    /// What the publisher laid down for a purpose and vendor, over all entries.
    pub fn restriction(&self, purpose: u8, vendor: u16) -> Restriction {
        self.restrictions.of(purpose, vendor)
    }

    fn purpose_bit(&self, base: usize, purpose: u8) -> bool {
        matches!(purpose, 1..=24) && self.field(base + usize::from(purpose) - 1, 1) == 1
    }

    /// A field of the fixed part; `parse` has read past all of it, so the 0 of a lack is never used.
    fn field(&self, at: usize, count: usize) -> u64 {
        self.core.peek(at, count).unwrap_or(0)
    }
}

/// One list of vendor ids: a bit a vendor, or ranges.
#[derive(Clone, Copy, Debug)]
struct VendorList<'a> {
    /// First bit or first range entry.
    start: Bits<'a>,
    max: u16,
    /// Number of range entries; `None` for a bit field.
    ranges: Option<u16>,
}

impl<'a> VendorList<'a> {
    fn read(cursor: &mut Bits<'a>) -> Result<Self, TcfError> {
        let max = cursor.take_u16(16).ok_or(TcfError::Truncated)?;
        let is_range = cursor.flag().ok_or(TcfError::Truncated)?;
        if !is_range {
            let start = *cursor;
            cursor.skip(usize::from(max)).ok_or(TcfError::Truncated)?;
            return Ok(Self { start, max, ranges: None });
        }
        let count = cursor.take_u16(12).ok_or(TcfError::Truncated)?;
        let start = *cursor;
        for _ in 0..count {
            if read_range(cursor)?.1 > max {
                return Err(TcfError::Range);
            }
        }
        Ok(Self { start, max, ranges: Some(count) })
    }

    fn holds(&self, vendor: u16) -> bool {
        if vendor == 0 || vendor > self.max {
            return false;
        }
        match self.ranges {
            None => self.start.peek(self.start.position() + usize::from(vendor) - 1, 1) == Some(1),
            Some(count) => {
                let mut cursor = self.start;
                (0..count).map_while(|_| read_range(&mut cursor).ok()).any(|(a, b)| (a..=b).contains(&vendor))
            }
        }
    }
}

/// The publisher restrictions, as they stand.
#[derive(Clone, Copy, Debug)]
struct Restrictions<'a> {
    start: Bits<'a>,
    count: u16,
}

impl<'a> Restrictions<'a> {
    fn read(cursor: &mut Bits<'a>) -> Result<Self, TcfError> {
        let count = cursor.take_u16(12).ok_or(TcfError::Truncated)?;
        let start = *cursor;
        for _ in 0..count {
            cursor.skip(8).ok_or(TcfError::Truncated)?;
            let ranges = cursor.take_u16(12).ok_or(TcfError::Truncated)?;
            for _ in 0..ranges {
                read_range(cursor)?;
            }
        }
        Ok(Self { start, count })
    }

    fn of(&self, purpose: u8, vendor: u16) -> Restriction {
        let mut found = Restriction::default();
        let mut cursor = self.start;
        for _ in 0..self.count {
            let (Some(of_purpose), Some(kind), Some(ranges)) =
                (cursor.take(6), cursor.take(2), cursor.take_u16(12))
            else {
                break;
            };
            let named = ranges_hold(&mut cursor, ranges, vendor) && of_purpose == u64::from(purpose);
            match kind {
                0 => found.forbidden |= named,
                1 => found.consent_only |= named,
                2 => found.interest_only |= named,
                _ => {}
            }
        }
        found
    }
}

/// Whether one of the next `count` range entries holds `vendor`; the cursor ends behind them all.
fn ranges_hold(cursor: &mut Bits<'_>, count: u16, vendor: u16) -> bool {
    let mut held = false;
    for _ in 0..count {
        let Ok((start, end)) = read_range(cursor) else { return held };
        held |= (start..=end).contains(&vendor);
    }
    held
}

fn read_range(cursor: &mut Bits<'_>) -> Result<(u16, u16), TcfError> {
    let is_range = cursor.flag().ok_or(TcfError::Truncated)?;
    let start = cursor.take_u16(16).ok_or(TcfError::Truncated)?;
    let end = if is_range { cursor.take_u16(16).ok_or(TcfError::Truncated)? } else { start };
    if start == 0 || end < start { Err(TcfError::Range) } else { Ok((start, end)) }
}

/// Looks for the disclosed vendors among the optional segments, which come in any order.
fn disclosed_vendors<'a>(
    segments: impl Iterator<Item = &'a str>,
) -> Result<Option<VendorList<'a>>, TcfError> {
    let mut disclosed = None;
    for segment in segments {
        let mut bits = Bits::new(segment).ok_or(TcfError::Alphabet)?;
        if bits.take(3).ok_or(TcfError::Truncated)? != DISCLOSED_VENDORS {
            continue;
        }
        if disclosed.replace(VendorList::read(&mut bits)?).is_some() {
            return Err(TcfError::Segment);
        }
    }
    Ok(disclosed)
}

// Offsets in bits from the start of the core segment.
const POLICY_VERSION: usize = 132;
const SERVICE_SPECIFIC: usize = 138;
const PURPOSE_CONSENTS: usize = 152;
const PURPOSE_INTERESTS: usize = 176;
const MAX_VENDOR_ID: usize = 213;
/// Type of the optional segment with the vendors shown to the user.
const DISCLOSED_VENDORS: u64 = 1;
/// 2023-10-01T00:00Z in deciseconds.
const OCTOBER_2023: u64 = 16_961_184_000;
/// 2026-03-01T00:00Z in deciseconds.
const MARCH_2026: u64 = 17_723_232_000;

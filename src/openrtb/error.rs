//! Why a body is not a bid request we can handle: member, byte offset, reason.

use std::fmt;

/// A refusal of the scan (HTTP 400).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub struct ScanError {
    /// The innermost member we know by name (`user.ext.eids`); empty at the top level.
    pub member: &'static str,
    /// Byte offset into the body.
    pub offset: usize,
    /// What is wrong there.
    pub reason: ScanReason,
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.member.is_empty() {
            write!(f, "{}: ", self.member)?;
        }
        write!(f, "{} at byte {}", self.reason.as_str(), self.offset)
    }
}

/// What is wrong at the offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScanReason {
    /// The text ends inside a value.
    UnexpectedEnd,
    /// No value, comma, colon or bracket where one has to be.
    UnexpectedByte,
    /// Not UTF-8.
    Utf8,
    /// Not a number of RFC 8259.
    Number,
    /// Not an escape of RFC 8259.
    Escape,
    /// A raw control character in a string.
    ControlCharacter,
    /// More nested containers than allowed.
    TooDeep,
    /// Something follows the document.
    TrailingData,
    /// Longer than offsets can count (4 GiB).
    TooLong,
    /// A member we read stands twice in its object.
    Duplicate,
    /// Another imp has the same id: no bid could tell which of them it is for.
    NotUnique,
    /// More than one of `site`, `app` and `dooh`: what the ad is for is unclear.
    Conflict,
    /// A required member is absent or null.
    Missing,
    /// A member is there, but its value has the wrong type.
    WrongType,
    /// A required string or list is empty.
    Empty,
    /// Not an integer of 0 or more.
    NotCount,
}

impl ScanReason {
    /// The reason in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnexpectedEnd => "unexpected end",
            Self::UnexpectedByte => "unexpected byte",
            Self::Utf8 => "invalid UTF-8",
            Self::Number => "invalid number",
            Self::Escape => "invalid escape",
            Self::ControlCharacter => "raw control character in a string",
            Self::TooDeep => "nested too deep",
            Self::TrailingData => "data after the document",
            Self::TooLong => "too long",
            Self::Duplicate => "duplicate member",
            Self::NotUnique => "not unique, an earlier imp has the same id",
            Self::Conflict => "more than one of site, app and dooh",
            Self::Missing => "missing",
            Self::WrongType => "wrong type",
            Self::Empty => "empty",
            Self::NotCount => "not an integer of 0 or more",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_member_reason_and_offset() {
        let error = ScanError { member: "user.ext.eids", offset: 123, reason: ScanReason::Duplicate };
        assert_eq!(error.to_string(), "user.ext.eids: duplicate member at byte 123");
        let error = ScanError { member: "", offset: 0, reason: ScanReason::UnexpectedEnd };
        assert_eq!(error.to_string(), "unexpected end at byte 0");
    }
}

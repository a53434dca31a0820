//! Reads big-endian fields off the front of a byte slice.

use crate::time::UnixMillis;

/// What is left to read. A read past the end is `None` and takes nothing.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    pub(super) fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn millis(&mut self) -> Option<UnixMillis> {
        self.array().map(|bytes| UnixMillis(i64::from_be_bytes(bytes)))
    }

    /// Everything not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_past_the_end_takes_nothing() {
        let mut reader = Reader::new(&[0, 0, 1, 0, 9]);
        assert_eq!(reader.u32(), Some(256));
        assert_eq!(reader.u32(), None);
        assert_eq!(reader.slice(2), None);
        assert_eq!(reader.u8(), Some(9));
        assert_eq!(reader.rest(), &[] as &[u8]);
    }
}

//! Each request's own number, as a W3C `traceparent`: it travels to the SSPs, so that what they received can be paired
//! with what was sent.

use std::io::Write;

use http::{HeaderName, HeaderValue};

/// The header.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Bytes of a `traceparent`.
const SIZE: usize = 55;

/// The trace of one run; another run has another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trace(u64);

impl Trace {
    /// A trace of this run.
    pub const fn of(run: u64) -> Self {
        Self(run)
    }

    /// 32 hexadecimal digits, unlike those of any other request of any run: the trace id.
    pub fn id(self, number: u64) -> String {
        format!("{:016x}{:016x}", self.0, number.wrapping_add(1))
    }

    /// The value of the header for the `number`-th request. Not sampled: a load is nothing to trace everywhere.
    pub fn header(self, number: u64) -> HeaderValue {
        let mut text = Vec::with_capacity(SIZE);
        self.write(number, &mut text);
        HeaderValue::from_bytes(&text).expect("hexadecimal digits and hyphens")
    }

    /// Appends the same.
    pub(super) fn write(self, number: u64, out: &mut Vec<u8>) {
        let next = number.wrapping_add(1);
        write!(out, "00-{:016x}{next:016x}-{next:016x}-00", self.0).expect("a Vec takes all bytes");
    }

    /// The number of the request whose trace this header continues; `None` when it is not of this run.
    pub fn number(self, header: &HeaderValue) -> Option<u64> {
        let id = header.to_str().ok()?.split('-').nth(1).filter(|id| id.len() == 32)?;
        let id = u128::from_str_radix(id, 16).ok()?;
        let run = u64::try_from(id >> u64::BITS).ok()?;
        let next = u64::try_from(id & u128::from(u64::MAX)).ok()?;
        if run == self.0 { next.checked_sub(1) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_goes_out_and_comes_back() {
        let trace = Trace::of(0xfeed);
        for number in [0, 1, 41, u64::MAX - 1] {
            let header = trace.header(number);
            assert_eq!((header.len(), trace.number(&header)), (SIZE, Some(number)));
            assert_eq!(Trace::of(1).number(&header), None);
        }
        assert_eq!(trace.header(41), "00-000000000000feed000000000000002a-000000000000002a-00");
        assert_eq!(trace.id(41), "000000000000feed000000000000002a");
        // A hop on the way has its own parent id.
        let hop = HeaderValue::from_static("00-000000000000feed000000000000002a-b7ad6b7169203331-01");
        assert_eq!(trace.number(&hop), Some(41));
        for other in ["", "00", "00-feed2a-1-00", "00-zzzz0000000000000000000000000000-1-00"] {
            assert_eq!(trace.number(&HeaderValue::from_static(other)), None);
        }
    }
}

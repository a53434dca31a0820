//! The name of a source, as sources are compared.

use std::hash::{Hash, Hasher};

/// The `source` of an EID, to be compared: ASCII case, white space around it and a dot at its end do not count, so that
/// an odd spelling hides no source.
#[derive(Clone, Copy, Debug)]
pub struct SourceName<'a>(&'a str);

impl<'a> SourceName<'a> {
    /// The name in a `source`.
    pub fn new(source: &'a str) -> Self {
        let plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        if plain(source.as_bytes().first()) && plain(source.as_bytes().last()) {
            return Self(source); // as nearly all are written
        }
        let source = source.trim();
        Self(source.strip_suffix('.').map_or(source, str::trim_end))
    }

    /// In lower case.
    pub(super) fn folded(self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for SourceName<'_> {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(test)]
        work::COMPARED.set(work::COMPARED.get() + 1);
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Eq for SourceName<'_> {}

impl Hash for SourceName<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.bytes().for_each(|byte| state.write_u8(byte.to_ascii_lowercase()));
        state.write_u8(0xff);
    }
}

/// What was done, for tests of how much is done at most.
#[cfg(test)]
pub(super) mod work {
    use std::cell::Cell;

    thread_local! {
        /// Names compared.
        pub(in super::super) static COMPARED: Cell<usize> = const { Cell::new(0) };
        /// Bytes of strings that were unescaped.
        pub(in super::super) static UNESCAPED: Cell<usize> = const { Cell::new(0) };
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    #[test]
    fn odd_spellings_are_the_same_source() {
        let state = RandomState::new();
        let name = SourceName::new("uidapi.com");
        for odd in ["UIDAPI.com ", "uidapi.com.", "\t uidapi.COM. \n", "uidapi.com ."] {
            assert_eq!(SourceName::new(odd), name, "{odd:?}");
            assert_eq!(state.hash_one(SourceName::new(odd)), state.hash_one(name), "{odd:?}");
        }
        for other in ["", ".", "uidapi.com..", "uid api.com", "xuidapi.com", "uidapi.com.example"] {
            assert_ne!(SourceName::new(other), name, "{other:?}");
        }
    }
}

//! The US Privacy string (`1YNN`): four characters, the third is the opt-out of sale.

/// What a US Privacy string says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UsPrivacy {
    /// The user opted out of the sale of personal data.
    OptedOut,
    /// The user did not opt out, or the law does not apply (`1---`).
    NotOptedOut,
}

impl UsPrivacy {
    /// Reads the string as written: version `1`, then three of `Y`, `N`, `-`, upper case. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        match *text.as_bytes() {
            [b'1', notice, sale, covered] if [notice, sale, covered].iter().all(|c| b"YN-".contains(c)) => {
                Some(if sale == b'Y' { Self::OptedOut } else { Self::NotOptedOut })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_character_decides() {
        for text in ["1YYN", "1NYN", "1-Y-", "1YYY"] {
            assert_eq!(UsPrivacy::parse(text), Some(UsPrivacy::OptedOut), "{text}");
        }
        for text in ["1YNN", "1---", "1NNY", "1YN-"] {
            assert_eq!(UsPrivacy::parse(text), Some(UsPrivacy::NotOptedOut), "{text}");
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        for text in ["", "1YN", "1YNNN", "2YNN", "1yyn", "1Y N", "1YXN", "YYNN", "1Y\u{e9}"] {
            assert_eq!(UsPrivacy::parse(text), None, "{text}");
        }
    }
}

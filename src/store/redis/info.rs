//! What INFO says.

/// The value of a line `name:value`.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// The same as a number.
pub(super) fn number(info: &str, name: &str) -> Option<u64> {
    field(info, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_whole_name() {
        let info = "# Memory\r\nmaxmemory_human:0B\r\nmaxmemory:12\r\nmaxmemory_policy:noeviction\r\n";
        assert_eq!(field(info, "maxmemory_policy"), Some("noeviction"));
        assert_eq!(number(info, "maxmemory"), Some(12));
        assert_eq!(number(info, "maxmemory_policy"), None);
        assert_eq!(field(info, "policy"), None);
    }
}

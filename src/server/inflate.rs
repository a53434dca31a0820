//! Inflating a gzip body under a cap: a bomb costs the cap, not the machine.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use crate::gateway::RejectKind;

/// The inflated bytes; one byte over `limit` is an error.
pub(super) fn gzip(compressed: &[u8], limit: usize) -> Result<Bytes, RejectKind> {
    let mut out = Vec::with_capacity(compressed.len().saturating_mul(4).min(limit));
    let cap = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(compressed).take(cap).read_to_end(&mut out);
    if read.is_err() {
        return Err(RejectKind::BadGzip);
    }
    if out.len() > limit { Err(RejectKind::TooLarge { limit, what: "inflated" }) } else { Ok(out.into()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn zipped(n: usize) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&vec![b'x'; n]).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_cap_holds_exactly() {
        assert_eq!(gzip(&zipped(1_000), 1_000).unwrap().len(), 1_000);
        assert!(matches!(gzip(&zipped(1_001), 1_000), Err(RejectKind::TooLarge { limit: 1_000, .. })));
        assert!(matches!(gzip(&zipped(10_000_000), 1_000), Err(RejectKind::TooLarge { .. })));
    }

    #[test]
    fn what_is_no_gzip_is_refused() {
        assert!(matches!(gzip(b"{}", 1_000), Err(RejectKind::BadGzip)));
        let mut cut = zipped(1_000);
        cut.truncate(cut.len() - 4);
        assert!(matches!(gzip(&cut, 1_000), Err(RejectKind::BadGzip)));
    }
}

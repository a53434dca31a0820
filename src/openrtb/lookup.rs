//! Any member of a request by its path, for showing it. Whatever the scan takes is found here, too: numbers beyond every
//! range, escapes of half a character, keys with escapes.

use super::cursor::Cursor;
use super::request::BidRequest;

impl BidRequest {
    /// The value at a path such as `regs.ext.gdpr`, as it stands in the body.
    pub fn raw(&self, path: &str) -> Option<&[u8]> {
        let text: &[u8] = self.body();
        let mut cursor = path.split('.').try_fold(Cursor::new(text, 0), Cursor::value_of)?;
        let start = cursor.position() as usize;
        cursor.skip();
        text.get(start..cursor.position() as usize)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::scan::Limits;
    use super::*;

    #[test]
    fn what_the_scan_takes_is_found() {
        let body = r#" {"id":"1","imp":[{"id":"a","bidfloor":1e999}],"x":"\ud800",
            "re\u0067s" : { "coppa": 1 , "ext":{"gdpr":"\udc00","gpp_sid":[ 7, 8 ],"none":null}} } "#;
        let request = BidRequest::parse(Bytes::from(body), &Limits::default()).unwrap();
        for (path, value) in [
            ("id", Some("\"1\"")),
            ("regs.coppa", Some("1")),
            ("regs.ext.gdpr", Some("\"\\udc00\"")),
            ("regs.ext.gpp_sid", Some("[ 7, 8 ]")),
            ("regs.ext.none", Some("null")),
            ("regs.gdpr", None),
            ("regs.coppa.x", None),
            ("imp.id", None),
        ] {
            assert_eq!(request.raw(path), value.map(str::as_bytes), "{path}");
        }
    }
}

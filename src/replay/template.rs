//! Bodies with markers: `{{id}}`, `{{user}}` and `{{now_ms}}` are replaced for each request, wherever they stand; all
//! other bytes are sent as they are.

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;

/// A body, cut at its markers.
#[derive(Clone, Debug)]
pub(super) struct Template {
    body: Bytes,
    pieces: Vec<Piece>,
    /// Bytes outside of markers.
    fixed: usize,
}

#[derive(Clone, Debug)]
enum Piece {
    Bytes(Range<usize>),
    Marker(Marker),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Marker {
    Id,
    User,
    Now,
}

const MARKERS: [(&[u8], Marker); 3] =
    [(b"{{id}}", Marker::Id), (b"{{user}}", Marker::User), (b"{{now_ms}}", Marker::Now)];

/// What takes the place of the markers in one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill<'a> {
    /// Unlike any other request's.
    pub(super) id: &'a str,
    /// The user's name; empty without one.
    pub(super) user: &'a str,
    /// Milliseconds since the Unix epoch.
    pub(super) now_ms: &'a str,
}

impl Fill<'_> {
    fn of(&self, marker: Marker) -> &str {
        match marker {
            Marker::Id => self.id,
            Marker::User => self.user,
            Marker::Now => self.now_ms,
        }
    }
}

impl Template {
    pub(super) fn new(body: Bytes) -> Self {
        let (mut pieces, mut from, mut fixed) = (Vec::new(), 0, 0);
        for at in memmem::find_iter(&body, b"}}") {
            let before = body.get(from..at + 2).unwrap_or_default();
            let Some((name, marker)) = MARKERS.iter().find(|(name, _)| before.ends_with(name)) else {
                continue;
            };
            let start = at + 2 - name.len();
            pieces.extend([Piece::Bytes(from..start), Piece::Marker(*marker)]);
            fixed += start - from;
            from = at + 2;
        }
        fixed += body.len() - from;
        pieces.push(Piece::Bytes(from..body.len()));
        Self { body, pieces, fixed }
    }

    /// The body, when it is the same for every request.
    pub(super) fn constant(&self) -> Option<&Bytes> {
        (self.pieces.len() == 1).then_some(&self.body)
    }

    /// The size with the markers replaced.
    pub(super) fn size(&self, fill: &Fill<'_>) -> usize {
        let markers = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Marker(marker) => Some(fill.of(*marker).len()),
            Piece::Bytes(_) => None,
        });
        self.fixed + markers.sum::<usize>()
    }

    /// Appends the body with the markers replaced.
    pub(super) fn write(&self, fill: &Fill<'_>, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            out.extend_from_slice(match piece {
                Piece::Bytes(range) => self.body.get(range.clone()).unwrap_or_default(),
                Piece::Marker(marker) => fill.of(*marker).as_bytes(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(body: &'static str) -> String {
        let template = Template::new(Bytes::from_static(body.as_bytes()));
        let fill = Fill { id: "7f", user: "Zoë", now_ms: "1700" };
        let mut out = b"^".to_vec();
        template.write(&fill, &mut out);
        assert_eq!(template.size(&fill), out.len() - 1);
        assert_eq!(template.constant().is_some(), out.get(1..) == Some(body.as_bytes()));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn markers_are_replaced_wherever_they_stand() {
        assert_eq!(
            filled(
                "{\"id\":\"a-{{id}}\",\"user\":{\"id\":\"{{user}}\"},\"t\":{{now_ms}},\"again\":\"{{id}}{{id}}\"}"
            ),
            "^{\"id\":\"a-7f\",\"user\":{\"id\":\"Zoë\"},\"t\":1700,\"again\":\"7f7f\"}"
        );
        assert_eq!(filled("{{id}}"), "^7f");
    }

    #[test]
    fn everything_else_stays() {
        for body in ["", "{}", "{\"a\":{\"b\":{}}}", "{{ID}} {{id} {{ id }} {{", "{{{\"${AUCTION_PRICE}\"}}}"]
        {
            assert_eq!(filled(body), format!("^{body}"));
        }
        assert_eq!(filled("{{{id}}}"), "^{7f}");
    }
}

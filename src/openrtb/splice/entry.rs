//! The EID we write: a new entry, or our id put into one of theirs.

use super::super::changes::Changes;
use super::super::cursor::Cursor;
use super::super::eid::Eid;
use super::super::request::Container;
use super::super::text::{Span, push_json_string};
use super::NewEid;

/// Where an SSP looks for `rtiPartner`, an older convention that says whose id it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RtiPlace {
    /// `uids[].ext.rtiPartner`.
    UidExt,
    /// `uids[].rtiPartner`.
    UidFlat,
    /// `ext.rtiPartner` of the EID.
    EidExt,
}

/// An `rtiPartner` to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RtiPartner<'a> {
    /// Where.
    pub place: RtiPlace,
    /// Its value.
    pub value: &'a str,
}

impl RtiPartner<'_> {
    fn quoted(&self) -> String {
        let mut out = String::new();
        push_json_string(&mut out, self.value);
        out
    }
}

/// Writes the new entry. `provenance`: whether `inserter` and `mm` are written.
pub(super) fn push_ours(out: &mut String, add: &NewEid<'_>, provenance: bool) {
    let partner = |place| add.rti_partner.filter(|rti| rti.place == place).map(|rti| rti.quoted());
    out.reserve(room(add));
    out.push_str(r#"{"source":"#);
    push_json_string(out, add.source);
    out.push_str(r#","uids":[{"id":"#);
    push_json_string(out, add.id);
    out.push_str(r#","atype":3"#);
    if let Some(value) = partner(RtiPlace::UidFlat) {
        out.extend([r#","rtiPartner":"#, &value]);
    }
    if let Some(value) = partner(RtiPlace::UidExt) {
        out.extend([r#","ext":{"rtiPartner":"#, &value, "}"]);
    }
    out.push_str("}]");
    if let Some(inserter) = add.inserter.filter(|_| provenance) {
        out.push_str(r#","inserter":"#);
        push_json_string(out, inserter);
        out.push_str(r#","mm":3"#);
    }
    if let Some(value) = partner(RtiPlace::EidExt) {
        out.extend([r#","ext":{"rtiPartner":"#, &value, "}"]);
    }
    out.push('}');
}

/// Bytes that a new entry takes, brackets around it included.
pub(super) fn room(add: &NewEid<'_>) -> usize {
    add.id.len() + add.source.len() + add.inserter.map_or(0, str::len) + 128
}

/// Puts the new id over the only id of an entry, and `rtiPartner` where it belongs; everything else of the entry stays.
/// `None` when the entry has no id or several: it is then to be replaced as a whole.
pub(super) fn swapped(text: &[u8], eid: Eid<'_>, add: &NewEid<'_>) -> Option<Changes> {
    let id = eid.only_id()?;
    let mut changes = Changes::default();
    let mut quoted = String::with_capacity(add.id.len() + 2);
    push_json_string(&mut quoted, add.id);
    changes.replace(id.quoted_span(), quoted);
    if let Some(rti) = add.rti_partner {
        let entry = eid.span().start;
        let mut partner = Partner { text, value: rti.quoted(), changes: &mut changes };
        match (rti.place, only_uid(text, entry)) {
            (RtiPlace::EidExt, _) => partner.in_ext(entry),
            (RtiPlace::UidExt, Some(uid)) => partner.in_ext(uid),
            (RtiPlace::UidFlat, Some(uid)) => partner.in_object(uid),
            (_, None) => {}
        }
    }
    changes.sort();
    Some(changes)
}

/// Where the first uid of an entry stands.
fn only_uid(text: &[u8], entry: u32) -> Option<u32> {
    let mut uids = Cursor::new(text, member(text, entry, "uids").0?.start);
    let is_list = uids.peek() == b'[';
    uids.open();
    (is_list && uids.next() && uids.peek() == b'{').then(|| uids.position())
}

/// The value of a member of the object at `object`, if it is there, and that object. Of two, readers take the last.
pub(super) fn member(text: &[u8], object: u32, name: &str) -> (Option<Span>, Container) {
    let mut cursor = Cursor::new(text, object);
    let (mut value, mut items) = (None, 0);
    cursor.open();
    while cursor.next() {
        let key = cursor.key();
        let start = cursor.position();
        cursor.skip();
        if key.decode(text) == name {
            value = Some(Span { start, end: cursor.position() });
        }
        items += 1;
    }
    (value, Container { span: Span { start: object, end: cursor.position() }, items })
}

/// An `rtiPartner` on its way into an entry.
struct Partner<'a> {
    text: &'a [u8],
    value: String,
    changes: &'a mut Changes,
}

impl Partner<'_> {
    fn in_object(&mut self, object: u32) {
        let (there, container) = member(self.text, object, "rtiPartner");
        match there {
            Some(value) => self.changes.replace(value, self.value.clone()),
            None => self.append(container, &format!(r#""rtiPartner":{}"#, self.value)),
        }
    }

    /// An `ext` that is no object stays as it is.
    fn in_ext(&mut self, object: u32) {
        let (ext, container) = member(self.text, object, "ext");
        let made = format!(r#"{{"rtiPartner":{}}}"#, self.value);
        match ext.map(|ext| (ext, ext.of(self.text).first())) {
            None => self.append(container, &format!(r#""ext":{made}"#)),
            Some((ext, Some(b'n'))) => self.changes.replace(ext, made),
            Some((ext, Some(b'{'))) => self.in_object(ext.start),
            Some(_) => {}
        }
    }

    fn append(&mut self, container: Container, member: &str) {
        self.changes.append(self.text, container, container.items, member);
    }
}

//! Bid requests made from a tape of bytes: every byte is one choice, and the first choice is always the plainest, so a
//! shorter or smaller tape makes a simpler request.
//!
//! They are odd in every way the grammar allows (escapes, numbers, white space, order, unknown members that stand twice)
//! and in the shapes that senders get wrong (missing, null, another type). All of them are accepted.

const SPACES: [&str; 5] = ["", " ", "\n  ", "\t", "\r\n"];
const NUMBERS: [&str; 12] = [
    "0",
    "7",
    "-0",
    "0.10",
    "8.250",
    "1e3",
    "1.0E+2",
    "-12.5E-2",
    "1e400",
    "-1E-999",
    "1234567890123456789012345",
    "0.1234567890123456789012345",
];
const PARTS: [&str; 16] = [
    "a",
    "zz",
    "é",
    "日本",
    "😀",
    r#"\""#,
    r"\\",
    r"\/",
    r"\n",
    r"\u00e9",
    r"\ud83d\ude00",
    r"\ud800",
    r"\u0000",
    "{",
    "]",
    ",: ",
];
/// Never a name that is read: one of those standing twice is refused. `EIDS` and `eids ` are not `eids`.
const UNKNOWN: [&str; 7] =
    [r#""x""#, r#""x""#, r#""EIDS""#, r#""eids ""#, r#""ex\u0074ra""#, r#""yé\ud800""#, r#""""#];
const SOURCES: [&str; 8] = [
    "uidapi.com",
    "UidApi.COM",
    "euid.eu",
    "EUID.EU",
    "a.example",
    "A.example",
    "adserver.org",
    "uidapi.com.example",
];

/// The request that a tape makes.
pub(crate) fn request(tape: Vec<u8>) -> String {
    let mut tape = Tape { left: tape.into_iter(), told: Vec::new(), kin: false };
    let mut members = vec![
        (tape.spelled("id"), tape.spelled("r-1")),
        (tape.spelled("imp"), {
            let imps = 1 + tape.pick(2);
            // No two have one id.
            let ids: [Maker; 2] = [Tape::id, |tape| tape.spelled("unlike any other")];
            let mut ids = ids.into_iter();
            tape.array(imps, |tape| tape.object_of(&[("id", ids.next().unwrap_or(Tape::id))]))
        }),
    ];
    tape.members(&mut members, &[("user", Tape::user), ("tmax", Tape::tmax), ("site", Tape::value)]);
    // Seldom of a wrong type: nothing is added to such a request.
    let regs: Maker = |tape| {
        let gpc: Maker = |tape| tape.one(&["null", r#""1""#, r#""0""#, "1", "{}"]).to_owned();
        tape.null_or(|tape| {
            let ext = tape.null_or(|tape| tape.object_of(&[("gpc", gpc)]));
            let members = vec![(tape.spelled("ext"), ext)];
            if tape.pick(4) == 3 { tape.object_of(&[]) } else { tape.object(members) }
        })
    };
    let device: Maker = |tape| tape.wrong_or(|tape| tape.object_of(&[]));
    tape.members(&mut members, &[("regs", regs), ("device", device)]);
    tape.object(members)
}

/// Makes a value.
type Maker = fn(&mut Tape) -> String;

/// Choices not yet made.
struct Tape {
    left: std::vec::IntoIter<u8>,
    /// Source and provenance of the entries that were made.
    told: Vec<Vec<(String, String)>>,
    /// Both lists are there, and most entries are of a kind with the first one and say nothing else.
    kin: bool,
}

impl Tape {
    /// A number under `n`; 0 once the tape has run out.
    fn pick(&mut self, n: usize) -> usize {
        self.left.next().map_or(0, |byte| usize::from(byte) % n)
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.pick(of.len())]
    }

    fn space(&mut self) -> &'static str {
        // Mostly none.
        if self.pick(3) == 2 { self.one(&SPACES) } else { "" }
    }

    /// A string of this value, some of its characters escaped.
    fn spelled(&mut self, value: &str) -> String {
        let escapes = if self.pick(6) == 5 { self.pick(256) } else { 0 };
        let spelled = value.chars().enumerate().map(|(at, c)| match escapes >> (at % 8) & 1 {
            1 => format!("\\u{:04x}", c as u32),
            _ => c.to_string(),
        });
        format!("\"{}\"", spelled.collect::<String>())
    }

    fn string(&mut self) -> String {
        let parts: Vec<&str> = (0..self.pick(4)).map(|_| self.one(&PARTS)).collect();
        format!("\"{}\"", parts.concat())
    }

    /// Any value.
    fn value(&mut self) -> String {
        self.nested(3)
    }

    fn nested(&mut self, depth: usize) -> String {
        match self.pick(if depth == 0 { 4 } else { 6 }) {
            0 => self.one(&NUMBERS).to_owned(),
            1 => self.string(),
            2 => self.one(&["null", "true", "false"]).to_owned(),
            3 => self.one(&["{}", "[]"]).to_owned(),
            4 => {
                let count = self.pick(4);
                self.array(count, |tape| tape.nested(depth - 1))
            }
            _ => {
                let members = (0..self.pick(4)).map(|_| (self.string(), self.nested(depth - 1))).collect();
                self.object(members)
            }
        }
    }

    fn array(&mut self, count: usize, mut element: impl FnMut(&mut Self) -> String) -> String {
        let elements: Vec<String> = (0..count).map(|_| element(self)).collect();
        let (before, after) = (self.space(), self.space());
        format!("[{before}{}{after}]", elements.join(&format!("{after},{before}")))
    }

    /// An object of these members in any order, among others that nobody reads.
    fn object(&mut self, mut members: Vec<(String, String)>) -> String {
        for _ in 0..self.pick(3) {
            let name = self.one(&UNKNOWN).to_owned();
            members.push((name, self.nested(1)));
        }
        self.only(members)
    }

    /// An object of these members in any order.
    fn only(&mut self, members: Vec<(String, String)>) -> String {
        let mut shuffled: Vec<(String, String)> = Vec::new();
        for member in members {
            let at = shuffled.len() - self.pick(shuffled.len() + 1);
            shuffled.insert(at, member);
        }
        let (before, colon, after) = (self.space(), self.space(), self.space());
        let members = shuffled.into_iter().map(|(name, value)| format!("{name}{colon}:{before}{value}"));
        let members: Vec<String> = members.collect();
        format!("{{{before}{}{after}}}", members.join(&format!("{after},{before}")))
    }

    /// Some of these members, each at most once.
    fn members(&mut self, members: &mut Vec<(String, String)>, optional: &[(&str, Maker)]) {
        for (name, make) in optional {
            let wanted = self.kin && matches!(*name, "eids" | "ext");
            if wanted || self.pick(4) > 0 {
                members.push((self.spelled(name), make(self)));
            }
        }
    }

    fn object_of(&mut self, optional: &[(&str, Maker)]) -> String {
        let mut members = Vec::new();
        self.members(&mut members, optional);
        self.object(members)
    }

    /// What the member should be, else null, seldom something else.
    fn wrong_or(&mut self, right: impl FnOnce(&mut Self) -> String) -> String {
        match self.pick(32) {
            31 => self.one(&["5", "1e400", "\"x\"", "true"]).to_owned(),
            29 | 30 => "null".into(),
            _ => right(self),
        }
    }

    /// As often null as that is worth a look.
    fn null_or(&mut self, right: impl FnOnce(&mut Self) -> String) -> String {
        if self.pick(6) == 5 { "null".into() } else { self.wrong_or(right) }
    }

    fn tmax(&mut self) -> String {
        self.one(&["120", "0", "7", "null", "123456789012345678901234567890"]).to_owned()
    }

    fn id(&mut self) -> String {
        match self.pick(4) {
            3 => self.nested(1),
            _ => self.string(),
        }
    }

    fn user(&mut self) -> String {
        let ext: Maker = |tape| {
            tape.wrong_or(|tape| {
                tape.object_of(&[
                    ("eids", Tape::eids),
                    ("uid2", Tape::value),
                    ("publisher_user_id", Tape::id),
                    ("consent", Tape::string),
                ])
            })
        };
        self.kin = self.pick(2) == 1;
        let members: [(&str, Maker); 4] =
            [("id", Tape::id), ("eids", Tape::eids), ("ext", ext), ("consent", Tape::string)];
        self.wrong_or(|tape| tape.object_of(&members))
    }

    fn eids(&mut self) -> String {
        let list = |tape: &mut Self| {
            let count = tape.pick(5).max(usize::from(tape.kin));
            tape.array(count, Tape::eid)
        };
        self.wrong_or(list)
    }

    fn eid(&mut self) -> String {
        let kin = self.kin && self.pick(6) < 5;
        if !kin && self.pick(12) == 11 {
            return self
                .one(&["{}", "5", "null", r#"{"source":1}"#, r#"{ "source":null }"#, "[]"])
                .to_owned();
        }
        // Often of a kind with another one, so that they meet.
        let mut members = match self.pick(3) {
            _ if kin && !self.told.is_empty() => self.told[0].clone(),
            2 if !self.told.is_empty() => {
                let one = self.pick(self.told.len());
                self.told[one].clone()
            }
            _ => self.provenance(),
        };
        self.told.push(members.clone());
        let uids: Maker = |tape| {
            let count = [1, 1, 1, 2, 0, 3][tape.pick(6)];
            tape.wrong_or(|tape| tape.array(count, Tape::uid))
        };
        members.push((self.spelled("uids"), uids(self)));
        if !kin {
            self.partner(&mut members);
        }
        if kin || self.pick(4) > 0 { self.only(members) } else { self.object(members) }
    }

    fn provenance(&mut self) -> Vec<(String, String)> {
        let source = self.one(&SOURCES);
        let mut members = vec![(self.spelled("source"), self.spelled(source))];
        if self.pick(3) == 2 {
            let said: Maker = |tape| tape.one(&["3", r#""3""#, "null", "3.0", r#""m""#, "{}"]).to_owned();
            self.members(&mut members, &[("mm", said), ("inserter", said), ("matcher", said)]);
        }
        members
    }

    /// Where an `rtiPartner` belongs there may be one, or something else.
    fn partner(&mut self, members: &mut Vec<(String, String)>) {
        if self.pick(6) == 5 {
            let ext: Maker = |tape| match tape.pick(4) {
                0 => "null".into(),
                1 => tape.one(&["5", r#""{""#, "[]", "true"]).to_owned(),
                _ => tape.object_of(&[("rtiPartner", Tape::value), ("x", Tape::value)]),
            };
            self.members(members, &[("ext", ext), ("rtiPartner", Tape::value)]);
        }
    }

    fn uid(&mut self) -> String {
        if self.pick(16) == 15 {
            return self.nested(1);
        }
        let id: Maker = |tape| match tape.pick(8) {
            7 => tape.one(&["5", "null", "{}"]).to_owned(),
            _ => {
                let id = tape.one(&["t1", "t2", "t3"]);
                tape.spelled(id)
            }
        };
        let mut members = vec![(self.spelled("id"), id(self))];
        self.members(&mut members, &[("atype", |tape| tape.one(&["3", "\"3\"", "1e0"]).to_owned())]);
        self.partner(&mut members);
        self.object(members)
    }
}

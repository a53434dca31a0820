//! Makes privacy strings for tests: an encoder that shares no code with the readers.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Collects bits, most significant first.
#[derive(Clone, Default)]
pub(super) struct BitWriter(Vec<bool>);

impl BitWriter {
    pub(super) fn put(&mut self, value: u64, count: usize) -> &mut Self {
        self.0.extend((0..count).rev().map(|bit| bit < 64 && value >> bit & 1 == 1));
        self
    }

    fn set(&mut self, at: usize, count: usize, value: u64) {
        for bit in 0..count {
            self.0[at + bit] = value >> (count - 1 - bit) & 1 == 1;
        }
    }

    /// The bits as base64url, filled up with zeros to whole characters.
    pub(super) fn text(&self) -> String {
        self.text_of(self.0.len())
    }

    /// The first `count` bits, likewise.
    pub(super) fn text_of(&self, count: usize) -> String {
        let bits: Vec<bool> = self.0.iter().copied().chain([false; 64]).take(count).collect();
        bits.chunks(6)
            .map(|six| {
                let index = (0..6).fold(0, |n, i| n * 2 + usize::from(six.get(i).copied().unwrap_or(false)));
                char::from(ALPHABET[index])
            })
            .collect()
    }
}

/// A US section of zeros with some fields `(offset, length, value)` set.
pub(super) fn us_section(version: u8, fields: &[(usize, usize, u64)]) -> String {
    let mut bits = BitWriter::default();
    bits.put(u64::from(version), 6).put(0, 66);
    for &(at, count, value) in fields {
        bits.set(at, count, value);
    }
    bits.text()
}

/// A GPP string with these sections, ascending.
pub(super) fn gpp(sections: &[(u16, &str)]) -> String {
    let mut bits = BitWriter::default();
    bits.put(3, 6).put(1, 6).put(sections.len() as u64, 12);
    let mut last = 0;
    for &(id, _) in sections {
        bits.put(0, 1);
        fibonacci(&mut bits, u64::from(id - last));
        last = id;
    }
    sections.iter().fold(bits.text(), |text, (_, section)| text + "~" + section)
}

/// One Fibonacci-coded number.
pub(super) fn fibonacci(bits: &mut BitWriter, mut number: u64) {
    let mut terms = vec![1, 2];
    while terms[terms.len() - 1] <= number {
        terms.push(terms[terms.len() - 1] + terms[terms.len() - 2]);
    }
    let mut code = Vec::new();
    for term in terms.into_iter().rev() {
        let used = term <= number;
        number -= if used { term } else { 0 };
        if used || !code.is_empty() {
            code.push(used);
        }
    }
    for one in code.into_iter().rev() {
        bits.put(u64::from(one), 1);
    }
    bits.put(1, 1);
}

/// A list of vendors and how it is written.
#[derive(Clone, Debug)]
pub(super) enum Vendors {
    Field { max: u16, ids: Vec<u16> },
    Ranges { max: u16, ranges: Vec<(u16, u16)> },
}

impl Vendors {
    pub(super) fn field(ids: &[u16]) -> Self {
        Self::Field { max: ids.iter().copied().max().unwrap_or(0), ids: ids.to_vec() }
    }

    fn put(&self, bits: &mut BitWriter) {
        match self {
            Self::Field { max, ids } => {
                bits.put(u64::from(*max), 16).put(0, 1);
                for vendor in 1..=*max {
                    bits.put(u64::from(ids.contains(&vendor)), 1);
                }
            }
            Self::Ranges { max, ranges } => {
                bits.put(u64::from(*max), 16).put(1, 1);
                put_ranges(bits, ranges);
            }
        }
    }
}

fn put_ranges(bits: &mut BitWriter, ranges: &[(u16, u16)]) {
    bits.put(ranges.len() as u64, 12);
    for &(start, end) in ranges {
        bits.put(u64::from(start != end), 1).put(u64::from(start), 16);
        if start != end {
            bits.put(u64::from(end), 16);
        }
    }
}

/// A publisher restriction: purpose, type, vendor ranges.
pub(super) type Restricted = (u8, u8, Vec<(u16, u16)>);

/// The parts of a TC string; `default` is one that satisfies every rule for EUID.
#[derive(Clone, Debug)]
pub(super) struct Tc {
    pub(super) version: u64,
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) policy: u64,
    pub(super) service_specific: bool,
    pub(super) consents: Vec<u8>,
    pub(super) interests: Vec<u8>,
    pub(super) vendors: Vendors,
    pub(super) vendor_interests: Vendors,
    pub(super) restrictions: Vec<Restricted>,
    pub(super) disclosed: Option<Vendors>,
}

impl Default for Tc {
    fn default() -> Self {
        Self {
            version: 2,
            created: 17_800_000_000,
            updated: 17_800_000_000,
            policy: 5,
            service_specific: true,
            consents: vec![1, 3, 4],
            interests: vec![2, 7, 10],
            vendors: Vendors::field(&[21, 76]),
            vendor_interests: Vendors::field(&[21, 76]),
            restrictions: Vec::new(),
            disclosed: Some(Vendors::field(&[21, 76])),
        }
    }
}

impl Tc {
    pub(super) fn text(&self) -> String {
        let mut bits = BitWriter::default();
        bits.put(self.version, 6).put(self.created, 36).put(self.updated, 36);
        // CMP 300 version 2, screen 1, language EN, vendor list 100.
        bits.put(300, 12).put(2, 12).put(1, 6).put(4, 6).put(13, 6).put(100, 12);
        bits.put(self.policy, 6).put(u64::from(self.service_specific), 1).put(0, 1).put(0, 12);
        for purposes in [&self.consents, &self.interests] {
            for purpose in 1..=24 {
                bits.put(u64::from(purposes.contains(&purpose)), 1);
            }
        }
        bits.put(0, 1).put(3, 6).put(4, 6); // purpose one treatment, publisher country DE
        self.vendors.put(&mut bits);
        self.vendor_interests.put(&mut bits);
        bits.put(self.restrictions.len() as u64, 12);
        for (purpose, kind, ranges) in &self.restrictions {
            bits.put(u64::from(*purpose), 6).put(u64::from(*kind), 2);
            put_ranges(&mut bits, ranges);
        }
        let disclosed = self.disclosed.as_ref().map_or(String::new(), |vendors| {
            let mut bits = BitWriter::default();
            vendors.put(bits.put(1, 3));
            String::from(".") + &bits.text()
        });
        bits.text() + &disclosed
    }
}

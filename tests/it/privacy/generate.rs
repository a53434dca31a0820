//! Privacy strings as a CMP may write them, and what was written: an encoder that shares nothing with the decoders.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// SplitMix64: the same strings in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick(&mut self, low: u16, high: u16) -> u16 {
        low + u16::try_from(self.below(u64::from(high - low) + 1)).unwrap()
    }

    fn subset(&mut self, from: std::ops::RangeInclusive<u8>, percent: u64) -> Vec<u8> {
        from.filter(|_| self.chance(percent)).collect()
    }
}

/// Collects bits, most significant first.
#[derive(Clone, Default)]
struct Writer(Vec<bool>);

impl Writer {
    fn put(&mut self, value: u64, count: usize) -> &mut Self {
        self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    /// Base64url; filled up to whole characters, to whole bytes first, or with a character too many.
    fn text(&self, random: &mut Random) -> String {
        let mut bits = self.0.clone();
        let padded = match random.below(4) {
            0 => bits.len().next_multiple_of(8).next_multiple_of(6),
            1 => bits.len().next_multiple_of(6) + 6,
            _ => bits.len().next_multiple_of(6),
        };
        bits.resize(padded, false);
        let sextet = |six: &[bool]| six.iter().fold(0, |n, bit| n * 2 + usize::from(*bit));
        bits.chunks(6).map(|six| char::from(ALPHABET[sextet(six)])).collect()
    }
}

/// Ascending, disjoint ranges of vendor ids.
type Ranges = Vec<(u16, u16)>;

/// A list of vendors, and how it is written.
#[derive(Clone, Debug)]
pub(super) struct Vendors {
    pub(super) ranges: Ranges,
    as_field: bool,
}

impl Vendors {
    fn random(random: &mut Random, reach: u16) -> Self {
        Self { ranges: ranges(random, reach), as_field: random.chance(50) }
    }

    fn holds(&self, vendor: u16) -> bool {
        self.ranges.iter().any(|(start, end)| (*start..=*end).contains(&vendor))
    }

    fn put(&self, writer: &mut Writer) {
        let max = self.ranges.last().map_or(0, |range| range.1);
        writer.put(u64::from(max), 16).put(u64::from(!self.as_field), 1);
        if self.as_field {
            for vendor in 1..=max {
                writer.put(u64::from(self.holds(vendor)), 1);
            }
        } else {
            put_ranges(writer, &self.ranges);
        }
    }
}

fn ranges(random: &mut Random, reach: u16) -> Ranges {
    let (mut at, mut list) = (0, Vec::new());
    for _ in 0..random.below(9) {
        let start = at + random.pick(1, reach);
        let end = if random.chance(50) { start } else { start + random.pick(1, 9) };
        list.push((start, end));
        at = end + 1;
    }
    list
}

fn put_ranges(writer: &mut Writer, ranges: &Ranges) {
    writer.put(ranges.len() as u64, 12);
    for &(start, end) in ranges {
        writer.put(u64::from(start != end), 1).put(u64::from(start), 16);
        if start != end {
            writer.put(u64::from(end), 16);
        }
    }
}

/// A TC string as it was meant.
#[derive(Clone, Debug)]
pub(super) struct Tc {
    /// Deciseconds, whole days.
    pub(super) updated: u64,
    pub(super) consents: Vec<u8>,
    pub(super) interests: Vec<u8>,
    pub(super) vendors: Vendors,
    pub(super) vendor_interests: Vendors,
    /// Purpose, type 0–2, vendors; each pair of purpose and type once.
    pub(super) restrictions: Vec<(u8, u8, Ranges)>,
    pub(super) disclosed: Option<Vendors>,
    /// Whether a segment with the publisher's own purposes follows.
    pub(super) publisher: bool,
}

/// A day in deciseconds.
const DAY: u64 = 864_000;

impl Tc {
    pub(super) fn random(random: &mut Random) -> Self {
        let reach = [6, 40, 200][usize::try_from(random.below(3)).unwrap()];
        let mut restrictions = Vec::new();
        for _ in 0..random.below(4) {
            let (purpose, kind) = (random.pick(1, 11), random.pick(0, 2));
            let (purpose, kind) = (u8::try_from(purpose).unwrap(), u8::try_from(kind).unwrap());
            let of = ranges(random, reach);
            let taken = restrictions.iter().any(|(p, k, _)| (*p, *k) == (purpose, kind));
            if !taken && !of.is_empty() {
                restrictions.push((purpose, kind, of));
            }
        }
        Self {
            updated: (18_000 + random.below(3_000)) * DAY,
            consents: random.subset(1..=24, 40),
            interests: random.subset(1..=24, 40),
            vendors: Vendors::random(random, reach),
            vendor_interests: Vendors::random(random, reach),
            restrictions,
            disclosed: random.chance(60).then(|| Vendors::random(random, reach)),
            publisher: random.chance(30),
        }
    }

    /// Every id that stands at an edge of a list, with its neighbours.
    pub(super) fn vendors_asked(&self) -> Vec<u16> {
        let lists = [Some(&self.vendors), Some(&self.vendor_interests), self.disclosed.as_ref()];
        let named = lists.into_iter().flatten().flat_map(|list| &list.ranges);
        let restricted = self.restrictions.iter().flat_map(|(_, _, ranges)| ranges);
        let edges =
            named.chain(restricted).flat_map(|(start, end)| [start - 1, *start, end - 1, *end, end + 1]);
        let mut probes: Vec<u16> = edges.chain([1, 21, 76, u16::MAX]).filter(|id| *id > 0).collect();
        probes.sort_unstable();
        probes.dedup();
        probes
    }

    /// Restricted purposes, and two that mostly are not.
    pub(super) fn purposes_asked(&self) -> Vec<u8> {
        let mut purposes: Vec<u8> =
            self.restrictions.iter().map(|(purpose, ..)| *purpose).chain([1, 2]).collect();
        purposes.sort_unstable();
        purposes.dedup();
        purposes
    }

    pub(super) fn text(&self, random: &mut Random) -> String {
        let mut writer = Writer::default();
        writer.put(2, 6).put(self.updated, 36).put(self.updated, 36);
        // JavaScript's library refuses CMP ids 0 and 1.
        writer.put(2 + random.below(4000), 12).put(random.below(99), 12).put(random.below(9), 6);
        writer.put(4, 6).put(13, 6).put(random.below(400), 12).put(4 + random.below(2), 6);
        writer.put(1, 1).put(random.below(2), 1).put(random.below(4096), 12);
        for purposes in [&self.consents, &self.interests] {
            for purpose in 1..=24 {
                writer.put(u64::from(purposes.contains(&purpose)), 1);
            }
        }
        writer.put(random.below(2), 1).put(3, 6).put(4, 6);
        self.vendors.put(&mut writer);
        self.vendor_interests.put(&mut writer);
        writer.put(self.restrictions.len() as u64, 12);
        for (purpose, kind, ranges) in &self.restrictions {
            put_ranges(writer.put(u64::from(*purpose), 6).put(u64::from(*kind), 2), ranges);
        }
        self.segments(random).into_iter().fold(writer.text(random), |text, segment| text + "." + &segment)
    }

    /// The optional segments, in any order.
    fn segments(&self, random: &mut Random) -> Vec<String> {
        let mut segments = Vec::new();
        if let Some(disclosed) = &self.disclosed {
            let mut writer = Writer::default();
            disclosed.put(writer.put(1, 3));
            segments.push(writer.text(random));
        }
        if self.publisher {
            let mut writer = Writer::default();
            writer.put(3, 3).put(random.below(1 << 24), 24).put(random.below(1 << 24), 24).put(0, 6);
            segments.push(writer.text(random));
        }
        if random.chance(50) {
            segments.reverse();
        }
        segments
    }
}

/// Section id, version, and the number of two-bit fields behind it.
const US_SECTIONS: [(u16, u64, usize); 18] = [
    (7, 1, 27),
    (7, 2, 32),
    (8, 1, 20),
    (9, 1, 17),
    (10, 1, 16),
    (11, 1, 18),
    (12, 1, 19),
    (13, 1, 20),
    (14, 1, 20),
    (15, 1, 23),
    (16, 1, 18),
    (17, 1, 23),
    (18, 1, 18),
    (19, 1, 18),
    (20, 1, 20),
    (21, 1, 24),
    (22, 1, 18),
    (23, 1, 18),
];

/// One random US section. Mostly zeros and twos, so that a single opt-out has to be found.
fn us_section(random: &mut Random, (_, version, fields): (u16, u64, usize), gpc: bool) -> String {
    let mut writer = Writer::default();
    writer.put(version, 6);
    let ones = [0, 5, 33][usize::try_from(random.below(3)).unwrap()];
    for field in 0..fields {
        // Of the last three, the first tells whether the MSPA covers the transaction: 1 or 2, nothing else.
        let value = match random.below(100) {
            share if share < ones => 1,
            share if share % 2 == 0 => 2,
            _ => 0,
        };
        writer.put(if field + 3 == fields { value.max(1) } else { value }, 2);
    }
    let mut text = writer.text(random);
    if gpc {
        let mut writer = Writer::default();
        writer.put(1, 2).put(random.below(2), 1);
        text = text + "." + &writer.text(random);
    }
    text
}

/// A GPP string as it was meant.
pub(super) struct Gpp {
    pub(super) text: String,
    pub(super) sections: Vec<(u16, String)>,
    /// Sections of the header's items, in order.
    pub(super) runs: Vec<(u64, u64)>,
}

/// A GPP string of this one section.
pub(super) fn gpp_of_one(random: &mut Random, id: u16, section: &str) -> String {
    header(random, &[(u64::from(id), u64::from(id))]) + "~" + section
}

/// A GPP string.
pub(super) fn gpp(random: &mut Random) -> Gpp {
    let mut sections = Vec::new();
    if random.chance(30) {
        sections.push((2, Tc::random(random).text(random)));
    }
    if random.chance(30) {
        sections.push((6, format!("1{}{}{}", yes_no(random), yes_no(random), yes_no(random))));
    }
    let percent = [5, 20, 60][usize::try_from(random.below(3)).unwrap()];
    for layout in US_SECTIONS {
        if random.chance(percent) && sections.last().is_none_or(|(id, _)| *id != layout.0) {
            let has_gpc = ![9, 11, 13].contains(&layout.0) && random.chance(50);
            sections.push((layout.0, us_section(random, layout, has_gpc)));
        }
    }
    let runs = runs(random, &sections.iter().map(|(id, _)| u64::from(*id)).collect::<Vec<_>>());
    let header = header(random, &runs);
    let text = sections.iter().fold(header, |text, (_, section)| text + "~" + section);
    Gpp { text, sections, runs }
}

fn yes_no(random: &mut Random) -> char {
    ['Y', 'N', '-'][usize::try_from(random.below(3)).unwrap()]
}

/// Ids as single items, or runs of them as groups.
fn runs(random: &mut Random, ids: &[u64]) -> Vec<(u64, u64)> {
    let grouped = random.chance(50);
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &id in ids {
        match runs.last_mut() {
            Some((_, end)) if grouped && *end + 1 == id => *end = id,
            _ => runs.push((id, id)),
        }
    }
    runs
}

fn header(random: &mut Random, runs: &[(u64, u64)]) -> String {
    let mut writer = Writer::default();
    writer.put(3, 6).put(1, 6).put(runs.len() as u64, 12);
    let mut last = 0;
    for &(start, end) in runs {
        writer.put(u64::from(start != end), 1);
        fibonacci(&mut writer, start - last);
        if start != end {
            fibonacci(&mut writer, end - start);
        }
        last = end;
    }
    writer.text(random)
}

fn fibonacci(writer: &mut Writer, mut number: u64) {
    let mut terms = vec![1, 2];
    while terms[terms.len() - 1] <= number {
        terms.push(terms[terms.len() - 1] + terms[terms.len() - 2]);
    }
    let largest = terms.iter().rposition(|term| *term <= number).unwrap();
    let mut code = vec![0; largest + 1];
    for at in (0..=largest).rev() {
        if terms[at] <= number {
            number -= terms[at];
            code[at] = 1;
        }
    }
    for bit in code.into_iter().chain([1]) {
        writer.put(bit, 1);
    }
}

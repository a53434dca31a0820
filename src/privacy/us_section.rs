//! The US sections of GPP (7–23): where each keeps its opt-outs, and what a section says.
//!
//! All of them are fixed fields of two bits behind a six-bit version: notices 0 n/a, 1 given, 2 not given; opt-outs 0 n/a,
//! 1 opted out, 2 did not; consents 0 n/a, 1 no, 2 yes; modes 0 n/a, 1 yes, 2 no. Sections 24–27 are framed differently
//! and no real string of them has been seen: they count as unreadable.

use super::bits::Bits;

/// What one US section says, as far as identity is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, one for each condition of the table")]
pub struct UsSection {
    /// Something is said about a known child, whatever it is.
    pub child: bool,
    /// Sale, sharing or targeted advertising opted out of, GPC on, or service-provider mode.
    pub opted_out: bool,
    /// A notice was not given, or an opt-out declined without the notice that offers it.
    pub contradictory: bool,
    /// The id, the version, or some of the text cannot be understood. What can be is said all the same.
    pub unreadable: bool,
}

impl UsSection {
    /// Reads section `id` (7–23) as far as it goes: a field that cannot be read takes nothing away from one that can.
    pub fn parse(id: u16, text: &str) -> Self {
        let mut versions = LAYOUTS.iter().filter(|layout| layout.id == id).peekable();
        if versions.peek().is_none() {
            return Self { unreadable: true, ..Self::default() };
        }
        let mut segments = text.split('.');
        let (core, whole) = Bits::prefix(segments.next().unwrap_or_default());
        let version = core.peek(0, 6);
        let layout = versions.find(|layout| version == Some(u64::from(layout.version)));
        let mut section = layout.map_or(Self::default(), |layout| layout.read(core));
        section.unreadable |= layout.is_none() || !whole;
        for segment in segments {
            let (mut bits, whole) = Bits::prefix(segment);
            let (kind, first) = (bits.take(2), bits.flag());
            section.opted_out |= kind == Some(GPC) && first == Some(true);
            section.unreadable |= kind.is_none() || !whole;
        }
        section
    }

    /// Both sections together: what either says, counts.
    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            child: self.child | other.child,
            opted_out: self.opted_out | other.opted_out,
            contradictory: self.contradictory | other.contradictory,
            unreadable: self.unreadable | other.unreadable,
        }
    }
}

/// Type of the subsection that holds GPC.
const GPC: u64 = 1;

/// Bit offsets of one section's fields.
struct Layout {
    id: u16,
    version: u8,
    /// The notice that stands for all of them, where there is one.
    notice: Option<usize>,
    /// Each opt-out with the notice that offers it.
    opt_outs: &'static [(usize, usize)],
    /// Known-child entries: offset and length. The mode stands behind them, so that they are there where it is.
    child: (usize, usize),
    service_provider: usize,
}

impl Layout {
    fn read(&self, core: Bits<'_>) -> UsSection {
        let mut section = UsSection::default();
        let mut field = |at| {
            let value = core.peek(at, 2).filter(|&value| value < 3);
            section.unreadable |= value.is_none();
            value
        };
        let (mut opted_out, mut contradictory) = (false, false);
        if let Some(at) = self.notice {
            contradictory |= field(at) == Some(2);
        }
        for &(notice_at, at) in self.opt_outs {
            let (notice, opt_out) = (field(notice_at), field(at));
            opted_out |= opt_out == Some(1);
            contradictory |= notice == Some(2) || (opt_out == Some(2) && notice == Some(0));
        }
        opted_out |= field(self.service_provider) == Some(1);
        let (at, length) = self.child;
        let entries = (at..at + length).step_by(2).map(|at| core.peek(at, 2));
        let child = entries.flatten().any(|entry| entry != 0);
        UsSection { child, opted_out, contradictory, ..section }
    }
}

/// A state section of the usual build: sharing or processing notice at 6, sale and targeted advertising behind it.
const fn state(id: u16, child: (usize, usize), service_provider: usize) -> Layout {
    Layout { id, version: 1, notice: Some(6), opt_outs: &[(8, 12), (10, 14)], child, service_provider }
}

/// As [`state`], with one more notice (sensitive data) before the opt-outs.
const fn state_with_sensitive_notice(id: u16, child: (usize, usize), service_provider: usize) -> Layout {
    let opt_outs = &[(8, 14), (10, 16)];
    Layout { id, version: 1, notice: Some(6), opt_outs, child, service_provider }
}

/// US national: the two versions differ behind the opt-outs.
const fn national(version: u8, child: (usize, usize), service_provider: usize) -> Layout {
    let opt_outs = &[(8, 18), (10, 20), (12, 22)];
    Layout { id: 7, version, notice: Some(6), opt_outs, child, service_provider }
}

static LAYOUTS: [Layout; 18] = [
    national(1, (48, 4), 58),
    national(2, (56, 6), 68),
    // California: sale and sharing, no notice for all.
    Layout {
        id: 8,
        version: 1,
        notice: None,
        opt_outs: &[(6, 12), (8, 14)],
        child: (34, 4),
        service_provider: 44,
    },
    state(9, (32, 2), 38),                        // Virginia
    state(10, (30, 2), 36),                       // Colorado
    state_with_sensitive_notice(11, (34, 2), 40), // Utah
    state(12, (32, 6), 42),                       // Connecticut
    state(13, (32, 6), 44),                       // Florida
    state(14, (32, 6), 44),                       // Montana
    state(15, (38, 6), 50),                       // Oregon
    state(16, (32, 2), 40),                       // Texas
    state(17, (34, 10), 50),                      // Delaware
    state_with_sensitive_notice(18, (34, 2), 40), // Iowa
    state(19, (32, 2), 40),                       // Nebraska
    state(20, (32, 6), 44),                       // New Hampshire
    state(21, (36, 10), 52),                      // New Jersey
    state(22, (32, 2), 40),                       // Tennessee
    state(23, (32, 2), 40),                       // Minnesota
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::fixture::{BitWriter, us_section};

    #[test]
    fn each_opt_out_of_each_section_is_found() {
        for layout in &LAYOUTS {
            let clean = us_section(layout.version, &[]);
            assert_eq!(UsSection::parse(layout.id, &clean), UsSection::default(), "{}", layout.id);
            for &(_, at) in layout.opt_outs {
                let text = us_section(layout.version, &[(at, 2, 1)]);
                assert!(UsSection::parse(layout.id, &text).opted_out, "{} bit {at}", layout.id);
            }
            let text = us_section(layout.version, &[(layout.service_provider, 2, 1)]);
            assert!(UsSection::parse(layout.id, &text).opted_out, "{} mode", layout.id);
        }
    }

    #[test]
    fn every_known_child_entry_is_found() {
        for layout in &LAYOUTS {
            let (at, length) = layout.child;
            for entry in (at..at + length).step_by(2) {
                let text = us_section(layout.version, &[(entry, 2, 2)]);
                assert!(UsSection::parse(layout.id, &text).child, "{} bit {entry}", layout.id);
            }
        }
    }

    /// Texas has a known-child entry like its neighbours, so that its modes stand two bits further on than without one.
    #[test]
    fn texas_knows_children() {
        assert!(UsSection::parse(16, &us_section(1, &[(32, 2, 1)])).child);
        let mode = UsSection::parse(16, &us_section(1, &[(40, 2, 1)]));
        assert!(mode.opted_out && !mode.child);
        let option = UsSection::parse(16, &us_section(1, &[(38, 2, 1)]));
        assert_eq!(option, UsSection::default(), "the opt-out option mode is no opt-out");
    }

    #[test]
    fn contradictions_are_seen() {
        for layout in &LAYOUTS {
            for &(notice, at) in layout.opt_outs {
                let untold = us_section(layout.version, &[(notice, 2, 2)]);
                assert!(UsSection::parse(layout.id, &untold).contradictory, "{}", layout.id);
                let unoffered = us_section(layout.version, &[(at, 2, 2)]);
                assert!(UsSection::parse(layout.id, &unoffered).contradictory, "{}", layout.id);
                let declined = us_section(layout.version, &[(notice, 2, 1), (at, 2, 2)]);
                assert_eq!(UsSection::parse(layout.id, &declined), UsSection::default());
            }
        }
    }

    #[test]
    fn gpc_subsections_count_wherever_they_stand() {
        let core = us_section(1, &[]);
        assert!(UsSection::parse(8, &format!("{core}.YA")).opted_out);
        assert!(!UsSection::parse(8, &format!("{core}.QA")).opted_out);
        assert!(UsSection::parse(8, &format!("{core}.AA.YA")).opted_out);
        assert_eq!(UsSection::parse(8, &format!("{core}.")), UNREADABLE);
    }

    const UNREADABLE: UsSection =
        UsSection { child: false, opted_out: false, contradictory: false, unreadable: true };

    #[test]
    fn what_cannot_be_understood_says_nothing() {
        let core = us_section(1, &[]);
        let cut: String = core.chars().take(7).collect();
        assert_eq!(UsSection::parse(8, &cut), UNREADABLE, "46 bits cut to 42");
        assert_eq!(UsSection::parse(8, &us_section(2, &[(12, 2, 1)])), UNREADABLE, "version 2");
        assert_eq!(UsSection::parse(8, &us_section(1, &[(12, 2, 3)])), UNREADABLE, "no such value");
        assert_eq!(UsSection::parse(8, "B$VVVVVV"), UNREADABLE);
        assert_eq!(UsSection::parse(8, ""), UNREADABLE);
        for id in [5, 6, 24, 27, 28] {
            assert_eq!(UsSection::parse(id, &(core.clone() + ".YA")), UNREADABLE, "{id}");
        }
    }

    #[test]
    fn what_cannot_be_read_takes_nothing_from_what_can() {
        let opted_out = UsSection { opted_out: true, ..UNREADABLE };
        let child = UsSection { child: true, ..UNREADABLE };
        for layout in &LAYOUTS {
            let parse = |fields: &[_]| UsSection::parse(layout.id, &us_section(layout.version, fields));
            let mode = (layout.service_provider, 2, 3);
            assert_eq!(parse(&[(layout.child.0, 2, 1), mode]), child, "{}", layout.id);
            for &(notice, at) in layout.opt_outs {
                assert_eq!(parse(&[(at, 2, 1), mode]), opted_out, "{}", layout.id);
                assert_eq!(parse(&[(at, 2, 1), (notice, 2, 3)]), opted_out, "{}", layout.id);
            }
        }
        let core = us_section(1, &[(12, 2, 1)]);
        assert_eq!(UsSection::parse(8, &format!("{core}.")), opted_out, "an empty subsection");
        assert_eq!(UsSection::parse(8, &format!("{core}.$")), opted_out);
        assert_eq!(UsSection::parse(8, &format!("{core}=")), opted_out, "padding");
        assert_eq!(UsSection::parse(8, core.get(..3).unwrap()), opted_out, "cut behind the opt-out");
        let core = us_section(1, &[(34, 2, 1)]);
        assert_eq!(UsSection::parse(8, core.get(..6).unwrap()), child, "cut behind the first entry");
        assert_eq!(UsSection::parse(8, "B$AA.YA"), opted_out, "GPC behind a core that is none");
        assert_eq!(UsSection::parse(8, "$.YA"), opted_out);
        assert_eq!(UsSection::parse(8, "$.Y="), opted_out);
    }

    #[test]
    fn the_last_field_must_be_whole() {
        // Texas needs 42 bits, Virginia 40: six characters hold 36, seven hold 42.
        let mut bits = BitWriter::default();
        bits.put(1, 6).put(0, 36);
        for id in [9, 16] {
            assert_eq!(UsSection::parse(id, &bits.text_of(36)), UNREADABLE, "{id}");
            assert_eq!(UsSection::parse(id, &bits.text_of(42)), UsSection::default(), "{id}");
        }
    }
}

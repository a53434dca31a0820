//! Our readers of privacy strings against two that others wrote, on generated strings and on every published sample.

mod generate;
mod node;
mod readings;

use serde_json::Value;

use self::generate::{Random, Tc};
use self::readings::{GppReading, Probes, TcReading};

/// Strings of each kind.
const CASES: usize = 10_000;

/// Strings of the specifications and of their libraries' documentation.
const TC_SAMPLES: [&str; 5] = [
    "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA",
    "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAAAAAAAGBAAgAAAAAAAFAAECAAAgAAQARAEQAAAAAJAAIAAgAAAYQEAAAQmAgBC3ZAYzUw",
    "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA",
    "CPSG_8APSG_8ANwAAAENAwCAAAAAAAAAAAAAAAAAAAAA.QAAA.IAAA",
    "CLcVDxRMWfGmWAVAHCENAXCkAKDAADnAABRgA5mdfCKZuYJez-NQm0TBMYA4oCAAGQYIAAAAAAEAIAEgAA.argAC0gAAAAAAAAAAAA",
];
const GPP_SAMPLES: [&str; 5] = [
    "DBACNY~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN",
    "DBACNYA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN",
    "DBABMA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA",
    "DBABTA~1YNN",
    "DBABLA~BAAAAAAAAAA.QA",
];

#[test]
fn tc_strings_read_as_others_read_them() {
    let mut random = Random(1);
    let mut cases = Vec::new();
    for _ in 0..CASES {
        let tc = Tc::random(&mut random);
        let probes = Probes { vendors: tc.vendors_asked(), purposes: tc.purposes_asked() };
        let text = tc.text(&mut random);
        let ours = readings::tc(&text, &probes);
        assert_eq!(ours, as_meant(&tc, &probes), "{text}\n{tc:?}");
        let plain = Tc { restrictions: Vec::new(), ..tc }.text(&mut random);
        let unrestricted = TcReading { restrictions: Vec::new(), ..ours.clone() };
        assert_eq!(readings::tc_of_crate(&plain, &probes), unrestricted, "{plain}");
        cases.push((text, probes, ours));
    }
    for text in TC_SAMPLES {
        let probes = Probes { vendors: (1..=200).collect(), purposes: (1..=11).collect() };
        let ours = readings::tc(text, &probes);
        // The crate drops the tenths of a second, which strings of TCF 2.2 and later do not have.
        let in_seconds = TcReading { updated: ours.updated / 10 * 10, ..ours.clone() };
        assert_eq!(readings::tc_of_crate(text, &probes), in_seconds, "{text}");
        cases.push((text.to_owned(), probes, ours));
    }
    let strings: Vec<_> = cases.iter().map(|(text, ..)| ("tc", text.clone())).collect();
    let Some(answers) = node::decode(&strings) else { return };
    for ((text, probes, ours), answer) in cases.iter().zip(&answers) {
        assert_eq!(readings::tc_of_script(answer, probes), *ours, "{text}");
    }
}

/// What the generator meant.
fn as_meant(tc: &Tc, Probes { vendors: probes, .. }: &Probes) -> TcReading {
    let holds =
        |ranges: &[(u16, u16)], id: u16| ranges.iter().any(|(start, end)| (*start..=*end).contains(&id));
    let asked =
        |ranges: &[(u16, u16)]| probes.iter().copied().filter(|id| holds(ranges, *id)).collect::<Vec<_>>();
    let restricted = tc.restrictions.iter().flat_map(|(purpose, kind, ranges)| {
        asked(ranges).into_iter().map(move |vendor| (*purpose, *kind, vendor))
    });
    let mut restrictions: Vec<_> = restricted.collect();
    restrictions.sort_unstable();
    TcReading {
        updated: tc.updated,
        consents: tc.consents.clone(),
        interests: tc.interests.clone(),
        vendors: asked(&tc.vendors.ranges),
        vendor_interests: asked(&tc.vendor_interests.ranges),
        disclosed: tc.disclosed.as_ref().map(|list| asked(&list.ranges)),
        restrictions,
    }
}

#[test]
fn gpp_strings_read_as_others_read_them() {
    let mut random = Random(2);
    let mut cases: Vec<(String, GppReading)> = Vec::new();
    for _ in 0..CASES {
        let generate::Gpp { text, sections, runs } = generate::gpp(&mut random);
        let ours = readings::gpp(&text);
        let meant: Vec<u16> = sections.iter().map(|(id, _)| *id).collect();
        assert_eq!(ours.keys().copied().collect::<Vec<_>>(), meant, "{text}");
        if crate_reads(&runs) {
            assert_eq!(readings::ids_of_crate(&text), meant, "{text}");
        }
        for (id, section) in &sections {
            let alone = generate::gpp_of_one(&mut random, *id, section);
            assert_eq!(readings::section_of_crate(&alone), ours[id], "{alone}");
        }
        cases.push((text, ours));
    }
    for text in GPP_SAMPLES {
        let ours = readings::gpp(text);
        assert_eq!(readings::ids_of_crate(text), ours.keys().copied().collect::<Vec<_>>(), "{text}");
        cases.push((text.to_owned(), ours));
    }
    for place in 0..3 {
        let said = cases.iter().filter(|(_, ours)| ours.values().any(|said| said[place])).count();
        assert!(said > CASES / 50 && said < CASES, "{said} of all strings say yes to {place}");
    }
    let strings: Vec<_> = cases.iter().map(|(text, _)| ("gpp", text.clone())).collect();
    let Some(answers) = node::decode(&strings) else { return };
    let differing =
        cases.iter().zip(&answers).filter(|((_, ours), answer)| readings::gpp_of_script(answer) != *ours);
    let differing: Vec<(&str, &Value)> =
        differing.map(|((text, _), answer)| (text.as_str(), answer)).collect();
    assert!(differing.is_empty(), "{} differ, the first: {:?}", differing.len(), differing.first());
}

/// Whether the crate reads such a header: behind a single id that is not the first it counts on from that item's step instead
/// of the id it came to, so that whatever follows is another id.
fn crate_reads(runs: &[(u64, u64)]) -> bool {
    let inner = runs.get(1..runs.len().saturating_sub(1)).unwrap_or_default();
    inner.iter().all(|(start, end)| start != end)
}

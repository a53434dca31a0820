//! What a decoder reads in a string, in one form for all of them: ours, the `iab_gpp` crate, the IAB's JavaScript.

use std::collections::BTreeMap;

use iab_gpp::sections::SectionId;
use iab_gpp::sections::tcfeuv2::TcfEuV2;
use iab_gpp::v1::GPPString;
use serde_json::Value;
use uid2_gateway::privacy::gpp::Gpp;
use uid2_gateway::privacy::tcf::TcString;
use uid2_gateway::privacy::us_privacy::UsPrivacy;
use uid2_gateway::privacy::us_section::UsSection;

/// What a TC string says, of the vendors asked about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct TcReading {
    /// Deciseconds.
    pub(super) updated: u64,
    pub(super) consents: Vec<u8>,
    pub(super) interests: Vec<u8>,
    pub(super) vendors: Vec<u16>,
    pub(super) vendor_interests: Vec<u16>,
    pub(super) disclosed: Option<Vec<u16>>,
    /// Purpose, type, vendor; sorted.
    pub(super) restrictions: Vec<(u8, u8, u16)>,
}

/// What is asked of a TC string.
#[derive(Clone, Debug)]
pub(super) struct Probes {
    pub(super) vendors: Vec<u16>,
    /// Those whose restrictions are asked about.
    pub(super) purposes: Vec<u8>,
}

/// What a GPP string says: of each section its id, and for the US ones what counts for identity.
pub(super) type GppReading = BTreeMap<u16, Said>;

/// Child, opted out, contradictory.
pub(super) type Said = [bool; 3];

/// Ours.
pub(super) fn tc(text: &str, probes: &Probes) -> TcReading {
    let Probes { vendors: probes, purposes } = probes;
    let tc = TcString::parse(text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
    let asked =
        |holds: &dyn Fn(u16) -> bool| probes.iter().copied().filter(|id| holds(*id)).collect::<Vec<_>>();
    let mut restrictions = Vec::new();
    for (purpose, vendor) in
        purposes.iter().flat_map(|purpose| probes.iter().map(move |vendor| (*purpose, *vendor)))
    {
        let found = tc.restriction(purpose, vendor);
        let kinds = [found.forbidden, found.consent_only, found.interest_only];
        restrictions
            .extend((0..).zip(kinds).filter(|(_, holds)| *holds).map(|(kind, _)| (purpose, kind, vendor)));
    }
    restrictions.sort_unstable();
    TcReading {
        updated: tc.last_updated(),
        consents: (1..=24).filter(|purpose| tc.purpose_consent(*purpose)).collect(),
        interests: (1..=24).filter(|purpose| tc.purpose_interest(*purpose)).collect(),
        vendors: asked(&|id| tc.vendor_consent(id)),
        vendor_interests: asked(&|id| tc.vendor_interest(id)),
        disclosed: tc.disclosed(1).map(|_| asked(&|id| tc.disclosed(id) == Some(true))),
        restrictions,
    }
}

/// The crate's. It reads restrictions as if each had a maximum of its own, which TCF does not have: of a string with
/// restrictions, nothing behind them holds, so it is asked without.
pub(super) fn tc_of_crate(text: &str, Probes { vendors: probes, .. }: &Probes) -> TcReading {
    let tc: TcfEuV2 = text.parse().unwrap_or_else(|fault| panic!("{fault}: {text}"));
    let small =
        |ids: &std::collections::BTreeSet<u16>| ids.iter().map(|id| u8::try_from(*id).unwrap()).collect();
    let asked = |ids: &std::collections::BTreeSet<u16>| {
        probes.iter().copied().filter(|id| ids.contains(id)).collect::<Vec<_>>()
    };
    TcReading {
        updated: tc.core.last_updated * 10,
        consents: small(&tc.core.purpose_consents),
        interests: small(&tc.core.purpose_legitimate_interests),
        vendors: asked(&tc.core.vendor_consents),
        vendor_interests: asked(&tc.core.vendor_legitimate_interests),
        disclosed: tc.disclosed_vendors.as_ref().map(asked),
        restrictions: Vec::new(),
    }
}

/// JavaScript's, from what the script printed.
pub(super) fn tc_of_script(answer: &Value, Probes { vendors: probes, .. }: &Probes) -> TcReading {
    let said = &answer["ok"];
    assert!(said.is_object(), "{answer}");
    let ids = |value: &Value| -> Vec<u16> {
        let all = value.as_array().unwrap_or_else(|| panic!("{answer}"));
        all.iter().map(|id| u16::try_from(id.as_u64().unwrap()).unwrap()).collect()
    };
    let asked = |value: &Value| {
        let ids = ids(value);
        probes.iter().copied().filter(|id| ids.contains(id)).collect::<Vec<_>>()
    };
    let small = |value: &Value| ids(value).into_iter().map(|id| u8::try_from(id).unwrap()).collect();
    let restriction = |triple: &Value| match ids(triple).as_slice() {
        [purpose, kind, vendor] => (u8::try_from(*purpose).unwrap(), u8::try_from(*kind).unwrap(), *vendor),
        other => panic!("{other:?}"),
    };
    let mut restrictions: Vec<_> = said["restrictions"].as_array().unwrap().iter().map(restriction).collect();
    restrictions.retain(|(_, _, vendor)| probes.contains(vendor));
    restrictions.sort_unstable();
    TcReading {
        updated: said["updated"].as_u64().unwrap(),
        consents: small(&said["consents"]),
        interests: small(&said["interests"]),
        vendors: asked(&said["vendors"]),
        vendor_interests: asked(&said["vendor_interests"]),
        disclosed: Some(&said["disclosed"]).filter(|value| !value.is_null()).map(asked),
        restrictions,
    }
}

/// Ours.
pub(super) fn gpp(text: &str) -> GppReading {
    let gpp = Gpp::parse(text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
    gpp.sections().map(|(id, section)| (id, said(id, section, text))).collect()
}

fn said(id: u16, section: &str, text: &str) -> Said {
    match id {
        2 => Said::default(),
        6 => [false, UsPrivacy::parse(section) == Some(UsPrivacy::OptedOut), false],
        _ => {
            let read = UsSection::parse(id, section);
            assert!(!read.unreadable, "section {id} of {text}");
            [read.child, read.opted_out, read.contradictory]
        }
    }
}

/// The crate's, of a string with one section.
pub(super) fn section_of_crate(text: &str) -> Said {
    let gpp: GPPString = text.parse().unwrap_or_else(|fault| panic!("{fault}: {text}"));
    let [id] = *gpp.section_ids().collect::<Vec<_>>() else { panic!("{text}") };
    if *id == SectionId::TcfEuV2 {
        return Said::default();
    }
    let section = gpp.decode_section(*id).unwrap_or_else(|fault| panic!("{id}: {fault}: {text}"));
    // { "UsCa": { "core": …, "gpc": … } }
    of_tree(&serde_json::to_value(section).unwrap())
}

/// The ids that the crate reads in a header.
pub(super) fn ids_of_crate(text: &str) -> Vec<u16> {
    let gpp: GPPString = text.parse().unwrap_or_else(|fault| panic!("{fault}: {text}"));
    gpp.section_ids().map(|id| *id as u16).collect()
}

/// JavaScript's, from what the script printed.
pub(super) fn gpp_of_script(answer: &Value) -> GppReading {
    let ids = answer["ok"]["sections"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let read = |id: &Value| {
        let said = answer["ok"]["said"].get(id.to_string());
        (u16::try_from(id.as_u64().unwrap()).unwrap(), said.map_or(Said::default(), of_tree))
    };
    ids.iter().map(read).collect()
}

/// The rules for one section, over the names of its fields, whoever spells them.
fn of_tree(tree: &Value) -> Said {
    let mut fields = Vec::new();
    flatten(tree, String::new(), &mut fields);
    let is = |name: &str, value: u8| {
        fields.iter().any(|(path, said)| path.ends_with(&format!("/{name}")) && *said == value)
    };
    let child = fields.iter().any(|(path, said)| path.contains("knownchild") && *said != 0);
    let opt_outs = ["saleoptout", "sharingoptout", "targetedadvertisingoptout", "optoutsale"];
    let opted_out =
        opt_outs.iter().any(|name| is(name, 1)) || is("mspaserviceprovidermode", 1) || is("gpc", 1);
    let unoffered = |name: &&str| is(name, 2) && is(&format!("{name}notice"), 0);
    let untold = |name: &&str| is(&format!("{name}notice"), 2);
    let contradictory = opt_outs.iter().any(|name| unoffered(name) || untold(name))
        || is("sharingnotice", 2)
        || is("processingnotice", 2);
    [child, opted_out, contradictory]
}

/// Leaves with their path in small letters, as 0 (n/a), 1 or 2.
fn flatten(tree: &Value, path: String, out: &mut Vec<(String, u8)>) {
    match tree {
        Value::Object(members) => {
            for (name, value) in members {
                let name = name.replace('_', "").to_ascii_lowercase();
                flatten(value, format!("{path}/{name}"), out);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| flatten(value, path.clone(), out)),
        Value::Null => {}
        Value::Bool(set) => out.push((path, u8::from(*set))),
        Value::Number(number) => out.push((path, u8::try_from(number.as_u64().unwrap()).unwrap())),
        Value::String(word) => {
            let ones = ["OptedOut", "Provided", "NoConsent", "Yes", "Y"];
            let value = if ones.contains(&word.as_str()) { 1 } else { 2 };
            out.push((path, if ["NotApplicable", "-"].contains(&word.as_str()) { 0 } else { value }));
        }
    }
}

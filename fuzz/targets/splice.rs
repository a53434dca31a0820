//! Invariant: whatever edit is applied to whatever request is accepted, the result is accepted again, holds our EID
//! exactly when it was added, and holds no EID of a source that was to be stripped; `gpc` is there when it was to be
//! filled in.
#![cfg_attr(not(test), no_main)]

use bytes::Bytes;
use uid2_gateway::openrtb::{BidRequest, Dialect, Edit, Limits, NewEid, RtiPartner, RtiPlace, Strip, plan};

const SOURCE: &str = "uidapi.com";
const EID: NewEid<'_> = NewEid {
    source: SOURCE,
    id: "A4AAAABtoken-_",
    inserter: Some("a\"b.example"),
    rti_partner: None,
    replace: true,
};

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    let Ok(request) = BidRequest::parse(Bytes::copy_from_slice(data), &Limits::default()) else { return };
    // Options from the length, so that whole bid requests are useful seeds.
    let options = data.len().wrapping_mul(31).to_le_bytes()[0];
    for place in [None, Some(RtiPlace::UidExt), Some(RtiPlace::UidFlat), Some(RtiPlace::EidExt)] {
        let rti_partner = place.map(|place| RtiPartner { place, value: "U\"D2" });
        edited(&request, options, NewEid { rti_partner, ..EID });
    }
}

fn edited(request: &BidRequest, options: u8, eid: NewEid<'_>) {
    let edit = Edit {
        dialect: [Dialect::V26, Dialect::V25, Dialect::Both, Dialect::AsReceived][usize::from(options & 3)],
        strip: [Strip::Nothing, Strip::Sources(&[SOURCE]), Strip::All][usize::from(options >> 2 & 3) % 3],
        add: (options & 16 != 0).then_some(eid),
        remove_user_id: options & 32 != 0,
        fill_gpc: options & 128 != 0,
    };
    let tmax = (options & 64 != 0).then_some(123);
    let edited: Vec<u8> = plan(request, &edit).segments(request, tmax).concat();
    // A result may nest deeper, and hold more EIDs: in both places, or one more.
    let limits = Limits { max_depth: 128, max_eids: usize::MAX };
    let again = BidRequest::parse(Bytes::from(edited), &limits).expect("the result is a request");
    assert_eq!(request.id_raw(), again.id_raw());
    if edit.fill_gpc && request.wrong_type().is_none() {
        let nothing = Edit { add: None, strip: Strip::Nothing, remove_user_id: false, ..edit };
        assert!(plan(&again, &nothing).is_noop(), "gpc is missing still");
    }
    let ours_is_new =
        edit.add.is_some() && request.wrong_type().is_none() && !request.eids().has_source(SOURCE);
    if ours_is_new && eid.rti_partner.is_some() {
        let (body, partner) = (again.body(), br#""rtiPartner":"U\"D2""#);
        assert!(body.windows(partner.len()).any(|text| text == partner), "rtiPartner is missing");
    }
    assert_eq!(again.tmax(), request.tmax().map(|old| tmax.unwrap_or(old)));
    match (request.wrong_type().is_none() && edit.add.is_some(), edit.strip) {
        (true, _) => assert!(again.eids().has_source(SOURCE), "ours is missing"),
        (false, Strip::Sources(_)) => assert!(!again.eids().has_source(SOURCE), "a stripped source survived"),
        (false, Strip::All) => assert!(!again.eids().any(), "an EID survived"),
        (false, Strip::Nothing) => {}
    }
}

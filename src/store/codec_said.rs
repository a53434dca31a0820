//! What was said of a user's privacy, as bytes of a record's body.
//!
//! ```text
//! flags 2 | the texts that are there: consent, us_privacy, gpp | where there is a list of sections: count 1, 4 bytes each
//! flags   bit 0 coppa, 1 gpc, 2–3 gdpr, 4–5 notice (0 not said, 1 no, 2 yes), 6 consent, 7 us_privacy, 8 gpp, 9 gpp_sid
//! text    length 2, bytes
//! ```

use crate::privacy::Said;

use super::codec::{CodecError, Cursor, text};

const COPPA: u16 = 1;
const GPC: u16 = 1 << 1;
const GDPR_AT: u32 = 2;
const NOTICE_AT: u32 = 4;
const CONSENT: u16 = 1 << 6;
const US_PRIVACY: u16 = 1 << 7;
const GPP: u16 = 1 << 8;
const GPP_SID: u16 = 1 << 9;
const ALL: u16 = (1 << 10) - 1;

pub(super) fn encode(out: &mut Vec<u8>, said: &Said) -> Result<(), CodecError> {
    let texts = [
        (CONSENT, "consent", &said.consent),
        (US_PRIVACY, "us_privacy", &said.us_privacy),
        (GPP, "gpp", &said.gpp),
    ];
    let mut flags = answer_bits(said.gdpr) << GDPR_AT | answer_bits(said.notice) << NOTICE_AT;
    let mut set = |bit, is_set| flags |= if is_set { bit } else { 0 };
    set(COPPA, said.coppa);
    set(GPC, said.gpc);
    set(GPP_SID, said.gpp_sid.is_some());
    for (bit, _, value) in &texts {
        set(*bit, value.is_some());
    }
    out.extend_from_slice(&flags.to_le_bytes());
    for (_, field, value) in texts {
        if let Some(value) = value {
            text(out, field, value.as_bytes())?;
        }
    }
    if let Some(sections) = &said.gpp_sid {
        out.push(u8::try_from(sections.len()).map_err(|_| CodecError::TooLong("gpp_sid"))?);
        out.extend(sections.iter().flat_map(|id| id.to_le_bytes()));
    }
    Ok(())
}

pub(super) fn decode(from: &mut Cursor<'_>) -> Result<Said, CodecError> {
    let flags = u16::from_le_bytes(from.array("privacy")?);
    let [low, high] = flags.to_le_bytes();
    if flags & !ALL != 0 {
        return Err(CodecError::Unknown { field: "privacy", value: high });
    }
    let bits = |at: u32| match (flags >> at) & 3 {
        0 => Ok(None),
        1 => Ok(Some(false)),
        2 => Ok(Some(true)),
        _ => Err(CodecError::Unknown { field: "privacy", value: low }),
    };
    let mut said = Said {
        coppa: flags & COPPA != 0,
        gpc: flags & GPC != 0,
        gdpr: bits(GDPR_AT)?,
        notice: bits(NOTICE_AT)?,
        ..Said::default()
    };
    for (bit, field, value) in [
        (CONSENT, "consent", &mut said.consent),
        (US_PRIVACY, "us_privacy", &mut said.us_privacy),
        (GPP, "gpp", &mut said.gpp),
    ] {
        if flags & bit != 0 {
            *value = Some(from.utf8(field)?);
        }
    }
    if flags & GPP_SID != 0 {
        let count = from.byte("gpp_sid")?;
        let section = |_| from.array("gpp_sid").map(i32::from_le_bytes);
        said.gpp_sid = Some((0..count).map(section).collect::<Result<_, _>>()?);
    }
    Ok(said)
}

const fn answer_bits(answer: Option<bool>) -> u16 {
    match answer {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(said: &Said) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, said).unwrap();
        out
    }

    #[test]
    fn nothing_said_takes_two_bytes() {
        assert_eq!(bytes(&Said::default()), [0, 0]);
    }

    #[test]
    fn at_most_255_sections_are_kept() {
        let of = |count| Said { gpp_sid: Some(vec![-1; count]), ..Said::default() };
        assert_eq!(decode(&mut Cursor(&bytes(&of(255)))), Ok(of(255)));
        assert_eq!(encode(&mut Vec::new(), &of(256)), Err(CodecError::TooLong("gpp_sid")));
    }

    #[test]
    fn bits_that_stand_for_nothing_are_refused() {
        let refused = |flags: u16| decode(&mut Cursor(&flags.to_le_bytes())).unwrap_err();
        assert_eq!(refused(1 << 10), CodecError::Unknown { field: "privacy", value: 4 });
        assert_eq!(refused(3 << GDPR_AT), CodecError::Unknown { field: "privacy", value: 12 });
        assert_eq!(refused(CONSENT), CodecError::Short("consent"));
    }

    proptest! {
        #[test]
        fn everything_comes_back(
            flags in proptest::array::uniform2(any::<bool>()),
            answers in proptest::array::uniform2(any::<Option<bool>>()),
            texts in proptest::array::uniform3(proptest::option::of("\\PC{0,20}")),
            gpp_sid in proptest::option::of(proptest::collection::vec(any::<i32>(), 0..6)),
        ) {
            let ([coppa, gpc], [gdpr, notice], [consent, us_privacy, gpp]) = (flags, answers, texts);
            let said = Said { gdpr, consent, us_privacy, gpp, gpp_sid, coppa, gpc, notice };
            let bytes = bytes(&said);
            let mut from = Cursor(&bytes);
            prop_assert_eq!(decode(&mut from), Ok(said));
            prop_assert!(from.0.is_empty());
        }
    }
}

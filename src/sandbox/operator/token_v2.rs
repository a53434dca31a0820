//! Advertising tokens of version 2: nested AES-CBC, no longer made by anybody, still read by DSPs (uid2-protocol §4.4).

use aes::Aes256;
use aes::cipher::{BlockCipherDecrypt, KeyInit};
use base64::Engine;

use super::encoding;
use super::keys::{Key, KeyRing};
use super::raw_uid::RawUid;
use super::reader::Reader;
use super::token::{Claims, Token, TokenFault, Version};
use crate::time::UnixMillis;
use crate::uid2::{DiiKind, Scope};

const BLOCK: usize = 16;

/// Opens what follows the version byte.
pub(super) fn open(rest: &[u8], keys: &KeyRing) -> Result<Token, TokenFault> {
    let mut outer = Reader::new(rest);
    let master = open_next(&mut outer, keys)?.1;
    let mut master = Reader::new(&master);
    let expires = master.millis().ok_or(TokenFault::Sealed)?;
    let (site_key, inner) = open_next(&mut master, keys)?;
    let claims = claims(&inner, expires).ok_or(TokenFault::Sealed)?;
    Ok(Token { version: Version::V2, site_key, claims })
}

/// Key id, IV, ciphertext to the end.
fn open_next(reader: &mut Reader<'_>, keys: &KeyRing) -> Result<(u32, Vec<u8>), TokenFault> {
    let id = reader.u32().ok_or(TokenFault::Sealed)?;
    let iv = reader.array().ok_or(TokenFault::Sealed)?;
    let key = keys.find(id).ok_or(TokenFault::UnknownKey)?;
    let plain = decrypt_cbc(key, iv, reader.rest()).ok_or(TokenFault::Sealed)?;
    Ok((id, plain))
}

fn claims(inner: &[u8], expires: UnixMillis) -> Option<Claims> {
    let mut inner = Reader::new(inner);
    let site = inner.i32()?;
    let length = usize::try_from(inner.u32()?).ok()?;
    let raw_uid = RawUid::from_bytes(&encoding::LENIENT.decode(inner.slice(length)?).ok()?)?;
    let privacy_bits = inner.u32()?;
    let established = inner.millis()?;
    // Version 2 knows neither scope nor kind nor its own creation.
    Some(Claims {
        scope: Scope::Uid2,
        kind: DiiKind::Email,
        site,
        privacy_bits,
        established,
        created: established,
        expires,
        raw_uid,
    })
}

fn decrypt_cbc(key: &Key, iv: [u8; BLOCK], sealed: &[u8]) -> Option<Vec<u8>> {
    let cipher = Aes256::new(key.secret.expose().into());
    let (blocks, []) = sealed.as_chunks::<BLOCK>() else { return None };
    let mut before = iv;
    let mut plain = Vec::with_capacity(sealed.len());
    for block in blocks {
        let mut open = (*block).into();
        cipher.decrypt_block(&mut open);
        plain.extend(open.iter().zip(before).map(|(byte, mask)| byte ^ mask));
        before = *block;
    }
    unpad(&mut plain)?;
    Some(plain)
}

/// Takes off PKCS#7 padding.
fn unpad(plain: &mut Vec<u8>) -> Option<()> {
    let last = *plain.last()?;
    let padding = usize::from(last);
    let start = plain.len().checked_sub(padding)?;
    let legal = (1..=BLOCK).contains(&padding) && plain.get(start..)?.iter().all(|byte| *byte == last);
    legal.then(|| plain.truncate(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_1_to_16_equal_bytes() {
        let unpadded = |bytes: &[u8]| {
            let mut plain = bytes.to_vec();
            unpad(&mut plain).map(|()| plain.len())
        };
        assert_eq!(unpadded(&[9, 9, 1]), Some(2));
        assert_eq!(unpadded(&[16; 16]), Some(0));
        assert_eq!(unpadded(&[17; 17]), None);
        assert_eq!(unpadded(&[9, 0]), None);
        assert_eq!(unpadded(&[1, 2]), None);
        assert_eq!(unpadded(&[5]), None);
        assert_eq!(unpadded(&[]), None);
    }
}

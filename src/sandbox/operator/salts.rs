//! Salts: which bucket an identity falls into, and what its raw UID is made with (uid2-protocol §4.1–4.2).

use super::hashids::Hashids;
use crate::time::UnixMillis;

/// Lines of a production salt file, for which the index is used without a modulus.
const FULL_COUNT: usize = 1_048_576;
/// 2025-08-01 and 2027-08-01, UTC: the sandbox's salts count as rotated and due then.
const LAST_UPDATED: UnixMillis = UnixMillis(1_754_006_400_000);
const REFRESH_FROM: UnixMillis = UnixMillis(1_817_078_400_000);
/// Least length of an encoded bucket id, without its prefix.
const BUCKET_ID_CHARS: usize = 9;

/// A snapshot of all salts.
#[derive(Clone, Debug)]
pub struct Salts {
    /// Mixed into every identity before the bucket is known.
    pub first_level: String,
    /// Stands before every encoded bucket id.
    pub id_prefix: String,
    /// The salt of the encoded bucket ids.
    pub id_secret: String,
    /// Never empty.
    pub buckets: Vec<Bucket>,
}

/// One line of the salt file.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// The number behind the bucket id.
    pub id: u64,
    /// When the current material was made.
    pub last_updated: UnixMillis,
    /// When it is due to change.
    pub refresh_from: UnixMillis,
    /// What raw UIDs are made with now.
    pub current: Material,
    /// What they were made with before.
    pub previous: Option<Material>,
}

/// The secret of a bucket. Its kind decides the version of the raw UID.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Material {
    /// Raw UID v2 or v3.
    Salt(String),
    /// Raw UID v4.
    Key {
        /// Its low 24 bits stand in the raw UID.
        id: u32,
        /// 32 ASCII characters, used as they stand.
        key: [u8; 32],
        /// Mixed into the IV.
        salt: String,
    },
}

impl Salts {
    /// The bucket of a first-level hash.
    pub fn bucket_of(&self, first_level_hash: &[u8; 32]) -> &Bucket {
        let [b0, b1, b2, ..] = first_level_hash.map(usize::from);
        // The low nibble of the third byte, not the high one.
        let index = b0 << 12 | b1 << 4 | b2 & 0x0f;
        let count = self.buckets.len();
        &self.buckets[if count == FULL_COUNT { index } else { index % count }]
    }

    /// The bucket's id as clients see it.
    pub fn bucket_id(&self, bucket: &Bucket) -> String {
        let hashids = Hashids::new(&self.id_secret, BUCKET_ID_CHARS);
        format!("{}{}", self.id_prefix, hashids.encode(bucket.id))
    }
}

/// The public test data of the operator's mock storage: five buckets, two of them of the older kind.
impl Default for Salts {
    fn default() -> Self {
        let salt = |text: &str| Material::Salt(text.to_owned());
        let key = |id, key: &[u8; 32], salt: &str| Material::Key { id, key: *key, salt: salt.to_owned() };
        let materials = [
            salt("vgv1BwiNRCW7F3VcNXHlZh+7oHJ4G4gCshbGcVOLnss="),
            salt("vgv1BwiNRCW7F3VcNXHlZh+7oHJ4G4gCshbGcVOLnst="),
            key(2_100_002, b"key12345key12345key12345key12340", "salt1234salt1234salt1234salt1230"),
            key(2_000_003, b"key12345key12345key12345key12346", "salt1234salt1234salt1234salt1235"),
            key(2_000_004, b"key12345key12345key12345key12347", "salt1234salt1234salt1234salt1236"),
        ];
        let bucket = |(id, current)| Bucket {
            id,
            last_updated: LAST_UPDATED,
            refresh_from: REFRESH_FROM,
            current,
            previous: None,
        };
        Self {
            first_level: "fOGY/aRE44peL23i+cE9MkJrzmEeNZZziNZBfq7qqk8=".to_owned(),
            id_prefix: "b".to_owned(),
            id_secret: "HF6Qz42HBbVHINxhh191dB09BCuTWyBkNtrNicO4ZCw=".to_owned(),
            buckets: (1_000_000..).zip(materials).map(bucket).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_takes_the_low_nibble_of_the_third_byte() {
        let salts = Salts::default();
        let of = |bytes: [u8; 3]| {
            let mut hash = [0xee; 32];
            hash[..3].copy_from_slice(&bytes);
            salts.bucket_of(&hash).id
        };
        assert_eq!(of([0, 0, 0x30]), 1_000_000);
        assert_eq!(of([0, 0, 0x03]), 1_000_003);
        assert_eq!(of([0, 1, 0]), 1_000_001);
        assert_eq!(of([1, 0, 0]), 1_000_001);
    }

    #[test]
    fn bucket_ids_have_their_prefix() {
        let salts = Salts::default();
        assert_eq!(salts.bucket_id(&salts.buckets[0]), "bKaoveQoPR");
        assert_eq!(salts.bucket_id(&salts.buckets[4]), "be58Mjz13q");
    }
}

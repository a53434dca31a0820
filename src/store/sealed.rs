//! A record as it lies on disk: a short clear header, then the sealed body, bound to header and key.
//!
//! ```text
//! version 1 | scope 1 | environment 1 | generation 8 | keep_until 8 | sealed body
//! ```
//!
//! Compare-and-swap and the sweep need the header alone, so they open nothing, and a record whose body is lost can
//! still be replaced by a new login.

use crate::time::UnixMillis;
use crate::uid2::{Environment, Scope};

use super::codec::{self, CodecError, Cursor};
use super::error::StoreError;
use super::key::{RecordKey, environment_byte};
use super::record::{Record, Standing};
use super::seal::{KeyRing, OVERHEAD};

const VERSION: u8 = 2;
/// Bytes of the clear header.
pub(super) const HEADER: usize = 19;
const DOMAIN: &[u8; 14] = b"uid2gw/record/";

/// The clear part of a record.
#[derive(Clone, Copy)]
struct Header {
    scope: Scope,
    environment: Environment,
    generation: u64,
    keep_until: UnixMillis,
}

impl Header {
    fn bytes(self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        let (head, times) = out.split_at_mut(3);
        head.copy_from_slice(&[VERSION, self.scope.bit(), environment_byte(self.environment)]);
        times[..8].copy_from_slice(&self.generation.to_le_bytes());
        times[8..].copy_from_slice(&self.keep_until.0.to_le_bytes());
        out
    }

    fn read(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut from = Cursor(bytes);
        match from.byte("version")? {
            VERSION => {}
            other => return Err(CodecError::Version(other)),
        }
        Ok(Self {
            scope: scope(from.byte("scope")?)?,
            environment: environment(from.byte("environment")?)?,
            generation: from.array("generation").map(u64::from_le_bytes)?,
            keep_until: from.time("keep_until")?,
        })
    }
}

fn scope(value: u8) -> Result<Scope, CodecError> {
    [Scope::Uid2, Scope::Euid]
        .into_iter()
        .find(|scope| scope.bit() == value)
        .ok_or(CodecError::Unknown { field: "scope", value })
}

fn environment(value: u8) -> Result<Environment, CodecError> {
    [Environment::Local, Environment::Test, Environment::Integration, Environment::Production]
        .into_iter()
        .find(|environment| environment_byte(*environment) == value)
        .ok_or(CodecError::Unknown { field: "environment", value })
}

/// Seals a record for the place under `key`.
pub(super) fn seal(ring: &KeyRing, key: &RecordKey, record: &Record) -> Result<Vec<u8>, StoreError> {
    let header = Header {
        scope: record.scope,
        environment: record.environment,
        generation: record.generation,
        keep_until: record.keep_until,
    }
    .bytes();
    let body = codec::encode(record)?;
    let mut out = Vec::with_capacity(HEADER + body.len() + OVERHEAD);
    out.extend_from_slice(&header);
    ring.seal(&bound_to(key, &header), &body, &mut out)?;
    Ok(out)
}

/// Opens what [`seal`] made for the same `key`.
pub(super) fn open(ring: &KeyRing, key: &RecordKey, bytes: &[u8]) -> Result<Record, StoreError> {
    let header = Header::read(bytes)?;
    let (clear, sealed) = bytes.split_first_chunk().ok_or(CodecError::Short("header"))?;
    let body = codec::decode(&ring.open(&bound_to(key, clear), sealed)?)?;
    Ok(Record {
        generation: header.generation,
        publisher: body.publisher,
        scope: header.scope,
        environment: header.environment,
        dii: body.dii,
        origin: body.origin,
        provider: body.provider,
        said: body.said,
        created: body.created,
        written: body.written,
        keep_until: header.keep_until,
        state: body.state,
    })
}

/// Generation and life time of a record, without opening it.
pub(super) fn peek(bytes: &[u8]) -> Result<Standing, CodecError> {
    let Header { generation, keep_until, .. } = Header::read(bytes)?;
    Ok(Standing { generation, keep_until })
}

fn bound_to(key: &RecordKey, header: &[u8; HEADER]) -> [u8; DOMAIN.len() + 32 + HEADER] {
    let mut out = [0; DOMAIN.len() + 32 + HEADER];
    let (domain, rest) = out.split_at_mut(DOMAIN.len());
    domain.copy_from_slice(DOMAIN);
    let (name, clear) = rest.split_at_mut(32);
    name.copy_from_slice(key.as_bytes());
    clear.copy_from_slice(header);
    out
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::super::seal::OpenError;
    use super::*;
    use crate::secret::Secret;

    fn ring() -> KeyRing {
        KeyRing::new(&Secret::new([1; 32]), &[])
    }

    #[test]
    fn a_record_comes_back_and_is_small() {
        let record = samples::record(5);
        let bytes = seal(&ring(), &samples::key(1), &record).unwrap();
        assert!(bytes.len() < 1_200, "{} bytes", bytes.len());
        assert_eq!(open(&ring(), &samples::key(1), &bytes), Ok(record.clone()));
        let standing = Standing { generation: 5, keep_until: record.keep_until };
        assert_eq!(peek(&bytes), Ok(standing));
    }

    #[test]
    fn a_record_moved_to_another_key_does_not_open() {
        let bytes = seal(&ring(), &samples::key(1), &samples::record(5)).unwrap();
        let moved = open(&ring(), &samples::key(2), &bytes);
        assert_eq!(moved, Err(StoreError::Sealed(OpenError::Refused)));
    }

    #[test]
    fn the_header_is_bound_to_the_body() {
        let bytes = seal(&ring(), &samples::key(1), &samples::record(5)).unwrap();
        let changed = |at: usize, to: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = to;
            open(&ring(), &samples::key(1), &bytes)
        };
        assert_eq!(changed(0, 1), Err(StoreError::Record(CodecError::Version(1))));
        let refused = Err(StoreError::Sealed(OpenError::Refused));
        assert_eq!(changed(1, 1), refused, "scope");
        assert_eq!(changed(2, b'P'), refused, "environment");
        assert_eq!(changed(3, 6), refused, "generation");
        assert_eq!(changed(11, 1), refused, "keep_until");
        let unknown = CodecError::Unknown { field: "environment", value: b'Q' };
        assert_eq!(changed(2, b'Q'), Err(StoreError::Record(unknown)));
        for length in 0..bytes.len() {
            assert!(open(&ring(), &samples::key(1), &bytes[..length]).is_err());
        }
    }
}

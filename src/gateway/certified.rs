//! Client certificates as credentials: the certificate itself, or a name in it.

use std::sync::Arc;

use super::directory::{Directory, KeyDigest, Publisher};

/// A prefix of names, so that none is mistaken for anything else that is digested.
const DNS: &str = "dns:";

/// One entry of `client_certs`.
impl KeyDigest {
    /// A DNS name in a certificate. Names have no case.
    pub fn of_dns_name(name: &str) -> Self {
        Self::of(&format!("{DNS}{}", name.to_ascii_lowercase()))
    }
}

/// What a certificate that was verified can be known by: its own SHA-256, then its DNS names. Travels with each request of its
/// connection.
#[derive(Clone, Debug)]
pub struct Certified(pub Arc<[KeyDigest]>);

impl Directory {
    /// The publisher of a verified certificate.
    pub fn by_certificate(&self, certified: &Certified) -> Option<&Arc<Publisher>> {
        certified.0.iter().find_map(|digest| self.by_certificate_digest(digest))
    }
}

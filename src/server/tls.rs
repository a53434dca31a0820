//! TLS of the data listener: certificates and key from PEM, the settings, the handshake.
//!
//! Settings, and so certificates, are read anew with each reload; connections that stand keep theirs.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{self, Ticketer, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use webpki::EndEntityCert;

use crate::gateway::{Certified, KeyDigest};

/// In order of preference; the first is safe against a quantum computer of the future.
const GROUPS: [&dyn SupportedKxGroup; 4] =
    [kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];

const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// How the data listener speaks TLS. Cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

/// The files cannot be served with. Never says what stands in them.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// The certificate file.
    #[error("{0}")]
    Certificate(String),
    /// The key file.
    #[error("{0}")]
    Key(String),
    /// The file of those who sign clients' certificates.
    #[error("{0}")]
    ClientCa(String),
}

/// Certificates of clients.
#[derive(Clone, Copy)]
pub struct Clients<'a> {
    /// Who signs them, PEM.
    pub ca: &'a [u8],
    /// A client without one gets no connection.
    pub required: bool,
}

impl Clients<'_> {
    fn verifier(self, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsFault> {
        let authorities = certificates(self.ca).map_err(|fault| TlsFault::ClientCa(fault.to_string()))?;
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots
                .add(authority)
                .map_err(|fault| TlsFault::ClientCa(format!("a certificate cannot be used: {fault}")))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if self.required { builder } else { builder.allow_unauthenticated() };
        builder.build().map_err(|fault| TlsFault::ClientCa(fault.to_string()))
    }
}

/// What the client's certificate, which was verified, can be known by.
pub(super) fn certified<S>(stream: &TlsStream<S>) -> Option<Certified> {
    let own = stream.get_ref().1.peer_certificates()?.first()?;
    let names = EndEntityCert::try_from(own).ok();
    let names = names.iter().flat_map(|cert| cert.valid_dns_names()).map(KeyDigest::of_dns_name);
    let itself = KeyDigest(Sha256::digest(own).into());
    Some(Certified(std::iter::once(itself).chain(names).collect()))
}

impl Tls {
    /// From the certificate's chain, the server's own first, and its private key (PKCS#8, PKCS#1 or SEC1), both PEM; with
    /// those who sign its clients' certificates, if they may have some.
    pub fn from_pem(chain: &[u8], key: &[u8], clients: Option<Clients<'_>>) -> Result<Self, TlsFault> {
        let chain = certificates(chain)?;
        let key = private_key(key)?;
        let provider = CryptoProvider { kx_groups: GROUPS.to_vec(), ..aws_lc_rs::default_provider() };
        let provider = Arc::new(provider);
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|fault| TlsFault::Key(fault.to_string()))?;
        let config = match clients {
            Some(clients) => config.with_client_cert_verifier(clients.verifier(provider)?),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_single_cert(chain, key).map_err(refused)?;
        config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
        if clients.is_some() {
            // A resumed session would bring its certificate back unverified: every handshake is a whole one.
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        } else {
            // Sealed tickets instead of a table of sessions: nothing that all threads would lock.
            config.ticketer = Ticketer::new().map_err(|fault| TlsFault::Key(fault.to_string()))?;
            config.send_tls13_tickets = 1;
        }
        Ok(Self(Arc::new(config)))
    }

    /// Shakes hands.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(Arc::clone(&self.0)).accept(stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// Whether the caller wants HTTP/2 on this connection.
pub(super) fn is_h2<S>(stream: &TlsStream<S>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(H2)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let read: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(TlsFault::Certificate(String::from("holds no certificate in PEM"))),
        Err(fault) => Err(TlsFault::Certificate(broken(&fault))),
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsFault> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|fault| {
        let encrypted = b"ENCRYPTED";
        TlsFault::Key(match fault {
            PemError::NoItemsFound if pem.windows(encrypted.len()).any(|part| part == encrypted) => {
                String::from("the private key is encrypted; it must be stored without a passphrase")
            }
            PemError::NoItemsFound => String::from("holds no private key in PEM"),
            other => broken(&other),
        })
    })
}

/// What is wrong with a PEM file, without a word of it.
fn broken(fault: &PemError) -> String {
    String::from(match fault {
        PemError::MissingSectionEnd { .. } => "is cut off: a PEM section has no END line",
        PemError::Base64Decode(_) => "is not valid PEM: a section is not base64",
        _ => "is not valid PEM",
    })
}

fn refused(fault: rustls::Error) -> TlsFault {
    match fault {
        rustls::Error::InconsistentKeys(_) => {
            TlsFault::Key(String::from("the private key does not belong to the certificate"))
        }
        rustls::Error::InvalidCertificate(cause) => {
            TlsFault::Certificate(format!("the first certificate cannot be used: {cause:?}"))
        }
        other => TlsFault::Key(format!("the private key cannot be used: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn told(chain: &str, key: &str) -> String {
        match Tls::from_pem(chain.as_bytes(), key.as_bytes(), None) {
            Ok(_) => String::from("ok"),
            Err(TlsFault::Certificate(what)) => format!("cert: {what}"),
            Err(TlsFault::Key(what)) => format!("key: {what}"),
            Err(TlsFault::ClientCa(what)) => format!("client_ca: {what}"),
        }
    }

    #[test]
    fn a_pair_is_taken_with_a_chain_and_in_one_file() {
        let ((chain, key), (other, _)) = (pair(), pair());
        assert_eq!(told(&chain, &key), "ok");
        assert_eq!(told(&format!("# ours\n{chain}{other}"), &key), "ok");
        let both = format!("{key}{chain}");
        assert_eq!(told(&both, &both), "ok");
    }

    #[test]
    fn what_is_wrong_is_said_of_the_right_file() {
        let ((chain, key), (_, other)) = (pair(), pair());
        assert_eq!(told(&chain, &other), "key: the private key does not belong to the certificate");
        for nothing in ["", "no PEM at all", &key] {
            assert_eq!(told(nothing, &key), "cert: holds no certificate in PEM");
        }
        for nothing in ["", "no PEM at all", &chain] {
            assert_eq!(told(&chain, nothing), "key: holds no private key in PEM");
        }
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        assert!(told(&chain, &encrypted).contains("is encrypted"));
        let cut = chain.replace("-----END CERTIFICATE-----", "");
        assert_eq!(told(&cut, &key), "cert: is cut off: a PEM section has no END line");
        let cut = key.replace("-----END PRIVATE KEY-----", "");
        assert_eq!(told(&chain, &cut), "key: is cut off: a PEM section has no END line");
        let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(told(empty, &key).starts_with("cert: the first certificate cannot be used"));
        let empty = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(told(&chain, empty).starts_with("key: the private key cannot be used"));
    }

    #[test]
    fn debug_text_holds_no_key() {
        let (chain, key) = pair();
        let tls = Tls::from_pem(chain.as_bytes(), key.as_bytes(), None).unwrap();
        assert_eq!(format!("{tls:?}"), "Tls");
    }
}

//! TLS towards others: one client configuration for both planes.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Why no client configuration could be made. Said at start-up, never on the path.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The extra CA file is not PEM.
    #[error("the CA file is not valid PEM: {0}")]
    Pem(String),
    /// The extra CA file holds no certificate.
    #[error("the CA file holds no certificate")]
    NoCertificate,
    /// A certificate in the extra CA file cannot serve as a trust anchor.
    #[error("certificate {number} of the CA file cannot be a trust anchor: {cause}")]
    Anchor {
        /// Its place in the file, counted from 1.
        number: usize,
        /// What rustls says about it.
        cause: rustls::Error,
    },
    /// The provider offers no usable protocol version.
    #[error("TLS set-up: {0}")]
    Protocol(rustls::Error),
}

/// TLS 1.2 and 1.3, Mozilla's roots, and the certificates of `extra_ca_pem` on top of them.
///
/// The crypto provider is named here instead of being looked up in the process, so that nothing depends on who
/// installed one first. ALPN is left to whoever speaks over the connection.
pub fn client_config(extra_ca_pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = extra_ca_pem {
        add_anchors(&mut roots, pem)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Protocol)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn add_anchors(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TlsError> {
    let mut number = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        number += 1;
        let certificate = certificate.map_err(|e| TlsError::Pem(e.to_string()))?;
        roots.add(certificate).map_err(|cause| TlsError::Anchor { number, cause })?;
    }
    if number == 0 { Err(TlsError::NoCertificate) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ca_pem() -> String {
        rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap().cert.pem()
    }

    #[test]
    fn public_roots_alone_and_with_extra_certificates() {
        assert!(client_config(None).is_ok());
        let two = format!("# ours\n{}{}", ca_pem(), ca_pem());
        assert!(client_config(Some(two.as_bytes())).is_ok());
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        for pem in ["", "not pem at all", &key] {
            assert!(matches!(client_config(Some(pem.as_bytes())), Err(TlsError::NoCertificate)), "{pem}");
        }
    }

    #[test]
    fn a_cut_off_file_is_refused() {
        let pem = ca_pem();
        let cut = pem.replace("-----END CERTIFICATE-----", "");
        assert!(matches!(client_config(Some(cut.as_bytes())), Err(TlsError::Pem(_))));
    }

    #[test]
    fn a_certificate_that_is_none_is_named_by_its_place() {
        let pem = format!("{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ca_pem());
        let error = client_config(Some(pem.as_bytes())).unwrap_err();
        assert!(error.to_string().starts_with("certificate 2 of the CA file"), "{error}");
    }
}

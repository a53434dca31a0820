//! Sites and their public keys for client-side generation (uid2-protocol §1.9, §4.7).

use crate::secret::Secret;

/// A site's registered names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// The site.
    pub id: i32,
    /// Registrable domains, lower case; `localhost` may be listed.
    pub domain_names: Vec<String>,
    /// Android packages, iOS bundle ids, App Store ids.
    pub app_names: Vec<String>,
}

/// What a page or app uses instead of an API key.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// Names the pair in requests.
    pub subscription_id: String,
    /// The site it belongs to.
    pub site: i32,
    /// PKCS#8, P-256, in base64, without the nine-character prefix.
    pub private_key: Secret<String>,
    /// A disabled pair answers 401.
    pub disabled: bool,
}

impl Site {
    /// Everything a DSP may find such a token under.
    pub fn names(&self) -> Vec<String> {
        self.domain_names.iter().chain(&self.app_names).cloned().collect()
    }

    /// One site for the mock pair.
    pub fn mock() -> Vec<Self> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        vec![Self {
            id: 123,
            domain_names: owned(&["example.com", "localhost"]),
            app_names: owned(&["com.uid2.devapp", "com.uid2.swift.dev", "1234567890"]),
        }]
    }
}

impl KeyPair {
    /// The public test pair of the operator's mock storage.
    pub fn mock() -> Self {
        let private =
            "MEECAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEJzAlAgEBBCC5kOSRVD+qhAZqf0L4LGbmAhdy5HpIptwXE72jxhwo6w==";
        Self {
            subscription_id: "4WvryDGbR5".to_owned(),
            site: 123,
            private_key: Secret::new(private.to_owned()),
            disabled: false,
        }
    }
}

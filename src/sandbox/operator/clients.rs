//! API clients: key, secret, site, roles (uid2-protocol §1.2, §4.3).

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::secret::Secret;
use crate::uid2::{EnvelopeKey, Scope};

/// What a client may call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// Makes and validates tokens: publishers.
    Generator,
    /// Reads keys for the bid stream: DSPs.
    IdReader,
    /// Reads keys for sharing.
    Sharer,
    /// Maps identities to raw UIDs: advertisers.
    Mapper,
    /// The opt-out portal.
    Optout,
}

/// One API client.
#[derive(Clone, Debug)]
pub struct Client {
    /// For people.
    pub name: String,
    /// The bearer token.
    pub api_key: Secret<String>,
    /// The envelope key, in base64.
    pub secret: Secret<String>,
    /// The site it acts for.
    pub site: i32,
    /// What it may call.
    pub roles: Vec<Role>,
    /// A disabled client is answered like an unknown one.
    pub disabled: bool,
}

/// A client that has been let in.
#[derive(Debug)]
pub struct Admitted {
    /// The site it acts for.
    pub site: i32,
    /// What it may call.
    pub roles: Vec<Role>,
    /// Opens its requests and seals its answers.
    pub envelope: EnvelopeKey,
}

/// All clients, found by the SHA-256 of their key, so that a look-up's time tells nothing about keys.
#[derive(Debug, Default)]
pub struct Clients(HashMap<[u8; 32], Arc<Admitted>>);

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Generator, Self::IdReader, Self::Sharer, Self::Mapper, Self::Optout];
}

impl Clients {
    /// Adds a client; `false`, and nothing added, when its secret is not base64 of 32 bytes.
    pub fn add(&mut self, client: &Client) -> bool {
        let Ok(envelope) = EnvelopeKey::from_base64(client.secret.expose()) else { return false };
        if !client.disabled {
            let admitted = Admitted { site: client.site, roles: client.roles.clone(), envelope };
            self.0.insert(digest(client.api_key.expose()), Arc::new(admitted));
        }
        true
    }

    /// The client of an `Authorization` header's value.
    pub fn admit(&self, authorization: &str) -> Option<Arc<Admitted>> {
        let (scheme, key) = authorization.trim().split_once(' ')?;
        let found = scheme.eq_ignore_ascii_case("bearer").then(|| self.0.get(&digest(key.trim())))?;
        found.map(Arc::clone)
    }
}

impl Admitted {
    /// Whether it has at least one of the roles.
    pub fn has_any(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.roles.contains(role))
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// The clients that the operator's mock storage ships as public test data. EUID operators know them under keys that
/// start with `EUID` too.
pub fn mock_clients(scope: Scope) -> Vec<Client> {
    let client = |name: &str, key: &str, secret: &str, site, roles: &[Role]| Client {
        name: name.to_owned(),
        api_key: Secret::new(key.to_owned()),
        secret: Secret::new(secret.to_owned()),
        site,
        roles: roles.to_vec(),
        disabled: false,
    };
    let mut clients = vec![
        client("Publisher", PUBLISHER.0, PUBLISHER.1, 124, &[Role::Generator]),
        client("DSP", DSP.0, DSP.1, 123, &[Role::IdReader]),
        client("Special", SPECIAL.0, SPECIAL.1, 999, &Role::ALL),
    ];
    if scope == Scope::Euid {
        let renamed = |client: &Client| Client {
            api_key: Secret::new(client.api_key.expose().replacen("UID2", "EUID", 1)),
            ..client.clone()
        };
        let twins: Vec<Client> = clients.iter().map(renamed).collect();
        clients.extend(twins);
    }
    clients
}

/// Key and secret of the mock publisher, site 124.
pub const PUBLISHER: (&str, &str) = (
    "UID2-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc=",
    "NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM=",
);
/// Key and secret of the mock DSP, site 123.
pub const DSP: (&str, &str) = (
    "UID2-C-L-123-t32pCM.5NCX1E94UgOd2f8zhsKmxzCoyhXohHYSSWR8U=",
    "FsD4bvtjMkeTonx6HvQp6u0EiI1ApGH4pIZzZ5P7UcQ=",
);
/// Key and secret of the mock client with every role, site 999.
pub const SPECIAL: (&str, &str) = (
    "UID2-C-L-999-fCXrMM.fsR3mDqAXELtWWMS+xG1s7RdgRTMqdOH2qaAo=",
    "DzBzbjTJcYL0swDtFs2krRNu+g1Eokm2tBU4dEuD0Wk=",
);

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(scope: Scope) -> Clients {
        let mut clients = Clients::default();
        assert!(mock_clients(scope).iter().all(|client| clients.add(client)));
        clients
    }

    #[test]
    fn the_scheme_is_case_insensitive_and_the_value_trimmed() {
        let clients = clients(Scope::Uid2);
        let site = |header: String| clients.admit(&header).map(|client| client.site);
        assert_eq!(site(format!("Bearer {}", PUBLISHER.0)), Some(124));
        assert_eq!(site(format!("  bEARER {} ", DSP.0)), Some(123));
        assert_eq!(site(format!("Basic {}", DSP.0)), None);
        assert_eq!(site(DSP.0.to_owned()), None);
        assert_eq!(site("Bearer ".to_owned()), None);
        assert_eq!(site(format!("Bearer {}", DSP.0.to_lowercase())), None);
    }

    #[test]
    fn disabled_clients_and_bad_secrets_stay_out() {
        let mut all = Clients::default();
        let client = mock_clients(Scope::Uid2).remove(0);
        assert!(all.add(&Client { disabled: true, ..client.clone() }));
        assert!(!all.add(&Client { secret: Secret::new("short".to_owned()), ..client }));
        assert!(all.admit(&format!("Bearer {}", PUBLISHER.0)).is_none());
    }

    #[test]
    fn an_euid_operator_knows_the_keys_under_both_names() {
        let clients = clients(Scope::Euid);
        let euid = PUBLISHER.0.replacen("UID2", "EUID", 1);
        for key in [PUBLISHER.0, &euid] {
            assert!(clients.admit(&format!("Bearer {key}")).is_some_and(|c| c.has_any(&[Role::Generator])));
        }
        assert!(self::clients(Scope::Uid2).admit(&format!("Bearer {euid}")).is_none());
    }
}

//! An identity provider on loopback: it publishes its keys over HTTP and signs whatever a test wants.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use serde_json::{Value, json};
use uid2_gateway::time::Clock;

use super::scripted_ssp::{Script, ScriptedSsp};
use super::stack::digest;

pub(crate) const NAME: &str = "https://accounts.example.com";
pub(crate) const CLIENT: &str = "client-of-acme";

/// A key pair with its name.
pub(crate) struct Key {
    kid: &'static str,
    algorithm: Algorithm,
    private: EncodingKey,
    public: Value,
}

impl Key {
    pub(crate) fn new(kid: &'static str, algorithm: Algorithm) -> Self {
        let of = |kind| KeyPair::generate_for(kind).unwrap();
        let (pair, private) = match algorithm {
            Algorithm::RS256 => {
                let pair = of(&rcgen::PKCS_RSA_SHA256);
                let private = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes());
                (pair, private.unwrap())
            }
            Algorithm::ES256 => {
                let pair = of(&rcgen::PKCS_ECDSA_P256_SHA256);
                let private = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes());
                (pair, private.unwrap())
            }
            Algorithm::EdDSA => {
                let pair = of(&rcgen::PKCS_ED25519);
                let private = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes());
                (pair, private.unwrap())
            }
            other => panic!("{other:?} is not made here"),
        };
        let mut public = match algorithm {
            Algorithm::EdDSA => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
                json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x})
            }
            _ => serde_json::to_value(Jwk::from_encoding_key(&private, algorithm).unwrap()).unwrap(),
        };
        public["kid"] = json!(kid);
        Self { kid, algorithm, private, public }
    }

    pub(crate) fn public(&self) -> Value {
        self.public.clone()
    }

    /// A token of this very text, properly signed.
    pub(crate) fn sign_text(&self, claims: &str) -> String {
        self.sign_as(Some("JWT"), claims)
    }

    /// The same of this type.
    pub(crate) fn sign_as(&self, typ: Option<&str>, claims: &str) -> String {
        let kid = Some(self.kid.to_owned());
        let header = Header { kid, typ: typ.map(str::to_owned), ..Header::new(self.algorithm) };
        let header = URL_SAFE_NO_PAD.encode(serde_json::to_string(&header).unwrap());
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.private, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }
}

/// The provider's web server.
#[derive(Clone)]
pub(crate) struct Issuer(ScriptedSsp);

impl Issuer {
    pub(crate) async fn start(keys: &[&Key]) -> Self {
        let issuer = Self(ScriptedSsp::start(Script::default()).await);
        issuer.publish(keys);
        issuer
    }

    /// Publishes these keys from now on; among them some that nobody may use.
    pub(crate) fn publish(&self, keys: &[&Key]) {
        let odd = [
            json!({"kty": "oct", "kid": "secret", "k": "c2VjcmV0", "alg": "HS256"}),
            json!({"kty": "RSA", "kid": "sealing", "use": "enc", "n": "AQAB", "e": "AQAB"}),
            json!({"kty": "of-the-future"}),
        ];
        let all: Vec<Value> = odd.into_iter().chain(keys.iter().map(|key| key.public())).collect();
        self.say(200, &json!({"keys": all}).to_string());
    }

    pub(crate) fn say(&self, status: u16, body: &str) {
        self.0.set(Script { status, body: body.to_owned().into(), ..Script::default() });
    }

    /// How often its keys were asked for.
    pub(crate) fn asked(&self) -> usize {
        self.0.received().len()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/keys", self.0.address)
    }

    /// An `[[identity_provider]]` for `acme`.
    pub(crate) fn toml(&self) -> String {
        format!(
            "[[identity_provider]]\nid = \"sign-in\"\npublishers = [\"acme\"]\nissuer = {NAME:?}\naudience = {CLIENT:?}\njwks_url = {:?}\napi_keys = [{:?}]\n",
            self.url(),
            digest("key-of-sign-in"),
        )
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    Clock::System.now().0 / 1_000
}

/// What a good token says.
pub(crate) fn claims(email: &str) -> Value {
    json!({
        "iss": NAME, "sub": "subject-1", "aud": CLIENT, "exp": now() + 600, "iat": now(),
        "email": email, "email_verified": true,
    })
}

/// The same with one claim changed; null takes it away.
pub(crate) fn but(mut claims: Value, name: &str, value: Value) -> Value {
    let members = claims.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name)
    } else {
        members.insert(name.to_owned(), value)
    };
    claims
}

/// A token made by hand: whatever header and claims, and this signature.
pub(crate) fn forged(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode(signature))
}

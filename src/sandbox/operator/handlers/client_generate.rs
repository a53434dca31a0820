//! `/v2/token/client-generate`: tokens made by pages and apps without an API key (uid2-protocol §1.9).
//!
//! The client's ephemeral P-256 key and the site's key agree on a secret, which is the AES-256-GCM key as it stands.

use ::http::header::ORIGIN;
use aes_gcm::aead::{Aead, Payload as Sealed};
use aes_gcm::{Aes256Gcm, KeyInit};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use base64::Engine;
use serde_json::{Value, json};

use super::super::encoding::LENIENT;
use super::super::identifier::Identifier;
use super::super::mint::Chain;
use super::super::reply::{INVALID_IDENTIFIER, Refusal, Reply};
use super::super::sealed::Payload;
use super::super::sites::{KeyPair, Site};
use super::super::token::{PRIVACY_CLIENT_SIDE, PRIVACY_LEGACY};
use super::{Exchange, identifier, opted_out, outcome, transported};
use crate::uid2::EnvelopeKey;
use crate::uid2::envelope::seal_bare;

const REQUIRED: &str = "required parameters: payload, iv, public_key";

/// A token for whoever the sealed payload names.
pub(super) fn answer(x: &mut Exchange<'_>) -> Result<Reply, Refusal> {
    let request = request(x.body)?;
    let pair = key_pair(x, &request)?;
    authorise(x, pair, &request)?;
    let (shared, payload) = open(pair, &request)?;
    let identifier = named(&payload)?;
    let answer = answered(x, pair.site, &identifier)?;
    let key = x.sealing(&EnvelopeKey::from_bytes(&shared));
    let wire = seal_bare(&key, x.random.bytes(), answer.to_string().as_bytes());
    Ok(transported(wire, false, outcome(&answer)))
}

fn request(body: &[u8]) -> Result<Payload, Refusal> {
    if body.is_empty() {
        return Err(Refusal::client("json payload expected but not found"));
    }
    serde_json::from_slice(body).map_err(|_| Refusal::client("json payload is not valid"))
}

fn text<'r>(request: &'r Payload, name: &str) -> Option<&'r str> {
    request.get(name)?.as_str()
}

fn key_pair<'a>(x: &Exchange<'a>, request: &Payload) -> Result<&'a KeyPair, Refusal> {
    let id = text(request, "subscription_id");
    let pair = x.operator.key_pairs.iter().find(|pair| Some(pair.subscription_id.as_str()) == id);
    let pair = pair.ok_or_else(|| Refusal::client("bad subscription_id"))?;
    if pair.disabled { Err(Refusal::pair_disabled()) } else { Ok(pair) }
}

/// An app must give a registered name; a page must come from a registered domain or below it.
fn authorise(x: &Exchange<'_>, pair: &KeyPair, request: &Payload) -> Result<(), Refusal> {
    let site = x.operator.sites.iter().find(|site| site.id == pair.site);
    if let Some(app) = text(request, "app_name") {
        let known = |site: &Site| site.app_names.iter().any(|name| name.eq_ignore_ascii_case(app));
        let refusal = || Refusal::forbidden("invalid_app_name", "unexpected app name");
        return site.is_some_and(known).then_some(()).ok_or_else(refusal);
    }
    let host = x.headers.get(ORIGIN).and_then(|origin| host(origin.to_str().ok()?)).unwrap_or_default();
    let known = |site: &Site| site.domain_names.iter().any(|domain| is_within(&host, domain));
    let refusal = || Refusal::forbidden("invalid_http_origin", "unexpected http origin");
    site.is_some_and(known).then_some(()).ok_or_else(refusal)
}

/// The host of an `Origin`, lower case, without scheme and port.
fn host(origin: &str) -> Option<String> {
    let uri: ::http::Uri = origin.parse().ok()?;
    uri.host().map(str::to_ascii_lowercase)
}

/// Listed domains are registrable ones, so a host below one has it as its registrable domain.
fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn open(pair: &KeyPair, request: &Payload) -> Result<([u8; 32], Payload), Refusal> {
    let part = |name| text(request, name).ok_or_else(|| Refusal::client(REQUIRED));
    let (sealed, iv, public_key) = (part("payload")?, part("iv")?, part("public_key")?);
    let shared = agreed(pair, public_key).ok_or_else(|| Refusal::client("bad public key"))?;
    let iv: Option<[u8; 12]> = LENIENT.decode(iv).ok().and_then(|iv| iv.try_into().ok());
    let iv = iv.ok_or_else(|| Refusal::client("bad iv"))?;
    let plain = decrypted(&shared, iv, sealed, request);
    let plain = plain.ok_or_else(|| Refusal::client("payload decryption failed"))?;
    let payload = serde_json::from_slice(&plain);
    let payload = payload.map_err(|_| Refusal::client("encrypted payload contains invalid json"))?;
    Ok((shared, payload))
}

fn agreed(pair: &KeyPair, public_key: &str) -> Option<[u8; 32]> {
    let private = LENIENT.decode(pair.private_key.expose()).ok()?;
    let private = PrivateKey::from_private_key_der(&ECDH_P256, &private).ok()?;
    let public = UnparsedPublicKey::new(&ECDH_P256, LENIENT.decode(public_key).ok()?);
    agree(&private, public, (), |shared| shared.try_into().map_err(|_| ())).ok()
}

fn decrypted(shared: &[u8; 32], iv: [u8; 12], sealed: &str, request: &Payload) -> Option<Vec<u8>> {
    let msg = LENIENT.decode(sealed).ok()?;
    let aad = associated(request)?;
    let sealed = Sealed { msg: &msg, aad: aad.as_bytes() };
    Aes256Gcm::new(shared.into()).decrypt(&iv.into(), sealed).ok()
}

/// `[timestamp]` or `[timestamp,"app"]`. The timestamp may be a numeric string; its age does not matter.
fn associated(request: &Payload) -> Option<String> {
    let timestamp = request.get("timestamp")?;
    let timestamp = timestamp.as_i64().or_else(|| timestamp.as_str()?.parse().ok())?;
    Some(match text(request, "app_name") {
        Some(app) => json!([timestamp, app]).to_string(),
        None => json!([timestamp]).to_string(),
    })
}

/// Exactly one hash.
fn named(payload: &Payload) -> Result<Identifier, Refusal> {
    let given = |member| text(payload, member).map(|text| (member, text));
    let ((Some((member, text)), None) | (None, Some((member, text)))) =
        (given("email_hash"), given("phone_hash"))
    else {
        return Err(Refusal::client("please provide exactly one of: email_hash, phone_hash"));
    };
    identifier(member, text).ok_or_else(|| Refusal::client(INVALID_IDENTIFIER))
}

fn answered(x: &mut Exchange<'_>, site: i32, identifier: &Identifier) -> Result<Value, Refusal> {
    let (kind, first_level_hash) = (identifier.kind(), x.first_level_hash(identifier));
    if x.is_opted_out(&first_level_hash, kind) {
        return Ok(opted_out());
    }
    let privacy_bits = PRIVACY_LEGACY | PRIVACY_CLIENT_SIDE;
    let established = x.issue().0;
    x.success(&Chain { kind, site, privacy_bits, established, first_level_hash }, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_below_a_listed_domain_is_within_it() {
        assert_eq!(host("https://www.Example.com:8443").as_deref(), Some("www.example.com"));
        assert!(is_within("example.com", "example.com") && is_within("a.b.example.com", "example.com"));
        assert!(is_within("app.localhost", "localhost"));
        assert!(!is_within("badexample.com", "example.com") && !is_within("", "example.com"));
        assert!(!is_within("com", "example.com"));
    }

    #[test]
    fn the_shared_secret_and_payloads_of_the_vectors() {
        let fixture: Value =
            serde_json::from_str(include_str!("../../../../fixtures/uid2/cstg.json")).unwrap();
        let shared = agreed(&KeyPair::mock(), fixture["client_public_key"].as_str().unwrap()).unwrap();
        assert_eq!(super::super::super::encoding::to_hex(&shared), fixture["shared_secret"]);
        let private = fixture["server_private_key"].as_str().unwrap();
        assert_eq!(private.strip_prefix("UID2-Y-L-"), Some(KeyPair::mock().private_key.expose().as_str()));
        let iv = LENIENT.decode(fixture["iv"].as_str().unwrap()).unwrap().try_into().unwrap();
        for row in fixture["rows"].as_array().unwrap() {
            let mut request = row.as_object().unwrap().clone();
            request.insert("timestamp".to_owned(), fixture["timestamp"].to_string().into());
            assert_eq!(associated(&request).unwrap(), row["aad"].as_str().unwrap());
            let plain = decrypted(&shared, iv, row["payload"].as_str().unwrap(), &request).unwrap();
            assert_eq!(plain, fixture["json"].as_str().unwrap().as_bytes());
        }
        let answer = &fixture["answer"];
        let wire = seal_bare(
            &EnvelopeKey::from_bytes(&shared),
            std::array::from_fn(|i| 0xc0 + u8::try_from(i).unwrap()),
            answer["json"].as_str().unwrap().as_bytes(),
        );
        assert_eq!(LENIENT.encode(wire), answer["wire"].as_str().unwrap());
    }
}

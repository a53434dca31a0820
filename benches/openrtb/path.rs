//! Our side: the byte work alone, and with what else an ad request costs while its user's token is in memory.

use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use moka::sync::Cache;
use sha2::Sha256;
use smallvec::SmallVec;
use uid2_gateway::openrtb::guard::{Watch, inspect};
use uid2_gateway::openrtb::{BidRequest, Edit, Limits, NewEid, Strip, plan};
use uid2_gateway::privacy::{Gvl, Policy, Regime, Rules, Signals, Verdict, judge};

use super::{EDIT, OURS, TOKEN};

type Segments = SmallVec<[Bytes; 8]>;

pub(super) fn scan_and_splice(body: &Bytes) -> Option<Segments> {
    let request = BidRequest::parse(body.clone(), &Limits::default()).ok()?;
    Some(plan(&request, &EDIT).segments(&request, Some(123)))
}

/// Whether the DII guard finds nothing, as in every request of the corpus.
pub(super) fn guard(request: &BidRequest) -> bool {
    let watch = Watch { dii: true, own: &[], tokens_of: &["uidapi.com", "euid.eu"] };
    inspect(request, &watch).is_none()
}

/// A user's token in memory. The gateway's own cache is not public: this has its parts, a keyed digest of the user id
/// and a moka look-up by it.
pub(super) struct Known {
    keys: Hmac<Sha256>,
    cache: Cache<[u8; 32], Arc<str>>,
    policy: Policy,
    gvl: Gvl,
}

impl Known {
    pub(super) fn new() -> Self {
        let keys = Hmac::new_from_slice(&[7; 32]).expect("any length is a key");
        let known = Self { keys, cache: Cache::new(10_000), policy: Policy::default(), gvl: Gvl::default() };
        known.cache.insert(known.key(b"user-1"), TOKEN.into());
        known
    }

    fn key(&self, user: &[u8]) -> [u8; 32] {
        self.keys.clone().chain_update(user).finalize().into_bytes().into()
    }

    /// What the verdict forbids is not added, as in the gateway.
    pub(super) fn path(&self, body: &Bytes) -> Option<Segments> {
        let request = BidRequest::parse(body.clone(), &Limits::default()).ok()?;
        if !guard(&request) {
            return None;
        }
        let rules = Rules { policy: &self.policy, gvl: &self.gvl };
        let token = match judge(&signals(&request), rules, Regime::Uid2) {
            Verdict::Inject(_) => Some(self.cache.get(&self.key(b"user-1"))?),
            _ => None,
        };
        let add = token.as_deref().map(|id| NewEid { id, ..OURS });
        let edit = Edit { add, strip: Strip::Nothing, ..EDIT };
        Some(plan(&request, &edit).segments(&request, Some(123)))
    }
}

/// As the gateway reads them.
fn signals(request: &BidRequest) -> Signals<'_> {
    let raw = request.signals();
    let [first, second] = raw.gdpr;
    let gdpr = if first == Some(true) || second == Some(true) { Some(true) } else { first.or(second) };
    Signals {
        coppa: raw.coppa,
        gdpr,
        tc_strings: request.consents(),
        us_privacy: request.us_privacies(),
        gpp: request.gpps(),
        gpp_sid: raw.gpp_sid.each_ref().map(SmallVec::as_slice),
        gpc: raw.gpc,
        lmt: raw.lmt,
        dnt: raw.dnt,
        atts: raw.atts,
        ios_app: raw.ios || raw.is_app,
        countries: request.countries(),
        test: request.test(),
        malformed: raw.malformed,
    }
}

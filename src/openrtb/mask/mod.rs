//! A bid request that can be handed on: whoever the user is cannot be told from it, and it is still the same request.
//!
//! Every identifier is replaced by a pseudonym of the same length and kind of characters, made with a key that whoever
//! keeps the request does not have: the same id is the same pseudonym under one key, and means nothing outside. Every
//! other byte stays, so that length, structure, number text and escapes do; line breaks between members become blanks,
//! for one request is one line of a recording.
//!
//! * Under `user` nothing is known to be harmless but what [stands in a list](places): all strings are masked, all numbers
//!   but the flags 0 and 1, and all [names](names) of members that are not known. In `user.data` the names of providers
//!   and segments stay unless they hold a digit. The same holds for `device` (its make, model, system, screen and user
//!   agent stay) and for members anywhere that are [named](places) like ids.
//! * IP addresses become addresses of private, benchmark or documentation ranges; positions keep one decimal, about 11 km.
//! * In all other text go e-mail addresses, telephone numbers, what [`guard`](super::guard) takes for either, also in
//!   base64 or hex, documents in either, and of URLs the values of queries, parameters of the path and the fragment. Names
//!   of members are text too.
//! * An identifier that was masked once is masked [wherever else](echo) it stands, also in base64, hex or per cent encoding.
//! * `id` and `tid` go too: they join the request to logs in which the user stands.
//!
//! Not identifiers, and kept: consent strings (TCF, GPP, US Privacy), all-zero advertising ids, keywords, which are
//! treated as text but for what they give a value (`k=v`). What is left is pseudonymous, not anonymous: user agent, page
//! path, city and the habits of one user are still those of somebody. Not seen: an id outside of `user` and `device` under a name
//! that does not say so, unless it is an id of the same request seen elsewhere; a name in a text; an id that stands in the
//! publisher's id, domain or bundle.

mod address;
mod alphabet;
mod echo;
mod names;
mod places;
mod prose;
mod pseudonym;
mod walk;

use bytes::Bytes;

use self::pseudonym::Pseudonyms;
use self::walk::Walk;
use super::error::ScanError;
use super::request::BidRequest;
use super::scan::Limits;
use super::text::Span;

/// A keyed one-way function: what it makes of two texts cannot be told from random bytes without the key.
pub type Keyed<'a> = &'a dyn Fn(&[u8]) -> [u8; 32];

/// Why there is no masked request. None is better than one of which we are not sure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unmasked {
    /// It was no bid request to begin with.
    #[error("{0}")]
    Refused(#[from] ScanError),
    /// It holds so many ids that looking for each everywhere would take too long.
    #[error("too many identifiers in too long a request")]
    TooMuch,
}

/// Masks requests under one key.
#[derive(Clone, Copy)]
pub struct Mask<'a> {
    pseudonyms: Pseudonyms<'a>,
    limits: Limits,
}

impl<'a> Mask<'a> {
    /// With the limits that bodies are read under.
    pub fn new(key: Keyed<'a>, limits: Limits) -> Self {
        Self { pseudonyms: Pseudonyms::new(key), limits }
    }

    /// The pseudonym of an identifier that came beside the body. It is the one that it has in the body.
    pub fn pseudonym(&self, id: &str) -> String {
        self.pseudonyms.of(id)
    }

    /// The request as it may be handed on; `beside` are identifiers that came with it, which go wherever they stand.
    /// It is a request that [`BidRequest::parse`] takes, as long as the body, on one line.
    pub fn request(&self, body: &Bytes, beside: &[&str]) -> Result<Bytes, Unmasked> {
        let request = BidRequest::parse(body.clone(), &self.limits)?;
        let mut walk = Walk::new(body, self.pseudonyms);
        walk.document();
        let Walk { mut out, mut ids, .. } = walk;
        ids.extend(beside.iter().map(|id| (*id).to_owned()));
        // By what the gateway tells publishers apart stays where it stands, even if an id of the user's is in it.
        let kept: Vec<Span> = request.publisher_texts().map(|text| text.content).collect();
        echo::mask(&mut out, (&ids, &kept), self.pseudonyms)?;
        for byte in &mut out {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' '; // between members: in a string they cannot stand as they are
            }
        }
        let out = Bytes::from(out);
        BidRequest::parse(out.clone(), &self.limits)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests;

//! Calls from pages of other origins (Fetch standard, "CORS protocol"): of `server.cors_origins` alone, with credentials,
//! and only for what a page has a use for: the auction and the login that needs no key. A call with a key is no page's:
//! whoever reads a page would read the key.

use ::http::header::{AUTHORIZATION, ORIGIN};
use ::http::{HeaderValue, Method, Request};

use super::live::Room;
use super::reply::{self, Reply};

/// What the answer to one call tells a browser of who may read it.
pub(super) struct Cors {
    /// Pages may call this: the answer depends on whose page did.
    applies: bool,
    /// The page's origin, when it may.
    origin: Option<HeaderValue>,
}

impl Cors {
    /// Looks at the head of a call.
    pub(super) fn of<B>(room: &Room, request: &Request<B>) -> Self {
        let origins = &room.gateway().shared().origins;
        let applies = !origins.is_empty() && is_for_pages(request);
        let origin = if applies { origins.admitted(request.headers()) } else { None };
        Self { applies, origin }
    }

    /// The answer to a browser that asks before it calls; `None` when this is no such question, or none that pages may ask.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Reply> {
        let asks =
            self.applies && *request.method() == Method::OPTIONS && request.headers().contains_key(ORIGIN);
        asks.then(|| reply::preflight(self.origin.clone()))
    }

    /// Tells the browser who may read this answer.
    pub(super) fn tell(self, mut reply: Reply) -> Reply {
        if self.applies {
            reply::readable_by(&mut reply, self.origin);
        }
        reply
    }
}

fn is_for_pages<B>(request: &Request<B>) -> bool {
    match request.uri().path() {
        "/openrtb2/auction" => true,
        "/v1/identity" => {
            matches!(*request.method(), Method::POST | Method::OPTIONS)
                && !request.headers().contains_key(AUTHORIZATION)
        }
        _ => false,
    }
}

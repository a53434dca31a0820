//! The cookie that an answer carries: the publisher's own, renewed, or what tells the browser that it has come to its end.

use http::HeaderValue;

use super::Shared;
use super::admit::Admitted;
use super::decision::Decision;

/// `None`, nearly always: the publisher keeps no cookie, or the browser's is as it should be.
pub(super) fn after(shared: &Shared, admitted: &Admitted, decision: &Decision) -> Option<HeaderValue> {
    admitted.subject.cookie.as_ref()?;
    let text =
        shared.identities.cookie_after(admitted.tenant(), &admitted.subject, decision.token.as_ref())?;
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

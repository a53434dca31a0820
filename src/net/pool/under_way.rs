//! An exchange between its first byte and its last, however it ends.

use http::HeaderMap;
use tokio::runtime::Handle;

use super::{Answer, Deadline, Fault, Lease, Pool, Segments};

/// The lease of an exchange under way.
///
/// An exchange is dropped in the middle when its caller goes away, as by resetting a stream of an HTTP/2 connection. Then
/// its connection is let go of as at the deadline: otherwise each reset would cost the SSP a connection.
pub(super) struct UnderWay<'a> {
    pool: &'a Pool,
    /// Until the end.
    lease: Option<Lease>,
}

impl<'a> UnderWay<'a> {
    /// Takes the body; nothing is sent yet.
    pub(super) fn begin(pool: &'a Pool, mut lease: Lease, headers: &HeaderMap, body: &mut Segments) -> Self {
        lease.connection.line.begin(pool.template(), headers, body);
        Self { pool, lease: Some(lease) }
    }

    /// How it ends, or nothing when that is not by `deadline`.
    pub(super) async fn by(&mut self, deadline: Deadline) -> Option<Result<Answer, Fault>> {
        self.lease.as_mut()?.by(deadline).await
    }

    /// It has ended.
    pub(super) fn end(mut self) -> Lease {
        self.lease.take().expect("the lease is there until the end")
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        // When the thread itself has ended, nobody is left to drain anything.
        if let Some(lease) = self.lease.take().filter(|_| Handle::try_current().is_ok()) {
            self.pool.let_go(lease);
        }
    }
}

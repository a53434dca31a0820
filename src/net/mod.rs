//! Sockets, TLS, pools, bodies, gzip, back-off, circuit breaker.
//!
//! Two ways out of the process. The control plane talks through [`Transport`], the one test seam: one boxed future a
//! call, any thread. The data plane talks through [`pool::Pool`], which is concrete, belongs to one SSP and one worker
//! thread, and never changes threads.

mod alarm;
pub mod backoff;
pub mod body;
pub mod breaker;
mod dial;
pub mod gzip;
pub mod h1;
#[cfg(test)]
pub(crate) mod peer;
pub mod permit;
pub mod pool;
pub mod rate;
pub mod tls;
pub mod transport;

pub use dial::{Origin, OriginError};
pub use transport::{HyperTransport, Transport, TransportError, TransportSettings};

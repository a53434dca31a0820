//! Identity records at rest: memory or disk, sealed, durable before a login is answered.

//! uid2-gateway: UID2 identity in real-time bidding, as a proxy.
//!
//! The whole program is one path. An ad request comes in as bytes; we find out who the user is, whether we may say
//! so, and write the UID2 token into those bytes; every routed SSP gets them; the bids come back.
//!
//! ```text
//!  hyper ──► server::http        Request<Incoming>    → Inbound
//!              │
//!            gateway::Gateway::handle(Inbound)        → Result<Outcome, Reject>
//!              │  admit.rs       Inbound              → Admitted {publisher, request, subject, verdict, deadline}
//!              │  identity       (Subject, Consent)   → Resolution        never an error
//!              │  inject.rs      (Admitted, Resolution) → Outgoing        segments over the inbound bytes, per SSP
//!              │  fanout.rs      (Outgoing, Deadline) → Vec<SspReply>     returns by the deadline
//!              │  answer.rs      (Admitted, replies)  → Outcome
//!              ▼
//!            server::reply       Result<Outcome, Reject> → Response       the only place with status codes
//! ```
//!
//! Everything else (operator, store, refresh, admin, demo) stands beside that path and may never stop it.
//!
//! # Floors
//!
//! A module imports only from lower floors; never sideways, never up. `tests/tidy.rs` reads this table and holds it.
//!
//! | floor | modules |
//! |---|---|
//! | 0 | `time` `secret` `telemetry` |
//! | 1 | `uid2` `openrtb` `privacy` |
//! | 2 | `store` `net` |
//! | 3 | `operator` `ssp` `sso` |
//! | 4 | `identity` |
//! | 5 | `gateway` |
//! | 6 | `server` |
//! | 7 | `config` |
//! | 8 | `app` |
//! | 9 | `sandbox` `replay` `explain` |
//! | 10 | `policy_test` |
//! | 11 | `cli` |
//!
//! # Invariants
//!
//! * Floor 1 is pure: no socket, clock, lock, log or random source of its own.
//! * Only `privacy` can make a `Consent`, and no identity is resolved without one.
//! * No fault of operator, store or cache fails an auction or delays it beyond its identity budget.
//! * What we do not edit leaves bit for bit as it came.
//! * Logs, metrics and errors never hold e-mail addresses, phone numbers, hashes of them, tokens, user ids or bodies.

pub mod secret;
pub mod telemetry;
pub mod time;

pub mod openrtb;
pub mod privacy;
pub mod uid2;

pub mod net;
pub mod store;

pub mod operator;
pub mod sso;
pub mod ssp;

pub mod identity;

pub mod gateway;

pub mod server;

pub mod config;

pub mod app;

pub mod explain;
pub mod replay;
pub mod sandbox;

pub mod policy_test;

pub mod cli;

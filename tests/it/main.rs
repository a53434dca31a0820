//! Integration tests: the real server over real sockets. One binary, so that linking happens once.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; helpers outside #[test] count too"
)]
#![expect(clippy::string_slice, reason = "a slice inside a character is a failed test, too")]
#![expect(clippy::disallowed_methods, reason = "tests measure real time")]

mod answers;
mod batch;
mod both_scopes;
mod breaker;
mod bytes;
mod canaries;
mod capture;
mod cli;
mod client_certs;
mod cookies;
mod cors;
mod explain;
mod faults;
mod h2;
mod identity_api;
mod identity_stored;
mod limits;
mod merge;
mod operator_faults;
mod policy_test;
mod privacy;
mod rate;
mod redis;
mod reload;
mod replay;
mod restart;
mod scenarios;
mod sdk;
mod seeds;
mod sessions;
mod sigkill;
mod sso;
mod sso_edges;
mod sso_limits;
mod sso_users;
mod store_cli;
mod stored_privacy;
mod support;
mod tls;
mod vendor_list;
mod verify;

//! Load: a corpus of bid requests and a driver that sends it.
//!
//! ```text
//!  corpus    folder or file     → Corpus       request bodies, byte for byte
//!  requests  corpus, users, mix → Requests     the n-th request is a function of n
//!  schedule  pace, duration     → tickets      a request is due when its time has come, whatever the target does
//!  driver    tickets, requests  → connections  latency counts from when a request was due
//!  recorder  answers            → Report       statuses, faults, histograms, second by second
//!  slo       goals, Report      → met or not   search: the highest rate that meets them
//!  table, json, hlog            → for people, for programs, for HdrHistogram tools
//!  report    Report             → one HTML page
//!  verify    requests, SSPs     → Content      whether what arrived is what should have
//! ```

pub mod corpus;
pub mod driver;
pub mod hlog;
mod hlog_counts;
pub mod login;
pub mod numbers;
pub mod pace;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod requests;
pub mod search;
pub mod second;
pub mod slo;
pub mod table;
pub mod trace;
pub mod users;
pub mod verify;

mod envelope;
mod json;
mod mix;
mod random;
mod schedule;
mod template;

pub use self::corpus::{Corpus, CorpusError, Entry, Expect};
pub use self::driver::{DriveError, Live, Load, check_target, drive};
pub use self::pace::{Arrivals, Pace};
pub use self::recorder::{Description, Fault, Report};
pub use self::requests::Requests;
pub use self::search::Search;
pub use self::second::{Percentiles, Second};
pub use self::slo::{Outcome, Slo, SloError};
pub use self::trace::Trace;
pub use self::users::Users;

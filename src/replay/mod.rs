//! Load: a corpus of bid requests and a driver that sends it.
//!
//! ```text
//!  corpus    folder or file   → Corpus        request bodies, byte for byte
//!  schedule  rate, duration   → tickets       a number is due when its time has come, whatever the target does
//!  driver    tickets          → connections   each ticket is one request; latency counts from when it was due
//!  recorder  answers          → Report        statuses, faults, histograms
//!  table     Report           → text
//! ```

pub mod corpus;
pub mod driver;
pub mod headers;
pub mod recorder;
pub mod schedule;
pub mod second;
pub mod slo;
pub mod table;
pub mod verify;

mod connection;

pub use self::corpus::{Corpus, CorpusError};
pub use self::driver::{DriveError, Load, Progress, drive};
pub use self::headers::{Headers, spread};
pub use self::recorder::{Description, Fault, Report};
pub use self::schedule::Pace;
pub use self::second::{Percentiles, Second};
pub use self::slo::{Outcome, Slo, SloError};

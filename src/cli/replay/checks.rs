//! The flags of content checks, and the checks beside a load.

use std::sync::Arc;

use http::Uri;

use crate::replay::Load;
use crate::replay::login::Person;
use crate::replay::numbers::Answered;
use crate::replay::requests::Requests;
use crate::replay::verify::{self, Content, Dialect, Expect, Known, Settings, Verifier, VerifyError};

/// Users whose DII is looked for; each costs some hundred bytes.
const KNOWN: usize = 100_000;

/// Compare what sandbox SSPs received with what was sent.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Flags {
    /// A sandbox SSP behind the target (`sandbox ssp`); repeatable. What it received is compared with what was sent: a
    /// token only as expected and in its place, no DII of the users, and nothing changed that the gateway does not have
    /// to change; nothing twice, and nothing lost that was answered with a bid: name every SSP. Requests whose corpus
    /// entry has a traceparent of its own cannot be checked. Exit code 1 when something is wrong, when nothing was
    /// checked, or when an SSP threw away what nobody had looked at (see --keep-requests of `sandbox ssp`).
    #[arg(long, value_name = "SSP_URL", conflicts_with_all = ["find_max", "from_hdr"])]
    verify: Vec<Uri>,
    /// Check one request in N, chosen by its trace; with few requests that can be none.
    #[arg(long, value_name = "N", requires = "verify", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    verify_sample: u64,
    /// Whether a token must arrive, for all requests, but not for users whom nobody logged in (--unknown-users) [default:
    /// as "expect" in the corpus says, else any].
    #[arg(long, value_name = "WHAT", requires = "verify", value_enum)]
    expect: Option<ExpectArg>,
    /// Where these SSPs look for EIDs, as ssp.openrtb is configured [default: each place is right].
    #[arg(long, value_name = "DIALECT", requires = "verify", value_enum)]
    verify_openrtb: Option<DialectArg>,
    /// A member that may differ, for example user.id or imp[].ext; repeatable.
    #[arg(long, value_name = "MEMBER", requires = "verify")]
    verify_allow: Vec<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ExpectArg {
    /// A UID2 or EUID token in every request.
    Token,
    /// No token in any, not even the publisher's own.
    None,
    /// Both are right.
    Any,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DialectArg {
    #[value(name = "2.5")]
    V25,
    #[value(name = "2.6")]
    V26,
    Both,
    AsReceived,
}

/// Checks that run beside a load; none without `--verify`.
pub(super) struct Checks(Option<Verifier>);

impl Flags {
    /// What the load must tell of its answers.
    pub(super) fn answered(&self) -> Option<Answered> {
        (!self.verify.is_empty()).then(Answered::default)
    }

    /// Whether the addresses are some.
    pub(super) fn check(&self) -> Result<(), VerifyError> {
        self.verify.iter().try_for_each(verify::check_address)
    }

    /// Begins beside `load`, if it was asked for. `people`: whose DII must not arrive.
    pub(super) fn start(
        &self,
        requests: &Arc<Requests>,
        load: &Load,
        people: impl IntoIterator<Item = Person>,
    ) -> Result<Checks, VerifyError> {
        if self.verify.is_empty() {
            return Ok(Checks(None));
        }
        let mut known = Known::default();
        people.into_iter().take(KNOWN).for_each(|person| known.add_email(&person.email));
        let settings = Settings {
            ssps: self.verify.clone(),
            one_in: self.verify_sample,
            expect: self.expect.map(Expect::from),
            dialect: self.verify_openrtb.map(Dialect::from),
            allow: self.verify_allow.clone(),
            known,
            answered: load.answered.clone().unwrap_or_default(),
            stop: Arc::clone(&load.stop),
        };
        Ok(Checks(Some(Verifier::start(settings, Arc::clone(requests) as Arc<_>)?)))
    }
}

impl Checks {
    /// What they came to, after so many requests.
    pub(super) fn finish(self, sent: u64) -> Option<Content> {
        self.0.map(|verifier| verifier.finish(sent))
    }
}

impl From<ExpectArg> for Expect {
    fn from(arg: ExpectArg) -> Self {
        match arg {
            ExpectArg::Token => Self::Token,
            ExpectArg::None => Self::NoToken,
            ExpectArg::Any => Self::Any,
        }
    }
}

impl From<DialectArg> for Dialect {
    fn from(arg: DialectArg) -> Self {
        match arg {
            DialectArg::V25 => Self::V25,
            DialectArg::V26 => Self::V26,
            DialectArg::Both => Self::Both,
            DialectArg::AsReceived => Self::AsReceived,
        }
    }
}

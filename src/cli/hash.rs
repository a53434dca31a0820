//! `hash`: what the gateway makes of an e-mail address or phone number.

use std::process::ExitCode;

use super::{complain, print};
use crate::uid2::{DiiHash, Email, Phone};

/// Print the normalised form and the base64 SHA-256 that the operator gets.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  uid2-gateway hash email 'Jane.Saoirse+work@gmail.com'")]
pub(super) struct Args {
    /// What the value is.
    #[arg(value_enum)]
    kind: Kind,
    /// The e-mail address, or the phone number as +<country code><number>.
    value: String,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    Email,
    Phone,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let hashed = match args.kind {
        Kind::Email => {
            Email::parse(&args.value).map(|email| (email.as_str().to_owned(), DiiHash::of_email(&email)))
        }
        Kind::Phone => {
            Phone::parse(&args.value).map(|phone| (phone.as_str().to_owned(), DiiHash::of_phone(&phone)))
        }
    };
    match hashed {
        Ok((normalised, hash)) => {
            print(&format!("normalised  {normalised}\nsha256      {}\n", hash.to_base64()))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(fault) => {
            complain(&fault.to_string());
            Ok(ExitCode::FAILURE)
        }
    }
}

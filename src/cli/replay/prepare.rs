//! From flags to a load: reads the corpus, logs the users in.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, anyhow};
use http::{HeaderMap, Uri};

use super::args::Args;
use super::headers;
use super::screen::Screen;
use crate::net::tls;
use crate::replay::login::{Desk, Person};
use crate::replay::requests::{Requests, Settings};
use crate::replay::table::count;
use crate::replay::{self, Arrivals, Corpus, Expect, Load, Pace, Trace, Users};

/// A load that can begin.
pub(super) struct Prepared {
    pub(super) load: Load,
    pub(super) requests: Arc<Requests>,
    /// What the requests are made from.
    pub(super) entries: Corpus,
    settings: Settings,
    /// Where the corpus is.
    pub(super) corpus: String,
    /// Who was logged in.
    pub(super) people: Vec<Person>,
}

/// Why it cannot.
pub(super) enum Unprepared {
    /// Files or flags.
    Input(anyhow::Error),
    /// The target, or its identity API.
    Target(anyhow::Error),
}

const RATE: f64 = 1_000.0;
const DURATION: Duration = Duration::from_secs(10);
const PROBE: Duration = Duration::from_secs(5);

const USER: &str = "replay-user-";
const STRANGER: &str = "replay-stranger-";

pub(super) fn prepare(args: &Args) -> Result<Prepared, Unprepared> {
    let (Some(target), Some(path)) = (&args.target, &args.corpus) else {
        return Err(Unprepared::Input(anyhow!("--target and --corpus are needed")));
    };
    let target = check(args, target).map_err(Unprepared::Input)?;
    let headers = headers::parse(&args.headers).map_err(Unprepared::Input)?;
    let corpus = Corpus::load(path).map_err(|fault| Unprepared::Input(fault.into()))?;
    let (corpus, pace) = paced(args, corpus).map_err(Unprepared::Input)?;
    let load = load(args, pace).map_err(Unprepared::Input)?;
    tls::client_config(load.ca.as_deref()).map_err(|fault| Unprepared::Input(anyhow!("--ca: {fault}")))?;
    let users = usize::try_from(args.users).unwrap_or(usize::MAX);
    let run = run_number().map_err(Unprepared::Input)?;
    let users = Users::numbered(USER, users).with_strangers(&stranger(run), args.unknown_users);
    let people = if args.users > 0 { people(&users, &corpus) } else { Vec::new() };
    if !people.is_empty() {
        log_in(&target, &headers, load.ca.as_deref(), people.clone()).map_err(Unprepared::Target)?;
    }
    let settings = Settings { target, headers, users, trace: Trace::of(run), in_turn: args.recorded };
    Ok(Prepared {
        load,
        requests: Requests::new(corpus.clone(), &settings),
        entries: corpus,
        settings,
        corpus: path.display().to_string(),
        people,
    })
}

impl Prepared {
    /// The same load at another pace, with requests and strangers that no other load had.
    pub(super) fn probe(&self, load: Load) -> anyhow::Result<Self> {
        let run = run_number()?;
        let users = self.settings.users.clone().with_other_strangers(&stranger(run));
        let settings = Settings { users, trace: Trace::of(run), ..self.settings.clone() };
        Ok(Self {
            load,
            requests: Requests::new(self.entries.clone(), &settings),
            entries: self.entries.clone(),
            settings,
            corpus: self.corpus.clone(),
            people: Vec::new(),
        })
    }
}

/// What people of this run are called whom nobody logged in.
fn stranger(run: u64) -> String {
    format!("{STRANGER}{run:016x}-")
}

/// Addresses that can be used, and files that can be written.
fn check(args: &Args, target: &str) -> anyhow::Result<Uri> {
    // Not shown: there may be credentials in it.
    let target: Uri = target.parse().map_err(|_| anyhow!("--target: not a URL"))?;
    replay::check_target(&target).context("--target")?;
    args.checks.check().context("--verify")?;
    for path in [&args.hdr, &args.report].into_iter().flatten() {
        writable(path)?;
    }
    Ok(target)
}

/// Makes the file if there is none, so that a load does not end without a place for its results. What is in it stays
/// until then.
pub(super) fn writable(path: &Path) -> anyhow::Result<()> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map(drop).with_context(|| path.display().to_string())
}

fn paced(args: &Args, corpus: Corpus) -> anyhow::Result<(Corpus, Pace)> {
    if args.recorded {
        let (corpus, times) = corpus.recorded()?;
        return Ok((corpus, Pace::Recorded(times.into())));
    }
    let pace = match args.ramp {
        Some(ramp) => Pace::Ramp { from: ramp.from, to: ramp.to },
        None if args.steps.is_empty() => Pace::Constant(args.rate.unwrap_or(RATE)),
        None => Pace::Steps(args.steps.clone().into()),
    };
    if pace.is_sound() { Ok((corpus, pace)) } else { Err(anyhow!("a rate of 0 is no load")) }
}

fn load(args: &Args, pace: Pace) -> anyhow::Result<Load> {
    let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    let duration = match (args.duration, args.recorded) {
        (None, true) => None,
        (None, false) => Some(if args.find_max { PROBE } else { DURATION }),
        (given, _) => given,
    };
    let timeout = Duration::from_millis(args.timeout_ms);
    Ok(Load {
        arrivals: args.poisson.map_or(Arrivals::Even, Arrivals::Poisson),
        warmup: args.warmup,
        duration,
        connections: usize::try_from(args.connections).unwrap_or(usize::MAX),
        threads: usize::try_from(args.threads).unwrap_or(usize::MAX),
        http2: args.http2,
        ca: args.ca.as_deref().map(read).transpose()?,
        timeout,
        grace: timeout,
        answered: args.checks.answered(),
        ..Load::new(pace)
    })
}

/// Who must be logged in: the users of --users, and those in the corpus, unless all that names them shall go out without
/// a token.
fn people(users: &Users, corpus: &Corpus) -> Vec<Person> {
    let named = corpus.entries().iter().filter(|entry| entry.expect != Some(Expect::NoToken));
    let named: BTreeSet<&str> = named.filter_map(|entry| entry.user.as_deref()).collect();
    let all = users.names().iter().map(String::as_str).chain(named);
    all.map(|user| Person { user: user.to_owned(), email: Person::email_of(user) }).collect()
}

fn log_in(target: &Uri, headers: &HeaderMap, ca: Option<&[u8]>, people: Vec<Person>) -> anyhow::Result<()> {
    let desk = Arc::new(Desk::new(target, headers, ca)?);
    let all = count(u64::try_from(people.len())?);
    let screen = Mutex::new(Screen::new());
    let tell = |done: usize| {
        if done.is_multiple_of(100) {
            let done = count(u64::try_from(done).unwrap_or(u64::MAX));
            screen.lock().expect("nobody panics with it").show(&format!("logging in users: {done} of {all}"));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let admitted = runtime.block_on(desk.admit(people.into_iter(), tell));
    screen.lock().expect("nobody panics with it").clear();
    Ok(admitted?)
}

/// Unlike that of any other run.
fn run_number() -> anyhow::Result<u64> {
    let mut run = [0; 8];
    getrandom::fill(&mut run)?;
    Ok(u64::from_le_bytes(run))
}

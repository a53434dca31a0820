//! A connection that is kept: made anew when it breaks, given up when nothing answers on it, and asked with a limit of
//! our own. While there is none, whoever asks is told at once: that is the breaker, and making the next one is its probe.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind};
use tokio::sync::{mpsc, watch};

use super::super::error::StoreError;
use super::wire::{Dialer, Wire};

/// Answers that may fail to come in a row before the connection is taken for dead.
const SILENT: u32 = 3;

/// Pause between two attempts to connect, milliseconds, and what chance adds at most.
const PAUSE_MS: u64 = 100;
const JITTER_MS: u64 = 400;

/// The connection, now.
#[derive(Clone)]
enum State {
    /// It is being made.
    Dialing,
    /// Here it is, the so-manieth.
    Up(u64, Wire),
    /// It could not be made; the next attempt is on its way.
    Down(Arc<str>),
}

/// One kept connection.
pub(super) struct Link {
    state: watch::Receiver<State>,
    broken: mpsc::UnboundedSender<u64>,
    silent: AtomicU32,
    /// For one answer, unless the caller says otherwise.
    timeout: Duration,
}

impl Link {
    /// Starts keeping a connection, on the current runtime. `what` it is for, in logs.
    pub(super) fn keep(what: &'static str, dialer: Dialer, timeout: Duration) -> Self {
        let (sender, state) = watch::channel(State::Dialing);
        let (broken, breaks) = mpsc::unbounded_channel();
        tokio::spawn(keep(Keeper { what, dialer, sender, down: false }, breaks));
        Self { state, broken, silent: AtomicU32::new(0), timeout }
    }

    /// Asks for one answer.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.call(self.timeout, |mut wire| async move { wire.ask(command).await }).await
    }

    /// Does `work` with the connection, for no longer than `limit`.
    pub(super) async fn call<T, F, W>(&self, limit: Duration, work: W) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
        W: FnOnce(Wire) -> F,
    {
        let mut used = None;
        let asked = async {
            let (number, wire) = self.live().await?;
            used = Some(number);
            work(wire).await.map_err(Fault::Redis)
        };
        match tokio::time::timeout(limit, asked).await {
            Ok(Ok(answer)) => {
                self.silent.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(Fault::Redis(error))) => {
                if breaks(&error) {
                    self.give_up(used);
                }
                Err(told(&error))
            }
            Ok(Err(Fault::Down(reason))) => Err(StoreError::Redis(reason.to_string())),
            Err(_) => {
                if self.silent.fetch_add(1, Ordering::Relaxed) + 1 >= SILENT {
                    self.give_up(used);
                }
                Err(StoreError::Redis(String::from("no answer in time")))
            }
        }
    }

    /// Waits until the first attempt to connect has ended: well, or why not.
    pub(super) async fn first(&self) -> Result<(), StoreError> {
        let mut state = self.state.clone();
        let ended = state.wait_for(|state| !matches!(state, State::Dialing)).await;
        match ended.as_deref() {
            Ok(State::Down(reason)) => Err(StoreError::Redis(reason.to_string())),
            Ok(_) => Ok(()),
            Err(_) => Err(StoreError::Closed),
        }
    }

    async fn live(&self) -> Result<(u64, Wire), Fault> {
        let mut state = self.state.clone();
        let now = state.wait_for(|state| !matches!(state, State::Dialing)).await;
        match now.as_deref() {
            Ok(State::Up(number, wire)) => Ok((*number, wire.clone())),
            Ok(State::Down(reason)) => Err(Fault::Down(Arc::clone(reason))),
            Ok(State::Dialing) | Err(_) => Err(Fault::Down(Arc::from("not connected"))),
        }
    }

    fn give_up(&self, number: Option<u64>) {
        self.silent.store(0, Ordering::Relaxed);
        if let Some(number) = number {
            // No keeper: the store is being closed.
            self.broken.send(number).unwrap_or_default();
        }
    }
}

enum Fault {
    Redis(RedisError),
    Down(Arc<str>),
}

/// Whoever keeps the connection.
struct Keeper {
    what: &'static str,
    dialer: Dialer,
    sender: watch::Sender<State>,
    /// The last attempt to connect failed.
    down: bool,
}

/// Ends when nobody can report a break any more.
async fn keep(mut keeper: Keeper, mut breaks: mpsc::UnboundedReceiver<u64>) {
    for number in 1.. {
        let wire = keeper.connect().await;
        keeper.sender.send_replace(State::Up(number, wire));
        loop {
            match breaks.recv().await {
                Some(broken) if broken == number => break,
                Some(_) => {}
                None => return,
            }
        }
        keeper.sender.send_replace(State::Dialing);
    }
}

impl Keeper {
    async fn connect(&mut self) -> Wire {
        loop {
            match self.dialer.dial().await {
                Ok(wire) => {
                    if std::mem::take(&mut self.down) {
                        tracing::info!("Redis answers again ({})", self.what);
                    }
                    return wire;
                }
                Err(error) => self.failed(&error),
            }
            let chance = getrandom::u64().unwrap_or_default() % JITTER_MS;
            tokio::time::sleep(Duration::from_millis(PAUSE_MS + chance)).await;
        }
    }

    fn failed(&mut self, error: &RedisError) {
        let reason: Arc<str> = Arc::from(reason(error));
        if !std::mem::replace(&mut self.down, true) {
            tracing::warn!("Redis cannot be reached ({}): {reason}; trying on", self.what);
        }
        self.sender.send_replace(State::Down(reason));
    }
}

/// Whether an error means that another connection is needed.
fn breaks(error: &RedisError) -> bool {
    let kind = error.kind();
    let elsewhere = [ServerErrorKind::ReadOnly, ServerErrorKind::Moved, ServerErrorKind::MasterDown];
    error.is_io_error()
        || error.is_unrecoverable_error()
        || kind == ErrorKind::ClusterConnectionNotFound
        || elsewhere.iter().any(|moved| kind == ErrorKind::Server(*moved))
}

fn told(error: &RedisError) -> StoreError {
    StoreError::Redis(reason(error))
}

/// Redis' words, without anything that we sent.
fn reason(error: &RedisError) -> String {
    if error.is_timeout() {
        return String::from("no answer in time");
    }
    match error.kind() {
        ErrorKind::Io => error.to_string(),
        _ => {
            error.code().map_or_else(|| error.category().to_owned(), |code| format!("the server says {code}"))
        }
    }
}

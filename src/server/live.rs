//! What is in force: settings, publishers, SSPs. A reload puts another generation in its place; a request that has begun
//! ends under the one it began under.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::watch;

use super::Settings;
use super::worker::Seat;
use crate::gateway::{Gateway, Leg, Peer, Shared};
use crate::net::OriginError;
use crate::ssp;

/// One state of the configuration, built.
#[derive(Clone)]
pub struct Generation {
    /// Limits and timeouts.
    pub settings: Arc<Settings>,
    /// The path's shared half.
    pub shared: Arc<Shared>,
    /// What each thread makes its SSP clients from, in configuration order. An SSP whose settings are the same `Arc` as
    /// before keeps its connections.
    pub ssps: Arc<[ssp::Seed]>,
}

/// The generation in force, for whoever puts another in its place and for those who follow.
#[derive(Clone)]
pub struct Live(Arc<watch::Sender<Generation>>);

impl Live {
    /// Begins with `first`.
    pub fn new(first: Generation) -> Self {
        Self(Arc::new(watch::Sender::new(first)))
    }

    /// The one in force.
    pub fn current(&self) -> Generation {
        self.0.borrow().clone()
    }

    /// Puts `next` in force: each thread takes it over before its next request, or very soon after.
    pub fn replace(&self, next: Generation) {
        self.0.send_replace(next);
    }

    pub(super) fn follow(&self) -> watch::Receiver<Generation> {
        self.0.subscribe()
    }
}

/// What one request is answered with, from its first byte to its answer. Cheap to clone.
#[derive(Clone)]
pub(super) struct Room(Rc<Furnished>);

struct Furnished {
    seat: Rc<Seat>,
    settings: Arc<Settings>,
    gateway: Gateway,
}

impl Room {
    /// `before`: the room whose connections to unchanged SSPs are kept.
    pub(super) fn new(
        seat: Rc<Seat>,
        generation: &Generation,
        before: Option<&Self>,
    ) -> Result<Self, OriginError> {
        let leg = |seed: &ssp::Seed| match before.and_then(|room| room.gateway().leg(seed.settings())) {
            Some(leg) => Ok(leg),
            None => Ok(Leg { settings: Arc::clone(seed.settings()), client: seed.client()? }),
        };
        let legs = generation.ssps.iter().map(leg).collect::<Result<Vec<Leg>, OriginError>>()?;
        let gateway = Gateway::new(Arc::clone(&generation.shared), legs);
        Ok(Self(Rc::new(Furnished { seat, settings: Arc::clone(&generation.settings), gateway })))
    }

    pub(super) fn gateway(&self) -> &Gateway {
        &self.0.gateway
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(super) fn seat(&self) -> &Seat {
        &self.0.seat
    }

    /// A peer as `server.trusted_proxies` has it now, which may not be what held when it connected.
    pub(super) fn judged(&self, peer: Peer) -> Peer {
        let trusted = self.0.settings.trusted_proxies.iter().any(|network| network.contains(peer.ip));
        Peer { trusted, ..peer }
    }
}

/// The room of the requests that begin now.
#[derive(Clone)]
pub(super) struct Door(Rc<RefCell<Room>>);

impl Door {
    pub(super) fn new(room: Room) -> Self {
        Self(Rc::new(RefCell::new(room)))
    }

    pub(super) fn room(&self) -> Room {
        self.0.borrow().clone()
    }

    /// Takes over every generation that comes, until there can be none any more.
    pub(super) async fn follow(self, mut live: watch::Receiver<Generation>) {
        while live.changed().await.is_ok() {
            let next = live.borrow_and_update().clone();
            let before = self.room();
            match Room::new(Rc::clone(&before.0.seat), &next, Some(&before)) {
                Ok(room) => drop(self.0.replace(room)),
                Err(fault) => tracing::error!(error = %fault, "an SSP's URL is not usable"),
            }
        }
    }
}

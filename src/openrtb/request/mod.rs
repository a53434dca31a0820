//! A scanned bid request: the inbound bytes, and where the members stand that we read.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use smallvec::SmallVec;

use super::eid::{EidLists, Eids};
use super::error::ScanError;
use super::read;
use super::scan::{Key, Kind, Limits, Value};
use super::signals::RawSignals;
use super::text::{Span, Text};

/// A bid request whose grammar has been checked. Cheap to keep: the bytes are shared, the rest is offsets.
#[derive(Clone)]
pub struct BidRequest {
    pub(super) body: Bytes,
    /// Boxed: a request is handed on from stage to stage, and this is most of a kilobyte.
    pub(super) found: Box<Found>,
    pub(super) limits: Limits,
}

/// Everything a scan finds.
#[derive(Clone, Default)]
pub(super) struct Found {
    pub layout: Layout,
    pub names: Names,
    pub signals: RawSignals,
    pub eids: EidLists,
    /// The first member of a wrong type, or too long, that forbids us to add anything.
    pub wrong_type: Option<&'static str>,
}

/// Where the members stand that we edit.
#[derive(Clone, Default)]
pub(super) struct Layout {
    pub root: Container,
    pub tmax: Option<Tmax>,
    pub user: Option<Member>,
    pub user_object: Option<Container>,
    pub user_id: Option<Member>,
    pub user_eids: Option<Member>,
    pub user_ext: Option<Member>,
    pub ext_object: Option<Container>,
    pub ext_eids: Option<Member>,
    pub ext_uid2: Option<Member>,
    pub ext_publisher_user_id: Option<Member>,
    /// The value of `ext.prebid.data.eidpermissions`.
    pub eid_permissions: Option<Value>,
    pub regs: Regs,
}

/// Where `regs`, `regs.ext` and `regs.ext.gpc` stand.
#[derive(Clone, Default)]
pub(super) struct Regs {
    pub member: Option<Member>,
    pub object: Option<Container>,
    pub ext: Option<Member>,
    pub ext_object: Option<Container>,
    pub gpc: Option<Member>,
}

/// A member of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Member {
    /// Key to value.
    pub span: Span,
    /// How many members stand before it in its object.
    pub index: u32,
    pub value: Span,
    pub kind: Kind,
}

impl Member {
    pub(super) fn new(key: Key, value: Value) -> Self {
        let span = Span { start: key.start, end: value.span.end };
        Self { span, index: key.index, value: value.span, kind: value.kind }
    }
}

/// An object or array: brackets included, and how many items it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Container {
    pub span: Span,
    pub items: u32,
}

/// An integer `tmax`.
#[derive(Clone, Copy)]
pub(super) struct Tmax {
    pub span: Span,
    pub millis: u64,
}

/// Strings we read.
#[derive(Clone, Default)]
pub(super) struct Names {
    pub id: Option<Text>,
    /// How many imps.
    pub imps: u32,
    /// Their string ids.
    pub imp_ids: SmallVec<[Text; 4]>,
    pub cur: Option<Text>,
    pub test: bool,
    /// There is a `site`, `app` or `dooh`.
    pub inventory: bool,
    /// `publisher.id` of `site`, `app`, `dooh`.
    pub publishers: [Option<Text>; 3],
    pub domain: Option<Text>,
    pub bundle: Option<Text>,
    pub user_id: Option<Text>,
    pub publisher_user_id: Option<Text>,
}

impl BidRequest {
    /// Checks the whole text and finds what we read. An error means HTTP 400.
    pub fn parse(body: Bytes, limits: &Limits) -> Result<Self, ScanError> {
        let mut found = Box::<Found>::default();
        read::request(&body, *limits, &mut found)?;
        Ok(Self { body, found, limits: *limits })
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    pub(super) fn body_span(&self) -> Span {
        Span::new(0, self.body.len())
    }

    /// `id`.
    pub fn id(&self) -> Cow<'_, str> {
        self.text(self.found.names.id).unwrap_or_default()
    }

    /// `id` as it stands in the body, with its quotes.
    pub fn id_raw(&self) -> &[u8] {
        self.found.names.id.map(|id| id.quoted(&self.body)).unwrap_or_default()
    }

    /// The ids of `imp`; an imp without a string id gives none.
    pub fn imp_ids(&self) -> Vec<Cow<'_, str>> {
        self.found.names.imp_ids.iter().map(|id| id.decode(&self.body)).collect()
    }

    /// `tmax` in milliseconds.
    pub fn tmax(&self) -> Option<u64> {
        self.found.layout.tmax.map(|tmax| tmax.millis)
    }

    /// The first string of `cur`.
    pub fn first_cur(&self) -> Option<Cow<'_, str>> {
        self.text(self.found.names.cur)
    }

    /// `test` is set: a non-billable auction.
    pub fn test(&self) -> bool {
        self.found.names.test
    }

    /// The first of `site.publisher.id`, `app.publisher.id`, `dooh.publisher.id`.
    pub fn publisher_id(&self) -> Option<Cow<'_, str>> {
        self.text(self.found.names.publishers.into_iter().flatten().next())
    }

    /// `site.domain`.
    pub fn site_domain(&self) -> Option<Cow<'_, str>> {
        self.text(self.found.names.domain)
    }

    /// `app.bundle`.
    pub fn app_bundle(&self) -> Option<Cow<'_, str>> {
        self.text(self.found.names.bundle)
    }

    /// Every text by which a publisher may be told: `publisher.id` of site, app and dooh, `site.domain`, `app.bundle`.
    pub(super) fn publisher_texts(&self) -> impl Iterator<Item = Text> {
        let names = &self.found.names;
        names.publishers.into_iter().chain([names.domain, names.bundle]).flatten()
    }

    /// `user.id`: a string, or a number as it is written.
    pub fn user_id(&self) -> Option<Cow<'_, str>> {
        self.text(self.found.names.user_id)
    }

    /// The hint `user.ext.publisher_user_id`: a string, or a number as it is written.
    pub fn publisher_user_id(&self) -> Option<Cow<'_, str>> {
        self.text(self.found.names.publisher_user_id)
    }

    /// The privacy signals as stated.
    pub fn signals(&self) -> &RawSignals {
        &self.found.signals
    }

    /// TC strings: `user.consent`, `user.ext.consent`.
    pub fn consents(&self) -> [Option<Cow<'_, str>>; 2] {
        self.found.signals.consent.map(|text| self.text(text))
    }

    /// `regs.us_privacy`, `regs.ext.us_privacy`.
    pub fn us_privacies(&self) -> [Option<Cow<'_, str>>; 2] {
        self.found.signals.us_privacy.map(|text| self.text(text))
    }

    /// `regs.gpp`, `regs.ext.gpp`.
    pub fn gpps(&self) -> [Option<Cow<'_, str>>; 2] {
        self.found.signals.gpp.map(|text| self.text(text))
    }

    /// `device.geo.country`, `user.geo.country`.
    pub fn countries(&self) -> [Option<Cow<'_, str>>; 2] {
        self.found.signals.countries.map(|text| self.text(text))
    }

    /// The EIDs of both places.
    pub fn eids(&self) -> Eids<'_> {
        Eids { body: &self.body, lists: &self.found.eids }
    }

    /// The first of `user`, `user.ext`, their `eids`, `regs`, `regs.ext` and `device` that is there, but of a wrong
    /// type; an `eids` with more entries than [`Limits::max_eids`] counts as one. To such a request nothing is added.
    pub fn wrong_type(&self) -> Option<&'static str> {
        self.found.wrong_type
    }

    /// Takes over what another version of the same request had against it.
    pub(super) fn inherit(&mut self, from: &Self) {
        self.found.wrong_type = from.found.wrong_type.or(self.found.wrong_type);
        let gone = |mine: [Option<Text>; 2], theirs: [Option<Text>; 2]| {
            mine.map(|text| text.is_some()) != theirs.map(|text| text.is_some())
        };
        let (mine, theirs) = (&mut self.found.signals, &from.found.signals);
        mine.malformed |=
            theirs.malformed || gone(mine.consent, theirs.consent) || gone(mine.countries, theirs.countries);
    }

    fn text(&self, text: Option<Text>) -> Option<Cow<'_, str>> {
        text.map(|text| text.decode(&self.body))
    }
}

/// Bodies are never logged: only the length shows.
impl fmt::Debug for BidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BidRequest").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! The IAB Global Vendor List, as far as identity asks: which purposes a vendor declares, and on which basis.
//!
//! A few vendors are built in, so that the program works without a file. A file in the IAB's own form (version 3) takes
//! their place as a whole: what it does not list, or lists as deleted, is no registered vendor and has no basis.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

/// Vendor id of The Trade Desk, under which both UID2 and EUID are operated; neither has an id of its own.
pub const TRADE_DESK: u16 = 21;

/// A set of TCF purposes 1–24.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Purposes(u32);

impl Purposes {
    /// The set of the purposes listed; numbers beyond 24 are none.
    pub const fn of(list: &[u8]) -> Self {
        let (mut set, mut rest) = (0_u32, list);
        while let [purpose, tail @ ..] = rest {
            set |= if *purpose < 25 { 1 << *purpose } else { 0 };
            rest = tail;
        }
        Self(set)
    }

    /// Whether the purpose is in the set.
    pub const fn has(self, purpose: u8) -> bool {
        purpose < 25 && self.0 & (1 << purpose) != 0
    }
}

/// What a vendor declares. The default declares nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Declared {
    /// Purposes on consent.
    pub consent: Purposes,
    /// Purposes on legitimate interest.
    pub interest: Purposes,
    /// Purposes for which a publisher may demand the other basis.
    pub flexible: Purposes,
}

/// A vendor list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gvl {
    vendors: HashMap<u16, Declared>,
    /// Its `vendorListVersion`; `None` for the vendors built in.
    version: Option<u32>,
}

/// Why a vendor list is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GvlError {
    /// No JSON, or not of the shape of a vendor list.
    #[error("is no IAB vendor list: {0}")]
    Shape(String),
    /// A list of another form.
    #[error("gvlSpecificationVersion is {0}, and 3 is needed")]
    Specification(u32),
    /// No vendor at all.
    #[error("lists no vendor")]
    Empty,
    /// A vendor whose key is no id, or not its own.
    #[error("vendors.{0} is not keyed by its id")]
    Id(String),
    /// A purpose that does not exist.
    #[error("vendors.{0} declares a purpose outside 1 to 24")]
    Purpose(u16),
}

impl Gvl {
    /// Reads a list in the IAB's JSON form (`vendors.{id}.{purposes,legIntPurposes,flexiblePurposes,deletedDate}`).
    pub fn from_json(text: &[u8]) -> Result<Self, GvlError> {
        let list: List = serde_json::from_slice(text).map_err(|fault| {
            let place = format!("line {} column {}", fault.line(), fault.column());
            GvlError::Shape(if fault.is_data() { fault.to_string() } else { place })
        })?;
        if list.gvl_specification_version != 3 {
            return Err(GvlError::Specification(list.gvl_specification_version));
        }
        if list.vendors.is_empty() {
            return Err(GvlError::Empty);
        }
        let vendors =
            list.vendors.iter().map(|(key, vendor)| vendor.declared(key)).collect::<Result<_, _>>()?;
        Ok(Self { vendors, version: Some(list.vendor_list_version) })
    }

    /// What the vendor declares; `None` when that is not known, so that it may use either basis the user gave. Of a list
    /// read from a file everything is known: who is not on it declares nothing.
    pub fn declared(&self, vendor: u16) -> Option<Declared> {
        let unlisted = self.version.map(|_| Declared::default());
        self.vendors.get(&vendor).copied().or(unlisted)
    }

    /// `vendorListVersion`; `None` for the vendors built in.
    pub fn version(&self) -> Option<u32> {
        self.version
    }

    /// How many vendors it lists.
    pub fn vendors(&self) -> usize {
        self.vendors.len()
    }
}

/// The Trade Desk as registered in 2026-08. What SSPs declare is not built in.
impl Default for Gvl {
    fn default() -> Self {
        let trade_desk = Declared {
            consent: Purposes::of(&[1, 3, 4]),
            interest: Purposes::of(&[2, 7, 10]),
            flexible: Purposes::of(&[2, 7, 10]),
        };
        Self { vendors: HashMap::from([(TRADE_DESK, trade_desk)]), version: None }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    gvl_specification_version: u32,
    vendor_list_version: u32,
    vendors: BTreeMap<String, Vendor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vendor {
    id: u16,
    #[serde(default)]
    purposes: Vec<u8>,
    #[serde(default)]
    leg_int_purposes: Vec<u8>,
    #[serde(default)]
    flexible_purposes: Vec<u8>,
    deleted_date: Option<String>,
}

impl Vendor {
    fn declared(&self, key: &str) -> Result<(u16, Declared), GvlError> {
        if key.parse() != Ok(self.id) || self.id == 0 {
            return Err(GvlError::Id(key.chars().take(16).collect()));
        }
        let lists = [&self.purposes, &self.leg_int_purposes, &self.flexible_purposes];
        if lists.iter().any(|list| list.iter().any(|purpose| !(1..=24).contains(purpose))) {
            return Err(GvlError::Purpose(self.id));
        }
        if self.deleted_date.is_some() {
            return Ok((self.id, Declared::default()));
        }
        let [consent, interest, flexible] = lists.map(|list| Purposes::of(list));
        Ok((self.id, Declared { consent, interest, flexible }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXCERPT: &str = include_str!("../../fixtures/privacy/gvl.json");

    #[test]
    fn an_excerpt_in_the_iab_s_form_is_read() {
        let gvl = Gvl::from_json(EXCERPT.as_bytes()).unwrap();
        assert_eq!((gvl.version(), gvl.vendors()), (Some(160), 4));
        assert_eq!(gvl.declared(TRADE_DESK), Gvl::default().declared(TRADE_DESK));
        let ssp = gvl.declared(76).unwrap();
        assert!(ssp.consent.has(1) && !ssp.consent.has(2) && ssp.interest.has(2) && !ssp.flexible.has(2));
        assert_eq!(gvl.declared(99), Some(Declared::default()), "deleted");
        assert_eq!(gvl.declared(1234), Some(Declared::default()), "not listed");
        assert_eq!(Gvl::default().declared(1234), None);
    }

    fn list(vendors: &str) -> String {
        format!(r#"{{"gvlSpecificationVersion":3,"vendorListVersion":1,"vendors":{{{vendors}}}}}"#)
    }

    #[test]
    fn what_is_no_vendor_list_is_refused_with_its_reason() {
        let told = |text: &str| Gvl::from_json(text.as_bytes()).map(|_| ()).unwrap_err().to_string();
        assert!(told("{").contains("line 1"));
        assert!(told("{}").contains("gvlSpecificationVersion"));
        assert_eq!(told(&list("")), "lists no vendor");
        assert_eq!(told(&list(r#""7":{"id":8}"#)), "vendors.7 is not keyed by its id");
        assert_eq!(told(&list(r#""x":{"id":8}"#)), "vendors.x is not keyed by its id");
        assert_eq!(told(&list(r#""0":{"id":0}"#)), "vendors.0 is not keyed by its id");
        assert!(told(&list(r#""70000":{"id":70000}"#)).contains("70000"));
        assert_eq!(
            told(&list(r#""7":{"id":7,"purposes":[25]}"#)),
            "vendors.7 declares a purpose outside 1 to 24"
        );
        assert_eq!(
            told(&list(r#""7":{"id":7,"flexiblePurposes":[0]}"#)),
            "vendors.7 declares a purpose outside 1 to 24"
        );
        let other = list(r#""7":{"id":7}"#).replace("Version\":3", "Version\":2");
        assert_eq!(told(&other), "gvlSpecificationVersion is 2, and 3 is needed");
    }
}

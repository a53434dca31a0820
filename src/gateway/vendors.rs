//! The vendor list in force, and the file it comes from, which may change while the gateway runs.
//!
//! Readers take the current list without a lock. A change of the file is found by its time and length every few seconds,
//! then by its content; a file that is no vendor list changes nothing and is reported once.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};

use crate::identity::VendorList;
use crate::privacy::{Gvl, GvlError};

/// `privacy.gvl` of the configuration.
#[derive(Clone, Debug)]
pub struct VendorSettings {
    /// The file; `None`: the vendors built in.
    pub path: Option<PathBuf>,
    /// A larger file is not read, bytes.
    pub max_bytes: u64,
    /// How often the file is looked at.
    pub poll: Duration,
}

/// Why a file is not taken as the vendor list.
#[derive(Debug, thiserror::Error)]
pub enum VendorFault {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is over the limit.
    #[error("is larger than {0} bytes (privacy.gvl_max_bytes)")]
    TooLarge(u64),
    /// It is no vendor list.
    #[error("{0}")]
    Gvl(#[from] GvlError),
}

/// The vendor list in force.
pub struct Vendors {
    settings: VendorSettings,
    current: ArcSwap<Gvl>,
    seen: Seen,
}

/// What was last found in place of the file.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Seen {
    stamp: Option<(SystemTime, u64)>,
    content: Option<[u8; 32]>,
}

impl Vendors {
    /// Reads the file, if there is one.
    pub fn open(settings: VendorSettings) -> Result<Self, VendorFault> {
        let mut seen = Seen::default();
        let gvl = match &settings.path {
            Some(_) => seen.look(&settings)?.unwrap_or_default(),
            None => Gvl::default(),
        };
        Ok(Self { settings, current: ArcSwap::from_pointee(gvl), seen })
    }

    /// Whether no file was configured.
    pub fn are_built_in(&self) -> bool {
        self.settings.path.is_none()
    }

    /// The list as it is now, for one request.
    pub fn current(&self) -> arc_swap::Guard<Arc<Gvl>> {
        self.current.load()
    }

    /// The same for whoever asks from below.
    pub fn list(self: &Arc<Self>) -> VendorList {
        let vendors = Arc::clone(self);
        Arc::new(move || Arc::clone(&vendors.current()))
    }

    /// Looks at the file for as long as anybody else holds the list.
    pub async fn watch(self: Arc<Self>) {
        if self.settings.path.is_none() {
            return;
        }
        let (vendors, poll, mut seen) = (Arc::downgrade(&self), self.settings.poll, self.seen);
        drop(self);
        loop {
            tokio::time::sleep(poll).await;
            let Some(vendors) = vendors.upgrade() else { return };
            // A file on a network may hang; that must not hold up this runtime.
            let looked = tokio::task::spawn_blocking(move || vendors.renew(seen)).await;
            seen = looked.unwrap_or(seen);
        }
    }

    /// Takes what the file holds now, if that is new and a vendor list.
    fn renew(&self, mut seen: Seen) -> Seen {
        let before = seen;
        match seen.look(&self.settings) {
            Ok(Some(gvl)) => {
                tracing::info!(
                    version = gvl.version(),
                    vendors = gvl.vendors(),
                    "vendor list: new one in force"
                );
                self.current.store(Arc::new(gvl));
            }
            Err(fault) if seen != before => {
                tracing::error!(file = ?self.settings.path, %fault, "vendor list: the file is not taken, the last one stays");
            }
            Ok(None) | Err(_) => {}
        }
        seen
    }
}

impl std::fmt::Debug for Vendors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gvl = self.current();
        let mut shown = f.debug_struct("Vendors");
        shown.field("settings", &self.settings).field("version", &gvl.version()).finish_non_exhaustive()
    }
}

impl Seen {
    /// The list in the file when its content is new, `None` when it is as before. What was seen is remembered even when it
    /// is refused, so that it is refused once.
    fn look(&mut self, settings: &VendorSettings) -> Result<Option<Gvl>, VendorFault> {
        let Some(path) = &settings.path else { return Ok(None) };
        let stamp = fs::metadata(path).and_then(|data| Ok((data.modified()?, data.len())));
        let stamp = match stamp {
            Ok(stamp) if self.stamp == Some(stamp) => return Ok(None),
            Ok(stamp) => stamp,
            Err(fault) => {
                *self = Self::default();
                return Err(fault.into());
            }
        };
        let content = match read(path, settings.max_bytes) {
            Err(fault @ VendorFault::Io(_)) => {
                *self = Self::default();
                return Err(fault);
            }
            read => read,
        };
        // Only what was read, or refused for its size, is not looked at again; a file that could not be read is.
        self.stamp = Some(stamp);
        let content = content?;
        let digest: [u8; 32] = Sha256::digest(&content).into();
        if self.content.replace(digest) == Some(digest) {
            return Ok(None);
        }
        Ok(Some(Gvl::from_json(&content)?))
    }
}

fn read(path: &PathBuf, max_bytes: u64) -> Result<Vec<u8>, VendorFault> {
    let mut content = Vec::new();
    File::open(path)?.take(max_bytes.saturating_add(1)).read_to_end(&mut content)?;
    let fits = u64::try_from(content.len()).is_ok_and(|length| length <= max_bytes);
    if fits { Ok(content) } else { Err(VendorFault::TooLarge(max_bytes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = include_str!("../../fixtures/privacy/gvl.json");

    fn settings(path: PathBuf, max_bytes: usize) -> VendorSettings {
        VendorSettings { path: Some(path), max_bytes: max_bytes as u64, poll: Duration::from_secs(5) }
    }

    #[test]
    fn without_a_file_the_vendors_built_in_count() {
        let settings = VendorSettings { path: None, max_bytes: 1, poll: Duration::ZERO };
        assert_eq!(**Vendors::open(settings).unwrap().current(), Gvl::default());
    }

    #[test]
    fn the_size_is_capped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gvl.json");
        fs::write(&path, LIST).unwrap();
        assert!(Vendors::open(settings(path.clone(), LIST.len())).is_ok());
        let fault = Vendors::open(settings(path, LIST.len() - 1)).unwrap_err().to_string();
        assert_eq!(fault, format!("is larger than {} bytes (privacy.gvl_max_bytes)", LIST.len() - 1));
    }

    #[test]
    fn what_cannot_be_read_is_tried_again_and_what_is_refused_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gvl.json");
        fs::write(&path, LIST).unwrap();
        let mut seen = Seen::default();
        assert!(matches!(seen.look(&settings(path.clone(), LIST.len() - 1)), Err(VendorFault::TooLarge(_))));
        assert_eq!(seen.look(&settings(path, LIST.len() - 1)).unwrap(), None, "refused once");
        // A folder has a time and a length, but cannot be read.
        let unreadable = settings(folder.path().to_owned(), LIST.len());
        assert!(matches!(seen.look(&unreadable), Err(VendorFault::Io(_))));
        assert_eq!(seen, Seen::default());
        assert!(matches!(seen.look(&unreadable), Err(VendorFault::Io(_))), "looked at again");
    }

    #[test]
    fn a_new_list_is_taken_and_a_bad_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gvl.json");
        fs::write(&path, LIST).unwrap();
        let vendors = Vendors::open(settings(path.clone(), 1 << 20)).unwrap();
        let version = || vendors.current().version();
        let mut seen = vendors.seen;
        let mut turn = |content: Option<&str>| {
            match content {
                Some(content) => fs::write(&path, content).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let before = seen;
            seen = vendors.renew(seen);
            seen != before
        };
        assert!(turn(Some(&LIST.replace(": 160", ": 161 "))));
        assert_eq!(version(), Some(161));
        assert!(turn(Some("{ no list")));
        assert_eq!(version(), Some(161));
        assert!(turn(None), "gone: told once …");
        assert_eq!(version(), Some(161));
        assert_eq!(vendors.renew(Seen::default()), Seen::default(), "… and not again");
        assert!(turn(Some(LIST)));
        assert_eq!(version(), Some(160));
    }
}

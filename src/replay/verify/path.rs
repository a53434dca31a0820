//! Where in a document something stands, in words: `imp[0].banner.w`. Made while walking, written only when needed.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

/// A place: the way from the root.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Member(&'p str),
    Item(usize),
}

/// Longest name that is written out.
const LONGEST: usize = 48;

impl<'p> Path<'p> {
    /// The document itself.
    pub(super) const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// A member of the object here, by its name as it is written, quotes included.
    pub(super) const fn member(&'p self, written: &'p str) -> Self {
        Self { parent: Some(self), step: Step::Member(written) }
    }

    /// An element of the array here.
    pub(super) const fn item(&'p self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Item(index) }
    }

    /// Whether this is the place of these members inside each other.
    pub(super) fn is(&self, names: &[&str]) -> bool {
        match (self.step, names.split_last()) {
            (Step::Root, None) => true,
            (Step::Member(written), Some((last, before))) => {
                named(written) == *last && self.parent.is_some_and(|parent| parent.is(before))
            }
            _ => false,
        }
    }

    /// Whether this is `user` or inside of it.
    pub(super) fn is_under_user(&self) -> bool {
        self.is(&["user"]) || self.parent.is_some_and(Path::is_under_user)
    }

    /// Whether one of these patterns names this place or one around it. `imp[].id` stands for each element.
    pub(super) fn is_one_of(&self, patterns: &[String]) -> bool {
        if patterns.is_empty() {
            return false;
        }
        let (exact, any) = (self.to_string(), self.with(|_| "[]".to_owned()));
        let covers = |pattern: &String, path: &str| {
            path.strip_prefix(pattern.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        patterns.iter().any(|pattern| covers(pattern, &exact) || covers(pattern, &any))
    }

    fn with(&self, index: impl Fn(usize) -> String + Copy) -> String {
        let mut path = self.parent.map(|parent| parent.with(index)).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Item(at) => path.push_str(&index(at)),
            Step::Member(written) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(shown(written));
            }
        }
        path
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with(|at| format!("[{at}]")))
    }
}

/// A name, decoded.
fn named(written: &str) -> Cow<'_, str> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str(written).map_or(Cow::Borrowed(""), |Name(name)| name)
}

/// A name for a report. A name can be an identifier, too: what does not look like a word is not shown.
fn shown(written: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-:".contains(c);
    let word = |name: &&str| {
        let digits = name.chars().filter(char::is_ascii_digit).count();
        !name.is_empty() && name.len() <= LONGEST && name.chars().all(plain) && digits < 8
    };
    let quoted = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    quoted.filter(word).unwrap_or("…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_a_name() {
        let (imp, banner) = (Path::ROOT.member("\"imp\""), Path::ROOT.member("\"b.c\""));
        let first = imp.item(0);
        let id = first.member("\"id\"");
        assert_eq!((id.to_string().as_str(), Path::ROOT.to_string().as_str()), ("imp[0].id", ""));
        assert!(imp.is(&["imp"]) && !id.is(&["imp", "id"]) && Path::ROOT.is(&[]));
        assert!(id.is_one_of(&["imp[0].id".into()]) && id.is_one_of(&["imp[]".into()]));
        assert!(!id.is_one_of(&["im".into(), "imp[1]".into(), "imp[].i".into()]) && !id.is_one_of(&[]));
        assert_eq!(banner.to_string(), "…");
        assert!(Path::ROOT.member("\"us\\u0065r\"").is(&["user"]));
    }

    #[test]
    fn names_that_could_be_identifiers_are_not_shown() {
        for name in ["joe@example.com", "+15551234567", "15551234567", "a\\u0062", &"x".repeat(49), ""] {
            assert_eq!(Path::ROOT.member(&format!("\"{name}\"")).to_string(), "…", "{name}");
        }
    }

    #[test]
    fn user_and_all_inside_is_under_user() {
        let user = Path::ROOT.member("\"user\"");
        let ext = user.member("\"ext\"");
        let other = Path::ROOT.member("\"site\"");
        assert!(
            user.is_under_user() && ext.item(2).is_under_user() && !other.member("\"user\"").is_under_user()
        );
    }
}

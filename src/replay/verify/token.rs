//! Tokens among EIDs: whether one is there as expected, and whether an entry is one that the gateway writes.

use super::Expect;
use super::content::Finding;
use super::diff::Diff;
use super::eids::Eid;
use super::path::Path;
use super::tree::Tree;

/// Sources of tokens.
pub(super) const OURS: [&str; 2] = ["uidapi.com", "euid.eu"];

/// Judges what arrived against what was expected; whether a token is there.
pub(super) fn judge(sent: &[Eid<'_>], received: &[Eid<'_>], expect: Expect, diff: &mut Diff<'_>) -> bool {
    let scopes =
        |eids: &[Eid<'_>]| OURS.map(|source| eids.iter().any(|eid| eid.is_of(source) && has_id(eid)));
    let (had, has) = (scopes(sent), scopes(received));
    let has_token = has.contains(&true);
    let user = Path::ROOT.member("\"user\"");
    match expect {
        Expect::Token if !has_token => diff.insist(Finding::TokenMissing, &user),
        Expect::NoToken if has_token => diff.insist(Finding::TokenUnexpected, &user),
        _ => {}
    }
    if has == [true; 2] && had != [true; 2] {
        diff.insist(Finding::BothScopes, &user);
    }
    for eid in received.iter().filter(|eid| eid.is_ours() && eid.ids().any(|id| is_raw(&id))) {
        eid.at(|path| diff.insist(Finding::RawUid, path));
    }
    has_token
}

fn has_id(eid: &Eid<'_>) -> bool {
    eid.ids().any(|id| !id.is_empty())
}

/// Base64 of 32 or 33 bytes: a raw UID2. A token is much longer.
fn is_raw(id: &str) -> bool {
    let digits = id.trim_end_matches('=');
    matches!(id.len(), 43 | 44) && digits.chars().all(|c| c.is_ascii_alphanumeric() || "+/-_".contains(c))
}

/// Whether this is the entry we write: the source, one uid with the token and `atype` 3, who inserted it if that is
/// configured, and whose it is for SSPs that want to read that. Without white space.
pub(super) fn is_new(eid: &Eid<'_>) -> bool {
    let [uid] = eid.uids() else { return false };
    only(eid.tree, &["source", "uids", "inserter", "mm", "ext"])
        && only(uid, &["id", "atype", "rtiPartner", "ext"])
        && uid.get("id").and_then(Tree::string).is_some_and(|id| !id.is_empty())
        && uid.get("atype").is_some_and(|atype| atype.text == "3")
        && eid.tree.get("mm").is_none_or(|mm| mm.text == "3")
        && uid.get("rtiPartner").is_none_or(|partner| is_partner(eid, partner))
        && [eid.tree, uid]
            .into_iter()
            .filter_map(|holder| holder.get("ext"))
            .all(|ext| is_partner_ext(eid, ext))
        && is_compact(eid.tree.text)
}

/// Whether `eid` is `sent` with another id, and perhaps with `rtiPartner`.
pub(super) fn is_swapped(sent: &Eid<'_>, eid: &Eid<'_>, diff: &Diff<'_>) -> bool {
    let (Some(was), Some(is)) = (sent.ids().next(), eid.ids().next()) else { return false };
    if sent.source != eid.source || sent.uids().len() != 1 || is_damaged(&was, &is) {
        return false;
    }
    let mut inside = Diff::new(diff.rules, diff.signals);
    let here = eid.at(|path| {
        inside.compare(sent.tree, eid.tree, path);
        path.to_string()
    });
    let uid = eid.uids().first();
    let (uid_ext, entry_ext) = (uid.and_then(|uid| uid.get("ext")), eid.tree.get("ext"));
    let partner = |holder: Option<&Tree<'_>>| {
        holder.and_then(|holder| holder.get("rtiPartner")).is_some_and(|partner| is_partner(eid, partner))
    };
    let made = |ext: Option<&Tree<'_>>| ext.is_some_and(|ext| is_partner_ext(eid, ext));
    inside.findings.iter().all(|(finding, place)| {
        let inner = place.strip_prefix(here.as_str()).unwrap_or_default();
        match (finding, inner) {
            (Finding::Changed, ".uids[0].id") => true,
            (Finding::Added | Finding::Changed, ".uids[0].rtiPartner") => partner(uid),
            (Finding::Added | Finding::Changed, ".uids[0].ext.rtiPartner") => partner(uid_ext),
            (Finding::Added | Finding::Changed, ".ext.rtiPartner") => partner(entry_ext),
            (Finding::Added | Finding::Changed, ".uids[0].ext") => made(uid_ext),
            (Finding::Added | Finding::Changed, ".ext") => made(entry_ext),
            _ => false,
        }
    })
}

/// Whether the token of `eid` is that of `sent`, not quite right.
pub(super) fn is_damaged_copy(sent: &Eid<'_>, eid: &Eid<'_>) -> bool {
    let is: Vec<String> = eid.ids().collect();
    sent.source == eid.source && sent.ids().any(|was| is.iter().any(|is| is_damaged(&was, is)))
}

/// Whether an id is another one not quite right: two tokens have little in common but their first letters.
fn is_damaged(was: &str, is: &str) -> bool {
    let common = was.chars().zip(is.chars()).filter(|(a, b)| a == b).count();
    common * 4 > was.chars().count().min(is.chars().count()) * 3
}

/// What `rtiPartner` says of the source.
fn is_partner(eid: &Eid<'_>, partner: &Tree<'_>) -> bool {
    partner.text == if eid.is_of(OURS[0]) { "\"UID2\"" } else { "\"EUID\"" }
}

fn is_partner_ext(eid: &Eid<'_>, ext: &Tree<'_>) -> bool {
    only(ext, &["rtiPartner"]) && ext.get("rtiPartner").is_some_and(|partner| is_partner(eid, partner))
}

/// Whether there is no white space outside of strings.
fn is_compact(text: &str) -> bool {
    let (mut inside, mut escaped) = (false, false);
    text.bytes().all(|byte| {
        let was = inside;
        inside ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        was || !byte.is_ascii_whitespace()
    })
}

/// Whether a value is an object with no members but these.
fn only(tree: &Tree<'_>, names: &[&str]) -> bool {
    tree.members()
        .is_some_and(|members| members.iter().all(|member| names.iter().any(|name| member.is(name))))
}

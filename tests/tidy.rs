//! Holds the shape of the source: floors, file sizes, module docs, names, and tests that never sleep.
//!
//! The floor table is the one in `src/lib.rs`. Each rule is a function from text to offences, so that the rules
//! themselves are tested below; `the_source_is_tidy` applies them to the tree and prints every offence at once.
#![expect(clippy::string_slice, reason = "every index comes from a search in the same text")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file in `src`, without its tests.
const LONGEST: usize = 400;
/// Names that say nothing about what is inside.
const DRAWERS: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "types", "misc"];

/// A floor for each top-level module.
type Floors = BTreeMap<String, usize>;
/// A line and what is wrong there.
type Offence = (usize, String);

#[test]
fn the_source_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let floors = floors(&fs::read_to_string(root.join("src/lib.rs")).unwrap());
    let mut offences = undeclared(&fs::read_to_string(root.join("src/lib.rs")).unwrap(), &floors)
        .into_iter()
        .map(|(line, what)| format!("src/lib.rs:{line}: {what}"))
        .collect::<Vec<_>>();
    let mut seen = 0;
    for folder in ["src", "tests", "benches", "fuzz"] {
        for path in rust_files(&root.join(folder)) {
            seen += 1;
            let text = fs::read_to_string(&path).unwrap();
            let shown = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            offences.extend(
                judge(&shown, &text, &floors).into_iter().map(|(l, what)| format!("{shown}:{l}: {what}")),
            );
        }
    }
    assert!(seen > 10, "only {seen} files found under {}", root.display());
    assert!(offences.is_empty(), "{} offences:\n{}", offences.len(), offences.join("\n"));
}

/// Every rule for one file, by its path in the repository.
fn judge(path: &str, text: &str, floors: &Floors) -> Vec<Offence> {
    let code = blank(text);
    let mut offences = documented(text);
    offences.extend(named(path));
    let in_src = path.strip_prefix("src/");
    let whole_file_is_test = in_src.is_none() || path.ends_with("/tests.rs");
    let tests_from = if whole_file_is_test { 1 } else { first_test_line(&code) };
    offences.extend(sleepless(&code, tests_from));
    if let Some(inner) = in_src {
        if !whole_file_is_test {
            offences.extend(sized(text, &code));
        }
        let (module, depth) = place(inner);
        if let Some(floor) = floors.get(module) {
            offences.extend(downward(&code, (module, *floor, depth), floors));
        } else if !matches!(module, "lib" | "main") {
            offences.push((1, format!("module `{module}` has no floor in the table of src/lib.rs")));
        }
    }
    offences
}

/// The rows `| 3 | `operator` `ssp` |` of the module doc.
fn floors(lib: &str) -> Floors {
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! |"));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let numbered =
        cells.filter_map(|cells| Some((cells.first()?.parse().ok()?, (*cells.get(1)?).to_owned())));
    numbered.flat_map(|(floor, modules)| code_words(&modules).map(move |module| (module, floor))).collect()
}

fn code_words(cell: &str) -> std::vec::IntoIter<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// Modules that `src/lib.rs` declares and its table does not name, and the other way round.
fn undeclared(lib: &str, floors: &Floors) -> Vec<Offence> {
    let code = blank(lib);
    let declared: Vec<(usize, &str)> = (1..)
        .zip(code.lines())
        .filter_map(|(n, line)| {
            Some((n, line.trim().trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';')?))
        })
        .collect();
    let unlisted = declared.iter().filter(|(_, name)| !floors.contains_key(*name));
    let mut offences: Vec<Offence> =
        unlisted.map(|(n, name)| (*n, format!("`{name}` has no floor"))).collect();
    let absent = floors.keys().filter(|name| !declared.iter().any(|(_, declared)| declared == name));
    offences.extend(absent.map(|name| (1, format!("`{name}` is in the floor table and nowhere else"))));
    offences
}

/// Top-level module of a file under `src`, and how many `super::` lead from the file to the crate's root.
fn place(inner: &str) -> (&str, usize) {
    let parts: Vec<&str> = inner.trim_end_matches(".rs").trim_end_matches("/mod").split('/').collect();
    (parts[0], parts.len())
}

/// Paths from the crate's root must lead to a lower floor or stay in the own module.
fn downward(code: &str, (module, floor, depth): (&str, usize, usize), floors: &Floors) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (line, name) in root_paths(code, depth) {
        let Some(there) = floors.get(&name).filter(|_| name != module) else { continue };
        if *there >= floor {
            offences.push((line, format!("`{module}` (floor {floor}) reaches `{name}` (floor {there})")));
        }
    }
    offences
}

/// The first names behind every `crate::`, and behind as many `super::` as lead to the root.
fn root_paths(code: &str, depth: usize) -> Vec<(usize, String)> {
    let climb = "super::".repeat(depth);
    let mut found = Vec::new();
    for root in ["crate::", climb.as_str()] {
        for (at, _) in code.match_indices(root) {
            if !starts_word(code, at) || code[..at].ends_with("super::") {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            found.extend(heads(&code[at + root.len()..]).into_iter().map(|name| (line, name)));
        }
    }
    found
}

fn starts_word(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// `a` of `a::b`; `a` and `c` of `{a::{b}, c}`. Further `super::` are skipped.
fn heads(path: &str) -> Vec<String> {
    let path = path.trim_start().trim_start_matches("super::");
    let Some(group) = path.strip_prefix('{') else {
        let name: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        return if name.is_empty() { Vec::new() } else { vec![name] };
    };
    let (mut depth, mut from, mut names) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth == 0 => {
                names.extend(heads(&group[from..at]));
                from = at + 1;
            }
            '}' => {
                names.extend(heads(&group[from..at]));
                break;
            }
            _ => {}
        }
    }
    names
}

fn documented(text: &str) -> Vec<Offence> {
    if text.starts_with("//!") {
        vec![]
    } else {
        vec![(1, "does not start with a module doc `//!`".to_owned())]
    }
}

fn named(path: &str) -> Vec<Offence> {
    let parts = path.trim_end_matches(".rs").split('/');
    let drawer = parts.into_iter().find(|part| DRAWERS.contains(part));
    drawer.map(|name| (1, format!("`{name}` says nothing about what is inside"))).into_iter().collect()
}

fn sized(text: &str, code: &str) -> Vec<Offence> {
    let lines = text.lines().count().min(first_test_line(code) - 1);
    if lines > LONGEST {
        vec![(LONGEST + 1, format!("{lines} lines before its tests, {LONGEST} allowed"))]
    } else {
        vec![]
    }
}

/// The line of the first `#[cfg(test)]`, or one past the end.
fn first_test_line(code: &str) -> usize {
    let mut lines = code.lines();
    lines.position(|line| line.trim_start().starts_with("#[cfg(test)]")).unwrap_or(code.lines().count()) + 1
}

/// Tests wait for events, not for time.
fn sleepless(code: &str, from: usize) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (n, line) in (1..).zip(code.lines()).skip(from - 1) {
        for sleep in ["thread::sleep", "time::sleep"] {
            let called = line.match_indices(sleep).any(|(at, _)| {
                !line[at + sleep.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
            });
            if called {
                offences.push((n, format!("a test calls `{sleep}`")));
            }
        }
    }
    offences
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(items) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = items.map(|item| item.expect("the tree can be listed").path()).collect();
    paths.sort();
    let skipped = |path: &Path| path.file_name().is_some_and(|name| name == "target" || name == "corpus");
    paths
        .into_iter()
        .filter(|path| !skipped(path))
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The same text with comments and the contents of literals blanked out: line breaks stay where they are.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let literal = literal(rest, out.chars().next_back());
        let length = literal.unwrap_or(c.len_utf8());
        let (taken, left) = rest.split_at(length);
        if literal.is_some() {
            out.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            out.push_str(taken);
        }
        rest = left;
    }
    out
}

/// Length of the comment, string or character literal that `rest` starts with.
fn literal(rest: &str, before: Option<char>) -> Option<usize> {
    let to_end = |end: Option<usize>| end.unwrap_or(rest.len());
    if rest.starts_with("//") {
        return Some(to_end(rest.find('\n')));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if rest.starts_with('"') {
        return Some(to_end(closing(rest, '"')));
    }
    if rest.starts_with('r') && !before.is_some_and(|c| c.is_alphanumeric() && c != 'b' || c == '_') {
        let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
        let close = format!("\"{}", "#".repeat(hashes));
        let body = rest[1 + hashes..].strip_prefix('"')?;
        return Some(body.find(&close).map_or(rest.len(), |at| 2 + hashes + at + close.len()));
    }
    if rest.starts_with('\'') {
        let mut chars = rest.char_indices().skip(1);
        let (_, first) = chars.next()?;
        let (at, second) = chars.next()?;
        // A lifetime has no closing quote behind its first character.
        return if first == '\\' { closing(rest, '\'') } else { (second == '\'').then_some(at + 1) };
    }
    None
}

/// One past the next unescaped `quote` behind the first character.
fn closing(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return Some(at + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

mod rules {
    //! Each rule against small samples: a rule that never fires is worth nothing.

    use super::*;

    const LIB: &str = "//! | floor | modules |\n//! |---|---|\n//! | 0 | `time` |\n//! | 1 | `uid2` `openrtb` |\n\
                       //! | 3 | `operator` |\npub mod time;\npub mod uid2;\nmod openrtb;\npub mod operator;\n";

    fn offences(path: &str, code: &str) -> Vec<String> {
        let text = format!("//! Doc.\n{code}");
        judge(path, &text, &floors(LIB)).into_iter().map(|(line, what)| format!("{line}: {what}")).collect()
    }

    fn lines(path: &str, code: &str) -> Vec<usize> {
        judge(path, &format!("//! Doc.\n{code}"), &floors(LIB)).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn the_table_is_read_and_must_match_the_declarations() {
        let floors = floors(LIB);
        assert_eq!((floors["time"], floors["openrtb"], floors["operator"], floors.len()), (0, 1, 3, 4));
        assert_eq!(undeclared(LIB, &floors), []);
        assert_eq!(undeclared(&format!("{LIB}pub mod store;\n"), &floors)[0].0, 10);
        assert_eq!(undeclared(&LIB.replace("mod openrtb;", ""), &floors).len(), 1);
    }

    #[test]
    fn paths_lead_down() {
        assert_eq!(
            offences("src/operator/client.rs", "use crate::uid2::Email;\nuse crate::operator::Fault;"),
            [""; 0]
        );
        assert_eq!(
            offences("src/uid2/mod.rs", "use crate::operator::Fault;"),
            ["2: `uid2` (floor 1) reaches `operator` (floor 3)"]
        );
        assert_eq!(lines("src/uid2/mod.rs", "fn f() {\n    crate::openrtb::scan();\n}"), [3], "sideways");
        assert_eq!(lines("src/time.rs", "pub(in crate::time) struct A;\nuse crate::uid2;"), [3]);
        assert_eq!(
            lines("src/uid2/a.rs", "use crate::{\n  time::Clock,\n  operator::{self, x}, openrtb::y,\n};"),
            [2, 2]
        );
        assert_eq!(lines("src/uid2/a.rs", "use {std::io, crate::operator};"), [2]);
        assert_eq!(
            lines("src/uid2/mod.rs", "#[cfg(test)]\nmod tests {\n  use crate::operator;\n}"),
            [4],
            "in tests too"
        );
        assert_eq!(lines("src/store/mod.rs", ""), [1], "a module without a floor");
        assert_eq!(lines("src/main.rs", "use crate::operator;"), [0_usize; 0]);
    }

    #[test]
    fn climbing_to_the_root_is_a_path_like_any_other() {
        assert_eq!(lines("src/uid2/a.rs", "use super::super::operator::x;"), [2]);
        assert_eq!(lines("src/uid2/a.rs", "use super::operator::x;"), [0_usize; 0], "uid2::operator");
        assert_eq!(lines("src/time.rs", "mod tests { use super::super::uid2; }"), [2]);
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let code = "// crate::operator\n/* crate::operator /* x */ crate::operator */\n\
                    const A: &str = \"crate::operator \\\" crate::operator\";\n\
                    const B: &[u8] = br#\"crate::operator \" x\"#;\nconst C: char = '\"'; // \"\nfn f<'a>(x: &'a str) {}";
        assert_eq!(offences("src/uid2/mod.rs", code), [""; 0]);
        assert_eq!(lines("src/uid2/mod.rs", &format!("{code}\nuse crate::operator;")), [8]);
    }

    #[test]
    fn files_begin_with_their_purpose_and_end_in_time() {
        assert_eq!(judge("tests/it/x.rs", "use x;", &floors(LIB)).len(), 1);
        let long = "\n".repeat(LONGEST - 1);
        assert_eq!(offences("src/time.rs", &long), [""; 0]);
        assert_eq!(lines("src/time.rs", &format!("{long}\n")), [LONGEST + 1]);
        assert_eq!(offences("src/time.rs", &format!("{long}#[cfg(test)]\nmod tests {{\n\n}}")), [""; 0]);
        assert_eq!(offences("src/uid2/tests.rs", &"\n".repeat(2 * LONGEST)), [""; 0]);
    }

    #[test]
    fn drawers_are_refused() {
        assert_eq!(offences("src/uid2/utils.rs", "").len(), 1);
        assert_eq!(offences("src/uid2/common/x.rs", "").len(), 1);
        assert_eq!(offences("src/uid2/commons.rs", ""), [""; 0]);
    }

    #[test]
    fn tests_do_not_sleep() {
        let nap = "fn f() { std::thread::sleep(NAP); }";
        assert_eq!(offences("src/time.rs", nap), [""; 0]);
        assert_eq!(lines("src/time.rs", &format!("#[cfg(test)]\nmod tests {{\n{nap}\n}}")), [4]);
        assert_eq!(lines("tests/it/x.rs", "use tokio::time::sleep;\ntokio::time::sleep_until(x);"), [2]);
        assert_eq!(lines("src/uid2/tests.rs", nap), [2]);
    }
}

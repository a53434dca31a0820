//! Files that must load and files that must not; each of the latter says in its first line what must be reported.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::openrtb::Dialect;
use crate::ssp::EnvironmentRule;
use crate::store::Kind;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn environment() -> BTreeMap<String, String> {
    let pairs = [
        ("UID2GW_STORE_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ("ACME_UID2_KEY", "UID2-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc="),
        ("ACME_UID2_SECRET", "NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM="),
        ("ACME_EUID_KEY", "EUID-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc="),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn files(name: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder(name)).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    files.sort();
    files
}

fn loaded(path: &Path, env: &BTreeMap<String, String>) -> (Config, Vec<Warning>) {
    load(path, env).unwrap_or_else(|faults| panic!("{}:\n{faults}", path.display()))
}

#[test]
fn valid_files_load_without_a_warning() {
    let files = files("fixtures/config/valid");
    assert!(files.len() >= 2);
    for file in files {
        let (_, warnings) = loaded(&file, &environment());
        assert!(warnings.is_empty(), "{}: {warnings:?}", file.display());
    }
}

#[test]
fn invalid_files_say_what_their_first_line_expects() {
    let files = files("fixtures/config/invalid");
    assert!(files.len() >= 15);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let expected = text.lines().next().unwrap().strip_prefix("# ").unwrap();
        let told = load(&file, &environment()).map(|_| ()).unwrap_err().to_string();
        for part in expected.split(" | ") {
            assert!(told.contains(part), "{}: expected {part:?} in\n{told}", file.display());
        }
    }
}

/// Its own fault is told; that `debug.allow` names it is none.
#[test]
fn debug_may_name_a_publisher_that_has_a_fault() {
    let file = folder("fixtures/config/invalid/publisher-inserter.toml");
    let text = std::fs::read_to_string(&file).unwrap() + "[debug]\nallow = [\"acme\"]\n";
    let text = text.replace("inserter = \"\"", "mode = \"x\"");
    let told = from_str(&text, &file, &environment()).map(|_| ()).unwrap_err().to_string();
    assert!(told.contains("publisher.acme.mode") && !told.contains("debug.allow"), "{told}");
}

#[test]
fn the_minimal_file_means_what_it_says() {
    let (config, _) = loaded(&folder("fixtures/config/valid/minimal.toml"), &environment());
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert!(config.server.workers >= 1);
    assert_eq!(config.store.kind, Kind::Disk { path: "data/identities".into() });
    let [publisher] = config.publishers.as_slice() else { panic!("{:?}", config.publishers) };
    assert_eq!((publisher.id.as_str(), publisher.ssps.as_slice()), ("acme", &[0][..]));
    let [ssp] = config.ssps.as_slice() else { panic!("{:?}", config.ssps) };
    assert_eq!(
        (ssp.dialect, ssp.timeout.as_millis(), ssp.environment),
        (Dialect::V26, 200, EnvironmentRule::Any)
    );
}

/// Every commented key of the example is a real one, and what it shows is the default.
#[test]
fn the_commented_example_shows_the_defaults() {
    let path = folder("deploy/gateway.toml");
    let (plain, warnings) = loaded(&path, &environment());
    assert!(warnings.is_empty(), "{warnings:?}");
    let text = std::fs::read_to_string(&path).unwrap();
    let shows_another = [
        "ca = ",
        "token = ",
        "cert = ",
        "key = ",
        "include = ",
        "inserter = ",
        "cookie = ",
        "privacy = ",
        "headers = ",
        "tls = ",
        "client_ca = ",
        "euid = ",
        "gvl = ",
        "gvl_id = ",
        "urls = ",
        "wait_replicas = ",
    ];
    let uncommented: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_key(rest) && !shows_another.iter().any(|key| rest.starts_with(key)) => rest,
            _ => line,
        })
        .collect();
    let count = uncommented.len();
    let (spelled_out, _) = from_str(&uncommented.join("\n"), &path, &environment())
        .unwrap_or_else(|faults| panic!("{faults}\nof {count} lines"));
    assert_eq!(format!("{spelled_out:?}"), format!("{plain:?}"));
}

/// The example says of every key whether a change of it is taken over without a restart.
#[test]
fn the_example_marks_what_needs_a_restart() {
    let text = std::fs::read_to_string(folder("deploy/gateway.toml")).unwrap();
    let (mut section, mut of_section, mut marked) = (String::new(), false, 0);
    for line in text.lines() {
        let mark = line.contains("[restart]");
        let bare = line.strip_prefix("# ").unwrap_or(line).trim_start();
        if let Some(rest) = bare.strip_prefix('[') {
            section = rest.trim_start_matches('[').split(']').next().unwrap().to_owned();
            of_section = mark;
            continue;
        }
        let Some((key, _)) = bare.split_once(" = ").filter(|_| is_key(bare)) else { continue };
        let path = if key == "include" { key.to_owned() } else { format!("{section}.{key}") };
        marked += usize::from(mark || of_section);
        assert_eq!(resolved::is_read_at_start(&path), mark || of_section, "{path}");
    }
    assert!(marked > 25, "{marked}");
}

/// The same of the table of an identity provider, whose keys are indented.
#[test]
fn the_example_of_an_identity_provider_shows_the_defaults() {
    let path = folder("deploy/gateway.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (_, from) = text.split_once("# [[identity_provider]]").unwrap();
    let from = format!("# [[identity_provider]]{from}");
    let lines = from.lines().take_while(|line| line.starts_with('#') || line.starts_with("   "));
    let lines: Vec<&str> = lines.filter_map(|line| line.strip_prefix("# ")).map(str::trim_start).collect();
    let required = |line: &&str| {
        ["[[", "id", "publishers", "issuer", "audience", "jwks_url"]
            .iter()
            .any(|key| line.starts_with(&format!("{key} =")) || line.starts_with("[["))
    };
    let with = |lines: &[&str]| {
        let text = format!("{text}\n{}", lines.join("\n"));
        let loaded = from_str(&text, &path, &environment());
        loaded.unwrap_or_else(|faults| panic!("{faults}")).0.sso
    };
    let plain: Vec<&str> = lines.iter().copied().filter(required).collect();
    assert!(lines.len() > plain.len() + 10, "{lines:?}");
    assert_eq!(format!("{:?}", with(&lines)), format!("{:?}", with(&plain)));
}

/// URLs of the store count at a reload, and show only where nothing in them is secret.
#[test]
fn the_urls_of_a_store_are_resolved_and_their_passwords_hidden() {
    let path = folder("fixtures/config/valid/redis.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let with = |urls: &str| {
        let lines = text.lines().map(|line| if line.starts_with("urls = [\"redis") { urls } else { line });
        let text = lines.collect::<Vec<_>>().join("\n");
        from_str(&text, &path, &environment()).unwrap_or_else(|faults| panic!("{faults}")).0.resolved
    };
    let open = with("urls = [\"redis://10.0.0.1:6379\"]");
    assert_eq!(open.to_json()["store"]["urls"][0], "redis://10.0.0.1:6379");
    let closed = with("urls = [\"redis://:hunter2@10.0.0.1:6379\"]");
    assert!(!closed.to_json().to_string().contains("hunter2"), "{}", closed.to_json());
    assert_eq!(open.changed_to(&closed), ["store.urls"]);
    assert_eq!(Resolved::needing_restart(&open.changed_to(&closed)), ["store.urls"]);
}

fn is_key(text: &str) -> bool {
    text.split_once(" = ").is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
}

#[test]
fn the_environment_overrides_scalars_and_typing_errors_show() {
    let path = folder("fixtures/config/valid/minimal.toml");
    let mut env = environment();
    env.insert("UID2GW_SERVER__LISTEN".into(), "127.0.0.1:7".into());
    env.insert("UID2GW_IDENTITY__WAIT_MS".into(), "9".into());
    let (config, _) = loaded(&path, &env);
    assert_eq!((config.server.listen.port(), config.identity.wait.as_millis()), (7, 9));
    env.insert("UID2GW_SERVER__WORKERS".into(), "many".into());
    env.insert("UID2GW_SERVER__LISSTEN".into(), "x".into());
    let told = load(&path, &env).map(|_| ()).unwrap_err().to_string();
    assert!(
        told.contains("environment UID2GW_SERVER__WORKERS: server.workers: must be a whole number"),
        "{told}"
    );
    assert!(told.contains("environment UID2GW_SERVER__LISSTEN: overrides no known key"), "{told}");
}

#[test]
fn debug_is_allowed_to_nobody_to_everybody_or_to_some() {
    let path = folder("fixtures/config/valid/minimal.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let allowed = |lines: &str, env: &BTreeMap<String, String>| {
        let (config, _) = from_str(&format!("{text}\n{lines}"), &path, env).unwrap();
        format!("{:?}", config.debug)
    };
    let plain = environment();
    assert_eq!(allowed("", &plain), "Nobody");
    assert_eq!(allowed("[debug]\nallow = false", &plain), "Nobody");
    assert_eq!(allowed("[debug]\nallow = true", &plain), "Everybody");
    assert_eq!(allowed("[debug]\nallow = [\"acme\"]", &plain), "Publishers({\"acme\"})");
    let mut env = environment();
    env.insert("UID2GW_DEBUG__ALLOW".into(), "true".into());
    assert_eq!(allowed("[debug]\nallow = [\"acme\"]", &env), "Everybody");
}

/// A list cannot be overridden, and must not look as if it had been.
#[test]
fn an_override_that_cannot_work_is_a_fault_and_a_secret_can_be_overridden() {
    let path = folder("fixtures/config/valid/minimal.toml");
    for name in ["UID2GW_PRIVACY__COUNTRIES", "UID2GW_OPERATOR__URLS", "UID2GW_SERVER__TRUSTED_PROXIES"] {
        let mut env = environment();
        env.insert(name.into(), "x".into());
        let told = load(&path, &env).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains(&format!("environment {name}: overrides no known key")), "{told}");
    }
    let mut env = environment();
    env.insert("UID2GW_ADMIN__TOKEN".into(), "t0ken".into());
    let (config, _) = loaded(&path, &env);
    assert_eq!(config.admin.token.unwrap().expose(), "t0ken");
}

#[test]
fn a_literal_secret_is_a_warning_and_never_shows() {
    let path = folder("fixtures/config/valid/minimal.toml");
    let secret = "NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM=";
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("{ env = \"ACME_UID2_SECRET\" }", &format!("\"{secret}\""));
    let (config, warnings) = from_str(&text, &path, &environment()).unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].to_string().contains("publisher.acme.operator_secret"), "{}", warnings[0]);
    assert!(!format!("{config:?}{warnings:?}").contains(secret));
}

#[test]
fn to_believe_anybody_about_users_is_a_warning() {
    let path = folder("fixtures/config/valid/minimal.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let told = |hints: &str| {
        let line = format!("id = \"acme\"\nhints_unauthenticated = {hints}");
        let (config, warnings) =
            from_str(&text.replace("id = \"acme\"", &line), &path, &environment()).unwrap();
        let believed = config.publishers[0].hints_unauthenticated.len();
        (believed, warnings.iter().map(ToString::to_string).collect::<String>())
    };
    assert_eq!(told("[]"), (0, String::new()));
    assert_eq!(told(r#"["request", "cookie"]"#), (2, String::new()));
    let (believed, warning) = told(r#"["user", "cookie"]"#);
    assert!(
        believed == 2 && warning.contains("publisher.acme.hints_unauthenticated: \"user\" lets anybody"),
        "{warning}"
    );
}

#[test]
fn an_included_file_is_named_in_its_faults() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("p.d")).unwrap();
    std::fs::write(folder.path().join("p.d/a.toml"), "\n[server]\nlisten = 1\n").unwrap();
    let main = "include = [\"p.d/*.toml\", \"none.toml\"]\n";
    let faults = from_str(main, &folder.path().join("main.toml"), &environment()).map(|_| ()).unwrap_err();
    let told = faults.to_string();
    assert!(
        told.contains("a.toml:2:2: server: an included file holds [[publisher]] and [[ssp]] only"),
        "{told}"
    );
    assert!(told.contains("none.toml cannot be read"), "{told}");
}

#[test]
fn a_certificate_and_its_key_are_taken_and_a_foreign_key_is_named() {
    let files = tempfile::tempdir().unwrap();
    let pair = || rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
    let (ours, other) = (pair(), pair());
    let write = |name: &str, text: String| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let cert = write("cert.pem", ours.cert.pem());
    let key = write("key.pem", ours.signing_key.serialize_pem());
    let foreign = write("foreign.pem", other.signing_key.serialize_pem());
    let path = folder("fixtures/config/valid/minimal.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let with = |key: &str| {
        let text = format!("{text}\n[server.tls]\ncert = {cert:?}\nkey = {key:?}\n");
        from_str(&text, &path, &environment())
    };
    assert!(with(&key).unwrap().0.server.tls.is_some());
    let told = with(&foreign).map(|_| ()).unwrap_err().into_vec();
    let [fault] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((fault.key.as_str(), fault.line), ("server.tls.key", text.lines().count() + 4));
    assert_eq!(fault.reason, format!("file {foreign}: the private key does not belong to the certificate"));
    assert!(from_str(&text, &path, &environment()).unwrap().0.server.tls.is_none());
}

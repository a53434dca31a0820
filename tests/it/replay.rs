//! `replay` from its command line, against a small server: exit codes, the document, the log.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use serde_json::Value;

use crate::support::{binary, repository};

/// Answers every request: ad requests with 204, logins as told. One thread a connection.
fn server(login: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream, login));
        }
    });
    address
}

fn serve(mut stream: TcpStream, login: &str) {
    let mut came = Vec::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let end = came.windows(4).position(|four| four == b"\r\n\r\n");
        let head = end.map(|end| String::from_utf8_lossy(&came[..end]).to_lowercase());
        let told = head.as_ref().and_then(|head| head.split("content-length: ").nth(1)?.lines().next());
        let length: Option<usize> = told.and_then(|told| told.parse().ok());
        let whole =
            end.zip(length).map(|(end, length)| end + 4 + length).filter(|whole| came.len() >= *whole);
        if let (Some(whole), Some(head)) = (whole, head) {
            came.drain(..whole);
            let answer = if head.starts_with("post /v1/identity ") { login } else { "HTTP/1.1 204 \r\n\r\n" };
            stream.write_all(answer.as_bytes()).unwrap();
            continue;
        }
        match stream.read(&mut buffer) {
            Ok(size) if size > 0 => came.extend_from_slice(&buffer[..size]),
            _ => return,
        }
    }
}

const WELCOME: &str = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"status\":\"success\"}";
const REFUSED: &str = "HTTP/1.1 401 \r\ncontent-length: 24\r\n\r\n{\"detail\":\"unknown key\"}";

fn replay(address: SocketAddr, more: &[&str]) -> Output {
    to(&format!("http://{address}/openrtb2/auction?key=s3cr3t"), more)
}

fn to(target: &str, more: &[&str]) -> Output {
    let corpus = repository("fixtures/openrtb");
    let corpus = corpus.to_str().unwrap();
    let always = ["replay", "--target", target, "--corpus", corpus, "--connections", "4"];
    Command::new(binary()).args(always).args(more).output().unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn goals_decide_the_exit_code() {
    let address = server(WELCOME);
    let short = ["--rate", "200", "--duration", "0.5", "--users", "3", "--header", "Authorization=Bearer k"];
    let met = replay(address, &[&short[..], &["--slo", "errors<1,rate>100", "--json"]].concat());
    assert_eq!(met.status.code(), Some(0), "{met:?}");
    let told = document(&met);
    assert_eq!(
        (&told["ok"], &told["requests"]["due"], &told["statuses"]["204"]),
        (&true.into(), &100.into(), &100.into())
    );
    assert_eq!((&told["load"]["users"], told["slo"].as_array().unwrap().len()), (&3.into(), 2));
    assert_eq!(text(&met.stderr), "", "no progress where there is no terminal");
    let missed = replay(address, &[&short[..], &["--slo", "rate>100000"]].concat());
    assert_eq!(missed.status.code(), Some(1));
    assert!(text(&missed.stdout).contains("goal rate>100000: MISSED"), "{missed:?}");
}

#[test]
fn what_cannot_be_is_said_with_its_reason() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = server(REFUSED);
    for (output, code, said) in [
        (replay(gone, &["--json"]), 1, "cannot be reached"),
        (replay(address, &["--users", "3"]), 1, "401 Unauthorized: unknown key"),
        (replay(address, &["--recorded"]), 2, "has no at_us"),
        (replay(address, &["--slo", "p99<5"]), 2, "must be a time with its unit"),
        (replay(address, &["--find-max"]), 2, "--slo"),
        (replay(address, &["--rate", "0"]), 2, "no load"),
        (replay(address, &["--recorded", "--warmup", "1"]), 2, "cannot be used with"),
        (replay(address, &["--users", "3", "--verify", "ftp://x"]), 2, "--verify: ftp://x"),
        (replay(address, &["--users", "3", "--ca", "Cargo.toml"]), 2, "--ca: "),
        (replay(address, &["--hdr", "/no/such/a.hlog"]), 2, "/no/such/a.hlog"),
        (replay(address, &["--report", "/no/such/a.html"]), 2, "/no/such/a.html"),
        (replay(address, &["--header", "Authorization Bearer s3cr3t"]), 2, "must be NAME=VALUE"),
        (to("foo", &[]), 2, "--target: "),
        (to("ftp://localhost/", &[]), 2, "--target: "),
        (to("http://me:s3cr3t@localhost/", &[]), 2, "without a user and password"),
        (to("http://s3cr3t host/", &[]), 2, "not a URL"),
        (replay(address, &["--rate", "5", "--ramp", "1:2"]), 2, "cannot be used with"),
    ] {
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(text(&output.stderr).contains(said), "{said}: {output:?}");
        assert!(!text(&output.stderr).contains("s3cr3t"), "{output:?}");
    }
    assert_eq!(document(&replay(gone, &["--json"]))["ok"], false);
}

#[test]
fn a_file_that_cannot_be_written_costs_no_result() {
    let output = replay(server(WELCOME), &["--rate", "100", "--duration", "0.1", "--report", "/dev/full"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).starts_with("10 requests due"), "{output:?}");
    assert!(text(&output.stderr).contains("/dev/full: "), "{output:?}");
}

#[test]
fn a_search_prints_its_probes_and_logs_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.hlog");
    let log = Path::to_str(&log).unwrap();
    let address = server(WELCOME);
    // The goal can be met by nothing but a rate of 30 and below.
    let flags = ["--find-max", "--slo", "rate<40", "--rate", "20", "--duration", "0.5", "--hdr", log];
    let found = replay(address, &flags);
    let said = text(&found.stdout);
    assert_eq!(found.status.code(), Some(0), "{found:?}");
    assert!(
        said.contains("20 a second: p99") && said.contains("highest rate that meets rate<40,errors<0.1%: "),
        "{said}"
    );
    let sum = Command::new(binary())
        .args(["replay", "--from-hdr", log, "--from-hdr", log, "--json"])
        .output()
        .unwrap();
    let told = document(&sum);
    let answered = told["requests"]["answered"].as_u64().unwrap();
    assert!(answered >= 20 && answered.is_multiple_of(2), "{told}");
}

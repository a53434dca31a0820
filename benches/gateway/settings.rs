//! The configuration that is measured: API key, all signals read, `tmax` rewritten, metrics on.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use sha2::{Digest, Sha256};
use uid2_gateway::config::{self, Config};

pub(super) const KEY: &str = "bench-key-0001";

/// What an SSP answers, to any request: it names none.
pub(super) const BID: &str = concat!(
    r#"{"seatbid":[{"bid":[{"id":"b1","impid":"1","price":1.25,"#,
    r#""adm":"<a href=\"https://ads.example/c\">x</a>","crid":"c1","adomain":["ads.example"]}],"seat":"s1"}],"cur":"USD"}"#
);

/// The configuration of a gateway with so many SSPs.
pub(super) fn configuration(ssps: usize, operator: &str, ssp: &str) -> Config {
    let names: Vec<String> = (0..ssps).map(|n| format!("\"ssp-{n}\"")).collect();
    let digest = Sha256::digest(KEY.as_bytes()).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("strings take everything");
        text
    });
    let mut text = format!(
        r#"
[server]
listen = "127.0.0.1:0"
workers = 1
[admin]
listen = "127.0.0.1:0"
[operator]
urls = ["{operator}"]
[store]
kind = "memory"
encryption_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
[identity]
wait_ms = 1000
cache_entries = 2000000
cache_bytes = 2147483648
[[publisher]]
id = "acme"
api_keys = ["sha256:{digest}"]
match = {{ publisher_ids = ["8953"] }}
operator_key = "UID2-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc="
operator_secret = "NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM="
ssps = [{}]
"#,
        names.join(", ")
    );
    for name in names {
        write!(text, "[[ssp]]\nid = {name}\nurl = \"{ssp}/openrtb2/bid\"\ntimeout_ms = 5000\n")
            .expect("strings take everything");
    }
    let loaded = config::from_str(&text, Path::new("bench.toml"), &BTreeMap::new());
    loaded.unwrap_or_else(|faults| panic!("{faults}\n{text}")).0
}

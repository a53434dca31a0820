//! `[server.tls]`: the files of the data listener's certificate and key.

use super::reader::{At, Section};
use super::resolved::Value;
use crate::server::{Clients, Tls, TlsFault};

/// A file that was read.
struct File<'a> {
    path: String,
    at: At<'a>,
    bytes: Vec<u8>,
}

/// TLS of the data listener, when the section is there and its files can be served with.
pub(super) fn tls(server: &Section<'_>) -> Option<Tls> {
    let section = server.table("tls", "server.tls")?;
    let (cert, key) = (file(&section, "cert"), file(&section, "key"));
    let (cert, key) = (section.required("cert", cert), section.required("key", key));
    let wrong = |name, file: &File<'_>, reason| {
        section.wrong(&file.at, name, format!("file {}: {reason}", file.path));
    };
    let ca = file(&section, "client_ca");
    let required = section.flag("require_client_cert", false);
    if required && ca.is_none() && !section.holds("client_ca") {
        section.missing(
            "client_ca",
            "is required with require_client_cert: who signs the clients' certificates",
        );
    }
    let (cert, key) = (cert?, key?);
    let clients = ca.as_ref().map(|ca| Clients { ca: &ca.bytes, required });
    match Tls::from_pem(&cert.bytes, &key.bytes, clients) {
        Ok(tls) => return Some(tls),
        Err(TlsFault::Certificate(reason)) => wrong("cert", &cert, reason),
        Err(TlsFault::Key(reason)) => wrong("key", &key, reason),
        Err(TlsFault::ClientCa(reason)) => {
            if let Some(ca) = &ca {
                wrong("client_ca", ca, reason);
            }
        }
    }
    None
}

fn file<'a>(section: &Section<'a>, key: &'static str) -> Option<File<'a>> {
    let (path, at) = section.text(key)?;
    section.context().depends_on(&path);
    match std::fs::read(&path) {
        Ok(bytes) => {
            section.note(key, Value::file(&path, &bytes));
            Some(File { path, at, bytes })
        }
        Err(fault) => {
            section.wrong(&at, key, format!("file {path} cannot be read: {fault}"));
            None
        }
    }
}

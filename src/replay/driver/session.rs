//! Bytes as they go over the wire: as they are, or in TLS records.

use std::io::{Read, Write};

use rustls::ClientConnection;

use super::super::recorder::Fault;

/// One side of a connection, without a socket.
pub(super) enum Session {
    Plain,
    Tls(Box<ClientConnection>),
}

impl Session {
    pub(super) fn over(mut tls: ClientConnection) -> Self {
        // A request is never larger than what the corpus holds.
        tls.set_buffer_limit(None);
        Self::Tls(Box::new(tls))
    }

    /// Turns what shall be said into what is sent.
    pub(super) fn seal(&mut self, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let Self::Tls(tls) = self else { return Ok(()) };
        tls.writer().write_all(bytes).map_err(|_| Fault::Broken)?;
        bytes.clear();
        while tls.wants_write() {
            tls.write_tls(bytes).map_err(|_| Fault::Broken)?;
        }
        Ok(())
    }

    /// Turns what came into what was said; `room` holds it where it is not the same.
    pub(super) fn open<'a>(&mut self, mut came: &'a [u8], room: &'a mut Vec<u8>) -> Result<&'a [u8], Fault> {
        let Self::Tls(tls) = self else { return Ok(came) };
        room.clear();
        while !came.is_empty() {
            if tls.read_tls(&mut came).map_err(|_| Fault::Broken)? == 0 {
                // The other side has said that it ends: what it says after that is not read (RFC 8446 §6.1).
                return if room.is_empty() { Err(Fault::Broken) } else { Ok(room) };
            }
            let state = tls.process_new_packets().map_err(|_| Fault::Broken)?;
            let from = room.len();
            room.resize(from + state.plaintext_bytes_to_read(), 0);
            tls.reader().read_exact(room.get_mut(from..).unwrap_or_default()).map_err(|_| Fault::Broken)?;
        }
        Ok(room)
    }
}

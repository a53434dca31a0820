//! HTTP/1.1: one connection with keep-alive, made anew when it ends. Requests are written as bytes that are ready, in
//! one call; of answers only what a load needs is read.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::super::recorder::Fault;
use super::super::requests::Requests;
use super::answer::Reader;
use super::dial::{Dial, Stream};
use super::lane::Shared;
use super::session::Session;

/// A connection that cannot be made, or that ended without a whole answer, is made anew after this time.
pub(super) const RECONNECT: Duration = Duration::from_millis(20);

/// Bytes read at once.
const READ: usize = 16 * 1024;

/// The sending side.
pub(super) struct Link {
    write: Rc<OwnedWriteHalf>,
    session: Rc<RefCell<Session>>,
    buffer: Vec<u8>,
}

/// Keeps slot `index` connected; ends only by being dropped.
pub(super) async fn run(shared: Rc<Shared>, dial: Dial, index: usize, mut first: Option<Stream>) {
    let mut read = Box::new([0; READ]);
    loop {
        let opened = match first.take() {
            Some(stream) => Ok(stream),
            None => dial.open().await,
        };
        let useful = if let Ok(stream) = opened {
            converse(&shared, index, stream, &mut read).await
        } else {
            shared.refused();
            false
        };
        if !useful {
            tokio::time::sleep(RECONNECT).await;
        }
    }
}

/// Lets requests through until the connection ends; whether one of them was answered whole.
async fn converse(shared: &Shared, index: usize, stream: Stream, buffer: &mut [u8; READ]) -> bool {
    let (stream, session) = match stream {
        Stream::Plain(stream) => (stream, Session::Plain),
        Stream::Tls(stream) => {
            let (stream, session) = stream.into_inner();
            (stream, Session::over(session))
        }
    };
    let (read, write) = stream.into_split();
    let session = Rc::new(RefCell::new(session));
    let link = Link { write: Rc::new(write), session: Rc::clone(&session), buffer: Vec::new() };
    shared.opened(std::iter::once((index, super::link::Link::Http1(link))));
    let mut answers = Answers { read, session, plain: Vec::new(), reader: Reader::default() };
    let mut answered = false;
    loop {
        match answers.next(buffer).await {
            Ok(answer) => {
                answered = true;
                shared.finished(index, Ok((answer.status, answer.bytes)), answer.keep);
                if !answer.keep {
                    return answered;
                }
            }
            Err(fault) => {
                shared.finished(index, Err(fault), false);
                return answered;
            }
        }
    }
}

/// The receiving side.
struct Answers {
    read: OwnedReadHalf,
    session: Rc<RefCell<Session>>,
    plain: Vec<u8>,
    reader: Reader,
}

impl Answers {
    async fn next(&mut self, buffer: &mut [u8; READ]) -> Result<super::answer::Answer, Fault> {
        loop {
            // A connection that was reset has not ended an answer.
            let size = self.read.read(buffer).await.map_err(|_| Fault::Broken)?;
            if size == 0 {
                return self.reader.end().ok_or(Fault::Broken);
            }
            let came = buffer.get(..size).unwrap_or_default();
            let bytes = self.session.borrow_mut().open(came, &mut self.plain)?;
            if let Some(answer) = self.reader.feed(bytes)? {
                return Ok(answer);
            }
        }
    }
}

impl Link {
    pub(super) fn send(&mut self, requests: &Requests, number: u64) {
        self.buffer.clear();
        requests.write(number, &mut self.buffer);
        if self.session.borrow_mut().seal(&mut self.buffer).is_err() {
            return self.shut();
        }
        match self.write.try_write(&self.buffer) {
            Ok(size) if size == self.buffer.len() => {}
            Ok(size) => self.send_rest(size),
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => self.send_rest(0),
            Err(_) => self.shut(),
        }
    }

    /// What the socket did not take at once.
    fn send_rest(&mut self, mut sent: usize) {
        let (write, bytes) = (Rc::clone(&self.write), std::mem::take(&mut self.buffer));
        tokio::task::spawn_local(async move {
            while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
                // A connection that ends here ends for the reader, too, who tells.
                if write.writable().await.is_err() {
                    return;
                }
                match write.try_write(rest) {
                    Ok(size) => sent += size,
                    Err(fault) if fault.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        });
    }

    /// Ends the connection: the reader sees it and reports.
    pub(super) fn shut(&self) {
        if let Err(fault) = SockRef::from((*self.write).as_ref()).shutdown(Shutdown::Both) {
            tracing::debug!(%fault, "replay: the connection had ended before");
        }
    }
}

//! An SSP that says exactly what a test wrote down, and keeps what it received.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) delay: Duration,
    /// It answers as the so-manieth of those that share the counter.
    pub(crate) turn: Option<(watch::Sender<usize>, usize)>,
}

impl Default for Script {
    fn default() -> Self {
        Self { status: 204, headers: Vec::new(), body: Bytes::new(), delay: Duration::ZERO, turn: None }
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Clone)]
pub(crate) struct ScriptedSsp {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl ScriptedSsp {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ssp = Self {
            address: listener.local_addr().unwrap(),
            script: Arc::new(Mutex::new(script)),
            received: Arc::default(),
        };
        let serving = ssp.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        ssp
    }

    async fn serve(self, stream: TcpStream) {
        let service = service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) });
        // A gateway that hangs up is part of what is tested.
        drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        self.received.lock().unwrap().push(Received { headers: head.headers, body });
        let script = self.script.lock().unwrap().clone();
        tokio::time::timeout(script.delay, std::future::pending::<()>()).await.unwrap_or_default();
        if let Some((turn, mine)) = script.turn {
            drop(turn.subscribe().wait_for(|now| *now >= mine).await);
            turn.send_modify(|now| *now += 1);
        }
        let mut response = Response::builder().status(script.status);
        for (name, value) in &script.headers {
            response = response.header(name, value);
        }
        response.body(Full::new(script.body)).unwrap()
    }

    pub(crate) fn set(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Received {
        self.received().pop().expect("the SSP received nothing")
    }
}

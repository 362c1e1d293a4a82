//! One connection of the HTTP port, from its first byte to its end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::Shutdown;

/// How long a client that has its answer may go on sending a body nobody wants. Closing at once would reset the connection and lose the answer on its way.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes of such a body read at most.
const LINGER_BYTES: usize = 4 * 1024 * 1024;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For the head of a request; an idle connection is closed after it too.
    pub(super) head: Duration,
    /// After shutdown, for what it has not yet sent, and for taking an answer.
    pub(super) drain: Duration,
}

/// Whether a request has arrived whole and is not yet answered.
type Working = watch::Sender<bool>;

type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// Answers the requests of one connection until either side ends it.
pub(super) async fn converse(stream: TcpStream, router: Router, limits: Limits, stop: Shutdown) {
    let working = Working::new(false);
    let mut watching = working.subscribe();
    let service = service_fn(move |request| answer(&router, &working, request));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        outcome = poll_fn(|context| connection.poll_without_shutdown(context)) => {
            tell(outcome);
            linger(connection.into_parts().io.into_inner()).await;
            return;
        }
        () = stop.cancelled() => Pin::new(&mut connection).graceful_shutdown(),
    }
    tokio::select! {
        outcome = &mut connection => tell(outcome),
        () = patience(&mut watching, limits.drain) => debug!("a client did not end in time"),
    }
}

/// Ends when nothing is left to wait for: a request that arrived whole gets its answer, however long that takes.
async fn patience(working: &mut watch::Receiver<bool>, drain: Duration) {
    sleep(drain).await;
    if !*working.borrow() {
        return;
    }
    if working.wait_for(|working| !working).await.is_ok() {
        sleep(drain).await;
    }
}

fn tell(outcome: hyper::Result<()>) {
    if let Err(error) = outcome {
        debug!(error = %error, "a connection failed");
    }
}

async fn linger(mut stream: TcpStream) {
    let unread = async {
        let mut buffer = [0; 8 * 1024];
        let mut left = LINGER_BYTES;
        stream.shutdown().await?;
        while left > 0 {
            match stream.read(&mut buffer).await? {
                0 => break,
                bytes => left = left.saturating_sub(bytes),
            }
        }
        Ok::<(), std::io::Error>(())
    };
    if let Ok(Err(error)) = timeout(LINGER, unread).await {
        debug!(error = %error, "a connection did not end well");
    }
}

fn answer(router: &Router, working: &Working, request: hyper::Request<Incoming>) -> Answering {
    let router = TowerToHyperService::new(router.clone());
    let working = working.clone();
    Box::pin(async move {
        let request = request.map(|body| Arriving::watched(body, &working));
        let mut response = router.call(request).await?;
        let arrived = working.send_replace(false);
        if !arrived {
            // What follows on this connection is the rest of a body: no client may take it for free.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        Ok(response)
    })
}

/// A request's body that tells when it has arrived.
struct Arriving {
    body: Incoming,
    working: Working,
}

impl Arriving {
    fn watched(body: Incoming, working: &Working) -> Body {
        let arriving = Self {
            body,
            working: working.clone(),
        };
        arriving.look();
        Body::new(arriving)
    }

    fn look(&self) {
        if self.body.is_end_stream() {
            self.working.send_replace(true);
        }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match &frame {
            Poll::Ready(None) => {
                self.working.send_replace(true);
            }
            Poll::Ready(Some(_)) => self.look(),
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;

//! New messages as they come, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use chassis::Shutdown;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use super::{Shared, brief};
use crate::accepted::Accepted;

struct Live {
    news: Receiver<Arc<Accepted>>,
    clearings: watch::Receiver<u64>,
    shutdown: Shutdown,
}

/// `message` events with a message each, without its HTML; `reload` when the list has to be fetched anew, because it was emptied or the client was too slow.
pub(super) async fn stream(
    State(sandbox): Shared,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let live = Live {
        news: sandbox.ledger.subscribe(),
        clearings: sandbox.ledger.clearings(),
        shutdown: sandbox.shutdown.clone(),
    };
    let events = unfold(live, |mut live| async move {
        let event = live.next().await?;
        Some((Ok(event), live))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

impl Live {
    async fn next(&mut self) -> Option<Event> {
        let reload = || Event::default().event("reload").data("{}");
        tokio::select! {
            news = self.news.recv() => match news {
                Ok(message) => Event::default().event("message").json_data(brief(&message)).ok(),
                Err(RecvError::Lagged(_)) => Some(reload()),
                Err(RecvError::Closed) => None,
            },
            cleared = self.clearings.changed() => cleared.ok().map(|()| reload()),
            () = self.shutdown.cancelled() => None,
        }
    }
}

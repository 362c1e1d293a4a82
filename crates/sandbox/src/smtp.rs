//! A mail server that takes every mail and sends none on (RFC 5321, with PIPELINING, SIZE, 8BITMIME, SMTPUTF8, AUTH PLAIN and ENHANCEDSTATUSCODES).

mod connection;
mod mail;
mod transaction;

use std::time::Duration;

use chassis::Failure;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use self::connection::Connection;
use crate::admission::Admission;

/// Takes mail until shutdown.
pub(crate) async fn serve(listener: TcpListener, admission: Admission) -> Result<(), Failure> {
    let connections = TaskTracker::new();
    let shutdown = admission.shutdown.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(converse(stream, admission.clone()));
            }
            Err(error) => {
                warn!(error = %error, "could not accept an SMTP connection");
                // Out of file descriptors, most likely: give connections time to end.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn converse(stream: TcpStream, admission: Admission) {
    if let Err(error) = Connection::new(stream, admission).serve().await {
        debug!(error = %error, "an SMTP connection broke");
    }
}

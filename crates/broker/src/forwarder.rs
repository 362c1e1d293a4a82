//! A TCP forwarder: a fixed address for a broker that chose its own port.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use chassis::Shutdown;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tracing::{debug, warn};

/// How long no connection is accepted after accepting one failed, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens at one address and copies every connection to another.
///
/// Clients of an in-process broker bootstrap through it; the broker then names its own port, which they use from there on.
#[derive(Debug)]
pub struct Forwarder {
    listener: TcpListener,
    address: SocketAddr,
    target: SocketAddr,
}

impl Forwarder {
    /// Starts to listen. Port 0 is any free one.
    ///
    /// # Errors
    /// When `listen` cannot be bound.
    pub async fn start(listen: SocketAddr, target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            target,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forwards until `shutdown`, then closes every connection.
    pub async fn run(self, shutdown: Shutdown) {
        self.run_with(shutdown, forward).await;
    }

    /// Forwards with `carry`, which gets each connection and the target's address, until `shutdown`; then closes every connection.
    pub async fn run_with<C>(self, shutdown: Shutdown, carry: impl Fn(TcpStream, SocketAddr) -> C)
    where
        C: Future<Output = ()> + Send + 'static,
    {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = self.listener.accept() => match accepted {
                    Ok((client, _)) => {
                        connections.spawn(carry(client, self.target));
                    }
                    Err(error) => {
                        warn!(%error, "could not accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

async fn forward(client: TcpStream, target: SocketAddr) {
    if let Err(error) = copy(client, target).await {
        debug!(%error, %target, "a forwarded connection broke");
    }
}

async fn copy(mut client: TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

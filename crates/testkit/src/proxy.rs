//! A network that misbehaves, between a program and what it talks to.

mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use broker::Forwarder;
use chassis::Shutdown;
use tokio::sync::watch;

/// How a link is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Everything passes.
    #[default]
    Good,
    /// Every connection is closed, and every new one at once.
    Cut,
    /// Everything takes this long each way: half of a round trip.
    Slow(Duration),
    /// Of a hundred chunks so many come late by [`RETRANSMISSION`], as TCP shows a lost packet.
    Lossy(u64),
    /// Of a hundred commits that PostgreSQL made so many are not told: the connection is closed in place of the answer.
    Silent(u64),
    /// Connections are taken and nothing is ever answered. Those that were open then stay so for good, as behind a firewall that forgot them.
    HalfOpen,
}

/// What a lost packet costs: the shortest timeout of Linux's TCP (`TCP_RTO_MIN`, 200 ms).
pub const RETRANSMISSION: Duration = Duration::from_millis(200);

/// A link whose state can be changed. It closes when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    link: watch::Sender<Link>,
    stop: Shutdown,
}

impl Proxy {
    /// A good link to `target`, `host:port`.
    ///
    /// # Errors
    /// If the target is unknown or no port is free.
    pub async fn start(target: &str) -> Result<Self> {
        let (proxy, forwarder) = Self::listen(target).await?;
        proxy.run(forwarder, Vec::new());
        Ok(proxy)
    }

    /// Links to every broker of `servers`, and the servers to name in their place: brokers name themselves to their clients, and are renamed on the way.
    ///
    /// # Errors
    /// If a broker is unknown or no port is free.
    pub async fn before_kafka(servers: &str) -> Result<(Vec<Self>, String)> {
        let mut links = Vec::new();
        let mut names = Vec::new();
        for server in servers.split(',') {
            let (proxy, forwarder) = Self::listen(server).await?;
            let port: u16 = server.rsplit(':').next().unwrap_or_default().parse()?;
            names.push((
                wire::broker_name(port),
                wire::broker_name(proxy.address.port()),
            ));
            links.push((proxy, forwarder));
        }
        let run = |(proxy, forwarder): (Self, Forwarder)| {
            proxy.run(forwarder, names.clone());
            proxy
        };
        let proxies: Vec<_> = links.into_iter().map(run).collect();
        let servers: Vec<_> = proxies
            .iter()
            .map(|proxy| proxy.address.to_string())
            .collect();
        Ok((proxies, servers.join(",")))
    }

    async fn listen(target: &str) -> Result<(Self, Forwarder)> {
        let mut targets = tokio::net::lookup_host(target).await?;
        let target = targets.next().context("the target has no address")?;
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let forwarder = Forwarder::start(any_port, target).await?;
        let proxy = Self {
            address: forwarder.address(),
            link: watch::Sender::new(Link::Good),
            stop: Shutdown::new(),
        };
        Ok((proxy, forwarder))
    }

    fn run(&self, forwarder: Forwarder, names: Vec<(Vec<u8>, Vec<u8>)>) {
        let link = self.link.subscribe();
        let names = Arc::new(names);
        let carry =
            move |client, target| wire::carry(client, target, link.clone(), Arc::clone(&names));
        tokio::spawn(forwarder.run_with(self.stop.clone(), carry));
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the link, for open connections too.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

//! Starting, stopping and asking after a cluster.

use std::path::PathBuf;

use rustix::process::Signal;
use tracing::warn;

use crate::apache::identity::Identity;
use crate::apache::layout::Layout;
use crate::apache::options::{address, bootstrap};
use crate::apache::{BrokerError, BrokerStatus, Options, StopOutcome, process, startup};

/// A running cluster. Dropping it stops nothing: the brokers outlive this process.
#[derive(Clone, Debug)]
pub struct Cluster {
    options: Options,
    layout: Layout,
    started: Vec<u8>,
}

impl Cluster {
    /// The addresses of all brokers as clients take them.
    pub fn bootstrap(&self) -> String {
        bootstrap(&self.options)
    }

    /// The brokers that this start started; empty when the cluster already ran.
    pub fn started(&self) -> &[u8] {
        &self.started
    }

    /// The folder of Kafka's command-line scripts.
    pub fn bin_dir(&self) -> PathBuf {
        self.layout.bin()
    }

    /// Ties the brokers to a guard, for tests.
    pub fn into_owned(self) -> OwnedCluster {
        OwnedCluster { cluster: self }
    }
}

/// A cluster that is killed when this is dropped, brokers that were restarted meanwhile included.
#[derive(Debug)]
pub struct OwnedCluster {
    cluster: Cluster,
}

impl OwnedCluster {
    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for OwnedCluster {
    fn drop(&mut self) {
        for number in self.cluster.options.size.numbers() {
            if let Err(error) = process::signal(&self.cluster.layout, number, Signal::KILL) {
                warn!(%error, broker = number, "could not kill a broker");
            }
        }
    }
}

/// Starts the brokers that do not run, and waits until all answer.
///
/// The first start in a data directory fetches Kafka with Maven and formats the storage; later ones find both.
/// `ready` is asked about the address of each broker, again and again: it is to answer true when the broker answers a METADATA request that lists every broker.
/// A question is dropped when its broker ends or the time is up.
/// If one does not come up, those that this call started are stopped again.
///
/// # Errors
/// [`BrokerError`], each variant in one line for an operator.
pub async fn start<A>(
    options: &Options,
    ready: impl Fn(String) -> A + Send + Sync,
) -> Result<Cluster, BrokerError>
where
    A: Future<Output = bool> + Send,
{
    start_unless(std::future::pending(), options, ready).await
}

/// The same, unless `stopped` comes before every broker answers: then too those that this call started are stopped again.
///
/// # Errors
/// As [`start`], and [`BrokerError::Interrupted`].
pub async fn start_unless<A>(
    stopped: impl Future<Output = ()> + Send,
    options: &Options,
    ready: impl Fn(String) -> A + Send + Sync,
) -> Result<Cluster, BrokerError>
where
    A: Future<Output = bool> + Send,
{
    let mut stopped = std::pin::pin!(stopped);
    options.check_port()?;
    let layout = Layout::create(&options.data_dir)?;
    let _lock = layout.lock()?;
    let absent = absent(&layout, options);
    let running = usize::from(options.size.brokers()) - absent.len();
    let identity = Identity::settle(&layout, options, running)?;
    if !absent.is_empty() {
        startup::check_ports(options, &absent)?;
        let preparing = startup::prepare(&layout, options, &identity);
        startup::unless(stopped.as_mut(), preparing).await?;
    }
    let all: Vec<u8> = options.size.numbers().collect();
    startup::bring_up(&layout, options, (&absent, &all), &ready, stopped).await?;
    Ok(Cluster {
        options: options.clone(),
        layout,
        started: absent,
    })
}

/// Starts one broker of a cluster that was started before, and waits until it answers `ready`.
/// Harmless when it runs.
///
/// # Errors
/// [`BrokerError`].
pub async fn start_broker<A>(
    options: &Options,
    number: u8,
    ready: impl Fn(String) -> A + Send + Sync,
) -> Result<(), BrokerError>
where
    A: Future<Output = bool> + Send,
{
    let (layout, options) = known(options)?;
    options.check_number(number)?;
    if Identity::read(&layout)?.is_none() {
        let path = layout.root().to_owned();
        return Err(BrokerError::NeverStarted { path });
    }
    let _lock = layout.lock()?;
    let mut absent = absent(&layout, &options);
    absent.retain(|absent| *absent == number);
    startup::check_ports(&options, &absent)?;
    let never = std::future::pending();
    startup::bring_up(&layout, &options, (&absent, &[number]), &ready, never).await
}

/// Stops every broker: SIGTERM, and SIGKILL for one that is still there after 20 seconds.
///
/// # Errors
/// When a broker cannot be signalled, or does not even end when killed.
pub async fn stop(options: &Options) -> Result<Vec<(u8, StopOutcome)>, BrokerError> {
    let (layout, options) = known(options)?;
    process::stop(&layout, options.size.numbers()).await
}

/// Stops one broker.
///
/// # Errors
/// As [`stop`], and when there is no such broker.
pub async fn stop_broker(options: &Options, number: u8) -> Result<StopOutcome, BrokerError> {
    let (layout, options) = known(options)?;
    options.check_number(number)?;
    let outcomes = process::stop(&layout, [number].into_iter()).await?;
    let outcome = outcomes.first().map(|(_, outcome)| *outcome);
    Ok(outcome.unwrap_or(StopOutcome::WasNotRunning))
}

/// Kills one broker (SIGKILL) and waits until it is gone. Says whether it ran.
///
/// # Errors
/// As [`stop_broker`].
pub async fn kill_broker(options: &Options, number: u8) -> Result<bool, BrokerError> {
    let (layout, options) = known(options)?;
    options.check_number(number)?;
    process::kill(&layout, number).await
}

/// Every broker of the data directory, in order.
///
/// # Errors
/// When the data directory cannot be read.
pub fn status(options: &Options) -> Result<Vec<BrokerStatus>, BrokerError> {
    let (layout, options) = known(options)?;
    let brokers = options.size.numbers().map(|number| BrokerStatus {
        number,
        address: address(options.port, number),
        state: process::state(&layout, number),
    });
    Ok(brokers.collect())
}

/// What is asked for, corrected by what the data directory holds: `stop` needs no `--brokers 3`.
fn known(options: &Options) -> Result<(Layout, Options), BrokerError> {
    let layout = Layout::of(&options.data_dir)?;
    let mut options = options.clone();
    if let Some(identity) = Identity::read(&layout)? {
        options.size = identity.size;
        options.port = identity.port;
    }
    Ok((layout, options))
}

/// The brokers that do not run.
fn absent(layout: &Layout, options: &Options) -> Vec<u8> {
    let numbers = options.size.numbers();
    numbers
        .filter(|number| !process::runs(layout, *number))
        .collect()
}

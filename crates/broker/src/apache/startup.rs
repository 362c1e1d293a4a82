//! What happens between "start" and the answer of every broker.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use crate::apache::files::{self, FileContext as _};
use crate::apache::identity::Identity;
use crate::apache::java::{complaint, format_storage};
use crate::apache::layout::Layout;
use crate::apache::options::{address, client_port, controller_port};
use crate::apache::properties::Server;
use crate::apache::tools::{Java, find_java};
use crate::apache::{BrokerError, Options, jars, process, scripts};

/// How long the answers of all brokers are waited for.
const START_LIMIT: Duration = Duration::from_mins(2);

/// Between two questions to a broker that does not answer yet.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Whether the brokers can listen.
pub(crate) fn check_ports(options: &Options, numbers: &[u8]) -> Result<(), BrokerError> {
    for number in numbers.iter().copied() {
        let ports = [client_port, controller_port].map(|port| port(options.port, number));
        for port in ports {
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
                return Err(BrokerError::PortTaken { number, port });
            }
        }
    }
    Ok(())
}

/// Everything a broker needs before it runs.
pub(crate) async fn prepare(
    layout: &Layout,
    options: &Options,
    identity: &Identity,
) -> Result<(), BrokerError> {
    let java = java().await?;
    jars::resolve(layout, &java).await?;
    scripts::write(layout, &java.program)?;
    // Not earlier: a start that failed before it held anything binds the data directory to nothing.
    identity.write(layout)?;
    for number in options.size.numbers() {
        let folder = layout.broker(number);
        fs::create_dir_all(&folder).in_file(&folder)?;
        let server = Server {
            layout,
            number,
            size: options.size,
            port: options.port,
        };
        files::write(&layout.properties(number), &server.properties())?;
        format_storage(&java, layout, number, &identity.cluster_id).await?;
    }
    Ok(())
}

/// Looks for Java where a wait of a second holds nothing up.
async fn java() -> Result<Java, BrokerError> {
    match tokio::task::spawn_blocking(find_java).await {
        Ok(found) => Ok(found?),
        Err(panic) => Err(BrokerError::Run {
            program: "java".into(),
            source: panic.into(),
        }),
    }
}

/// Launches the absent brokers and waits for the answers of the awaited ones; ends those it launched if that fails, or if `stopped` comes first.
pub(crate) async fn bring_up<A>(
    layout: &Layout,
    options: &Options,
    (absent, awaited): (&[u8], &[u8]),
    ready: &(impl Fn(String) -> A + Sync),
    stopped: impl Future<Output = ()> + Send,
) -> Result<(), BrokerError>
where
    A: Future<Output = bool> + Send,
{
    let mut outcome = launch(layout, options, absent).await;
    if outcome.is_ok() {
        outcome = unless(stopped, wait_for_all(layout, options, awaited, ready)).await;
    }
    if outcome.is_err() {
        // The failure that is told is the first one.
        if let Err(error) = process::stop(layout, absent.iter().copied()).await {
            warn!(%error, "could not stop what was started");
        }
    }
    outcome
}

/// What comes of the work, unless it is to stop before.
pub(crate) async fn unless<T>(
    stopped: impl Future<Output = ()> + Send,
    work: impl Future<Output = Result<T, BrokerError>> + Send,
) -> Result<T, BrokerError> {
    tokio::select! {
        done = work => done,
        () = stopped => Err(BrokerError::Interrupted),
    }
}

async fn launch(layout: &Layout, options: &Options, absent: &[u8]) -> Result<(), BrokerError> {
    if absent.is_empty() {
        return Ok(());
    }
    let java = java().await?;
    for number in absent.iter().copied() {
        process::launch(&java.program, layout, number, options.size).await?;
        info!(broker = number, "started, waiting for its answer");
    }
    Ok(())
}

async fn wait_for_all<A>(
    layout: &Layout,
    options: &Options,
    numbers: &[u8],
    ready: &(impl Fn(String) -> A + Sync),
) -> Result<(), BrokerError>
where
    A: Future<Output = bool> + Send,
{
    let deadline = Instant::now() + START_LIMIT;
    for number in numbers.iter().copied() {
        wait_for(layout, options, number, deadline, ready).await?;
    }
    Ok(())
}

async fn wait_for<A>(
    layout: &Layout,
    options: &Options,
    number: u8,
    deadline: Instant,
    ready: &(impl Fn(String) -> A + Sync),
) -> Result<(), BrokerError>
where
    A: Future<Output = bool> + Send,
{
    let address = address(options.port, number);
    let answer = async {
        while !ready(address.clone()).await {
            sleep(ASK_AGAIN).await;
        }
    };
    tokio::select! {
        answered = timeout_at(deadline, answer) => answered.map_err(|_elapsed| BrokerError::Silent {
            number,
            address: address.clone(),
            waited: START_LIMIT,
            log: layout.log(number),
        }),
        () = process::gone(layout, number) => Err(ended(layout, number)),
    }
}

fn ended(layout: &Layout, number: u8) -> BrokerError {
    let log = layout.log(number);
    let said = fs::read_to_string(&log).unwrap_or_default();
    BrokerError::Ended {
        number,
        complaint: complaint(&said),
        log,
    }
}

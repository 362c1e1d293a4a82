//! The process of a broker: started, known again, signalled, waited for.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::apache::files::{self, FileContext as _};
use crate::apache::java::{BROKER, broker_command};
use crate::apache::layout::Layout;
use crate::apache::{BrokerError, ClusterSize};

/// How long a broker may take to stop by itself.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the kernel may take to end a killed process.
const AFTER_KILL: Duration = Duration::from_secs(10);
/// How long a new process may take to show its command line.
const TO_BE_SEEN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// A broker as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerStatus {
    /// Its number, which is its node id.
    pub number: u8,
    /// Where clients reach it.
    pub address: String,
    /// Whether it runs.
    pub state: BrokerState,
}

/// Whether a broker runs. Running is not yet answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerState {
    /// It runs.
    Running {
        /// Its process.
        pid: u32,
    },
    /// It was stopped, or never started.
    Stopped,
    /// It ended without being told to stop: it failed, was killed, or the machine restarted.
    Ended,
}

/// How a broker was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopOutcome {
    /// It did not run.
    WasNotRunning,
    /// It stopped by itself after SIGTERM.
    Stopped,
    /// It did not stop within 20 seconds and was killed. Acknowledged records are safe.
    Killed,
}

/// What `/proc` shows for the process that a broker was started as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// The broker.
    Here(Pid),
    /// A process without a command line: it is just becoming the broker, or is ending and still holds its ports.
    Between,
    /// Nothing, or another process: the kernel gives numbers of ended ones to new ones.
    Gone,
}

fn presence(layout: &Layout, number: u8) -> Presence {
    let recorded = fs::read_to_string(layout.pid(number)).unwrap_or_default();
    let Some(pid) = recorded.trim().parse().ok().and_then(Pid::from_raw) else {
        return Presence::Gone;
    };
    match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) if is_broker(&line, &layout.properties(number)) => Presence::Here(pid),
        Ok(line) if line.is_empty() && !is_dead(pid) => Presence::Between,
        Ok(_) | Err(_) => Presence::Gone,
    }
}

/// Whether nothing is left of a process but an exit status that nobody has asked for.
///
/// A process whose first thread has ended shows as a zombie while others still run (proc(5), `stat` and `task`).
fn is_dead(pid: Pid) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    matches!(state, Some('Z' | 'X')) && tasks <= 1
}

pub(crate) fn runs(layout: &Layout, number: u8) -> bool {
    matches!(presence(layout, number), Presence::Here(_))
}

pub(crate) fn state(layout: &Layout, number: u8) -> BrokerState {
    match presence(layout, number) {
        Presence::Here(pid) => BrokerState::Running { pid: as_u32(pid) },
        Presence::Between | Presence::Gone if layout.pid(number).exists() => BrokerState::Ended,
        Presence::Between | Presence::Gone => BrokerState::Stopped,
    }
}

fn is_broker(command_line: &[u8], properties: &Path) -> bool {
    let properties = properties.as_os_str().as_encoded_bytes();
    let words: Vec<&[u8]> = command_line.split(|byte| *byte == 0).collect();
    words
        .windows(2)
        .any(|pair| pair == [BROKER.as_bytes(), properties])
}

/// Starts a broker that goes on without us.
pub(crate) async fn launch(
    java: &Path,
    layout: &Layout,
    number: u8,
    size: ClusterSize,
) -> Result<(), BrokerError> {
    let log = layout.log(number);
    if log.exists() {
        let previous = log.with_extension("log.1");
        fs::rename(&log, &previous).in_file(&previous)?;
    }
    let out = File::create(&log).in_file(&log)?;
    let err = out.try_clone().in_file(&log)?;
    let mut command = broker_command(java, layout, number, size);
    let child = command.stdout(out).stderr(err).spawn();
    // The runtime reaps the child once its handle is dropped.
    let child = child.map_err(|source| BrokerError::Run {
        program: java.to_owned(),
        source,
    })?;
    let pid = child.id().unwrap_or_default();
    files::write(&layout.pid(number), &pid.to_string())?;
    let deadline = Instant::now() + TO_BE_SEEN;
    while presence(layout, number) == Presence::Between && Instant::now() < deadline {
        sleep(POLL).await;
    }
    Ok(())
}

/// Tells brokers to stop, all at once, and kills those that do not.
pub(crate) async fn stop(
    layout: &Layout,
    numbers: impl Iterator<Item = u8>,
) -> Result<Vec<(u8, StopOutcome)>, BrokerError> {
    let mut told = Vec::new();
    for number in numbers {
        told.push((number, signal(layout, number, Signal::TERM)?));
    }
    let deadline = Instant::now() + PATIENCE;
    let mut outcomes = Vec::new();
    for (number, pid) in told {
        let outcome = if pid.is_none() {
            StopOutcome::WasNotRunning
        } else if timeout_at(deadline, gone(layout, number)).await.is_ok() {
            StopOutcome::Stopped
        } else {
            kill(layout, number).await?;
            StopOutcome::Killed
        };
        files::remove(&layout.pid(number))?;
        outcomes.push((number, outcome));
    }
    Ok(outcomes)
}

/// Kills a broker and waits until it is gone. Says whether it ran.
pub(crate) async fn kill(layout: &Layout, number: u8) -> Result<bool, BrokerError> {
    let Some(pid) = signal(layout, number, Signal::KILL)? else {
        return Ok(false);
    };
    let end = timeout(AFTER_KILL, gone(layout, number)).await;
    end.map_err(|_elapsed| BrokerError::DoesNotEnd {
        number,
        pid: as_u32(pid),
    })?;
    Ok(true)
}

/// Sends a signal to a broker. Says which process got it, if there is one.
pub(crate) fn signal(
    layout: &Layout,
    number: u8,
    signal: Signal,
) -> Result<Option<Pid>, BrokerError> {
    let Presence::Here(pid) = presence(layout, number) else {
        return Ok(None);
    };
    match kill_process(pid, signal) {
        Ok(()) => Ok(Some(pid)),
        Err(Errno::SRCH) => Ok(None),
        Err(errno) => Err(BrokerError::Signal {
            number,
            pid: as_u32(pid),
            source: errno.into(),
        }),
    }
}

/// Waits until a broker has ended and its ports are free.
pub(crate) async fn gone(layout: &Layout, number: u8) {
    while presence(layout, number) != Presence::Gone {
        sleep(POLL).await;
    }
}

fn as_u32(pid: Pid) -> u32 {
    pid.as_raw_pid().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_broker_of_these_settings_is_ours() {
        let ours = Path::new("/srv/data/kafka/broker-1/server.properties");
        let line =
            b"/usr/bin/java\0-cp\0libs\0kafka.Kafka\0/srv/data/kafka/broker-1/server.properties\0";
        assert!(is_broker(line, ours));
        assert!(!is_broker(
            line,
            Path::new("/srv/data/kafka/broker-2/server.properties")
        ));
        assert!(!is_broker(
            b"/usr/bin/vi\0/srv/data/kafka/broker-1/server.properties\0",
            ours
        ));
        assert!(!is_broker(b"", ours));
    }

    #[test]
    fn a_number_that_another_process_has_now_is_not_signalled() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        fs::create_dir_all(layout.broker(1)).unwrap();
        fs::write(layout.pid(1), std::process::id().to_string()).unwrap();
        assert_eq!(state(&layout, 1), BrokerState::Ended);
        assert_eq!(signal(&layout, 1, Signal::KILL).unwrap(), None);
    }
}

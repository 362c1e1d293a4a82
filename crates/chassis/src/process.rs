//! A process from its settings to its exit status.

use std::future::Future;
use std::panic::{self, PanicHookInfo};
use std::process::{ExitCode, Termination};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tracing::{error, info};

use crate::{Failure, ProcessSettings, Shutdown, logs, trace};

/// Runs a program: logs, traces, a runtime, `run` until it ends or a signal asks it to, the exit status: of `run` where it has one, 0 where it ends well without, the failure's otherwise.
///
/// The first SIGTERM or SIGINT cancels the [`Shutdown`] and gives `run` the shutdown timeout; a second one ends the process at once.
/// SIGUSR1 makes our own crates log more, first at `debug`, then at `trace`; SIGUSR2 takes that back.
pub fn run_to_exit<F, T>(settings: &ProcessSettings, run: impl FnOnce(Shutdown) -> F) -> ExitCode
where
    F: Future<Output = Result<T, Failure>>,
    T: Termination,
{
    match run_logged(settings, run) {
        Ok(done) => done.report(),
        Err(failure) => {
            tell(&failure);
            failure.exit_code()
        }
    }
}

fn run_logged<F, T>(
    settings: &ProcessSettings,
    run: impl FnOnce(Shutdown) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let dial = logs::start(&settings.log)?;
    panic::set_hook(Box::new(log_panic));
    let endpoint = settings.otel_exporter_otlp_endpoint.as_ref();
    // Dropped last: what ends with the runtime is exported too.
    let _exporting = endpoint.map(trace::start).transpose()?;
    let runtime = Runtime::new().map_err(Failure::broken("could not start the runtime"))?;
    let outcome = runtime.block_on(async {
        dial.follow_signals()?;
        until_told_to_stop(settings, run).await
    });
    runtime.shutdown_background();
    outcome
}

/// Where, and not what: the words of a panic may hold what it was about.
fn log_panic(panicked: &PanicHookInfo<'_>) {
    let place = panicked.location().map(tracing::field::display);
    error!(place, "a part of the program panicked");
}

#[expect(
    clippy::print_stderr,
    reason = "the last line is for the operator, logs or not"
)]
fn tell(failure: &Failure) {
    eprintln!("{}", failure.line());
}

async fn until_told_to_stop<F, T>(
    settings: &ProcessSettings,
    run: impl FnOnce(Shutdown) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut signals = Signals::listen()?;
    let shutdown = Shutdown::new();
    let running = run(shutdown.clone());
    tokio::pin!(running);
    tokio::select! {
        outcome = &mut running => return outcome,
        () = signals.next() => info!("stopping: no new work, finishing what is in flight"),
    }
    shutdown.cancel();
    tokio::select! {
        outcome = timeout(settings.shutdown_timeout, running) => {
            outcome.unwrap_or_else(|_| Err(too_slow(settings)))
        }
        () = signals.next() => Err(told_twice()),
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(Failure::broken("could not listen for signals"));
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn too_slow(settings: &ProcessSettings) -> Failure {
    error!(timeout = ?settings.shutdown_timeout, "the stop took too long");
    Failure::Broken {
        what: "stopped",
        source: "work was still in flight at SHUTDOWN_TIMEOUT".into(),
    }
}

fn told_twice() -> Failure {
    Failure::Broken {
        what: "stopped",
        source: "a second signal ended it at once".into(),
    }
}

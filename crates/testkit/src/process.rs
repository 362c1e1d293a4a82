//! The real programs as processes.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use procfs::process::Process;
use serde_json::Value;

use crate::wait::eventually_within;

/// How long a program may take to be there, on a busy machine.
const START_LIMIT: Duration = Duration::from_mins(1);

/// How long it may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Where a program of the workspace is, built as the tests are.
///
/// # Errors
/// If Cargo cannot build it.
pub fn program_path(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<bool> = OnceLock::new();
    let test = std::env::current_exe().context("could not find the test's own file")?;
    let folder = test
        .parent()
        .and_then(Path::parent)
        .context("the test has no folder")?;
    let profile = if folder.ends_with("release") {
        "release"
    } else {
        "dev"
    };
    let built = BUILT.get_or_init(|| build(profile).unwrap_or(false));
    ensure!(*built, "could not build the programs");
    Ok(folder.join(name))
}

/// Nothing to do where the whole workspace was built for its tests.
fn build(profile: &str) -> Result<bool> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--quiet",
        "--workspace",
        "--bins",
        "--profile",
        profile,
    ]);
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status();
    Ok(status.context("could not run Cargo")?.success())
}

/// A running program. It is killed when dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a program with these variables and none of the test's own, its log in a new file of `folder`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(name: &str, variables: &[(String, String)], folder: &Path) -> Result<Self> {
        let number = std::fs::read_dir(folder).map_or(0, Iterator::count);
        let log = folder.join(format!("{name}-{number}.log"));
        let stderr = File::create(&log).context("could not make a log file")?;
        let child = Command::new(program_path(name)?)
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// The address it says it listens on.
    pub async fn address(&self) -> SocketAddr {
        eventually_within(
            START_LIMIT,
            &format!("address of {}", self.name),
            async || {
                self.log_lines()
                    .iter()
                    .find_map(|line| line.get("address")?.as_str()?.parse().ok())
            },
        )
        .await
    }

    /// Its log so far, one object a line; what is no JSON is left out.
    pub fn log_lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Where its log is.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill().context("could not kill")?;
        self.child.wait().context("could not wait")?;
        Ok(())
    }

    /// SIGTERM, and waits until it has stopped.
    ///
    /// # Errors
    /// If it cannot be signalled or does not stop.
    pub async fn terminate(mut self) -> Result<ExitStatus> {
        self.signal("TERM")?;
        let name = format!("end of {}", self.name);
        let child = &mut self.child;
        Ok(eventually_within(STOP_LIMIT, &name, || {
            let ended = child.try_wait().ok().flatten();
            std::future::ready(ended)
        })
        .await)
    }

    /// Sends it a signal by name.
    ///
    /// # Errors
    /// If there is no such process any more.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([format!("-{signal}"), id])
            .status();
        ensure!(
            sent.context("could not run kill")?.success(),
            "could not signal {}",
            self.name
        );
        Ok(())
    }

    /// Gives it so much less of the processor than others that want it, as `nice` would have.
    ///
    /// # Errors
    /// If there is no such process any more.
    pub fn renice(&self, by: u8) -> Result<()> {
        // Each thread has its own, and those that start later have that of the one which starts them.
        let mut last = Vec::new();
        for _ in 0..100 {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()))
                .context("could not ask after the process")?;
            let mut tasks: Vec<_> = tasks.filter_map(|it| Some(it.ok()?.file_name())).collect();
            tasks.sort();
            let mut renice = Command::new("renice");
            renice.args(["-n", &by.to_string(), "-p"]).args(&tasks);
            let reniced = renice.output().context("could not run renice")?;
            // A thread that ended meanwhile is an error to it.
            if reniced.status.success() && tasks == last {
                return Ok(());
            }
            last = tasks;
        }
        bail!("could not renice {}", self.name)
    }

    /// Whether it has not ended by itself.
    ///
    /// # Errors
    /// If it cannot be asked after.
    pub fn is_running(&self) -> Result<bool> {
        // It may have ended, and was not waited for.
        Ok(self.process()?.stat()?.state != 'Z')
    }

    /// The most memory it has had resident so far, in bytes.
    ///
    /// # Errors
    /// If it cannot be asked after.
    pub fn peak_memory_bytes(&self) -> Result<u64> {
        // proc(5): `VmHWM` is in kB, of 1,024 bytes.
        let peak = self.process()?.status()?.vmhwm;
        Ok(peak.context("it has no memory")? * 1024)
    }

    /// How long it has computed so far, in itself and in the kernel.
    ///
    /// # Errors
    /// If it cannot be asked after.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = self.process()?.stat()?;
        let millis = (stat.utime + stat.stime) * 1000 / procfs::ticks_per_second();
        Ok(Duration::from_millis(millis))
    }

    /// How many threads it has.
    ///
    /// # Errors
    /// If it cannot be asked after.
    pub fn threads(&self) -> Result<u64> {
        Ok(self.process()?.status()?.threads)
    }

    fn process(&self) -> Result<Process> {
        let process = Process::new(self.child.id().try_into()?);
        process.context("could not ask after the process")
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn wait(mut self) -> Result<(ExitStatus, String)> {
        let status = self.child.wait().context("could not wait")?;
        Ok((
            status,
            std::fs::read_to_string(&self.log).unwrap_or_default(),
        ))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

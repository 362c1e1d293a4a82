//! `harkara sandbox`: the stand-in for the providers alone.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chassis::{Failure, ProcessSettings, Shutdown, SystemClock};
use clap::Args;
use sandbox::{Sandbox, SandboxSettings};

/// Settings of `harkara sandbox`.
#[derive(Args, Debug)]
pub(crate) struct SandboxCommand {
    /// The sandbox.
    #[command(flatten)]
    sandbox: SandboxSettings,
    /// What is logged.
    #[arg(long, env = "LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

impl SandboxCommand {
    pub(crate) fn run(self) -> ExitCode {
        let process = ProcessSettings::of_command(&self.log, Duration::from_secs(15));
        chassis::run_to_exit(&process, |shutdown| self.serve(shutdown))
    }

    async fn serve(self, shutdown: Shutdown) -> Result<(), Failure> {
        let sandbox = Sandbox::start(self.sandbox, Arc::new(SystemClock)).await?;
        println!("inbox page  http://{}/", sandbox.http_address());
        println!("SMTP        smtp://{}", sandbox.smtp_address());
        println!("Twilio      http://{}/twilio", sandbox.http_address());
        println!("MSG91       http://{}/msg91", sandbox.http_address());
        println!("WhatsApp    http://{}/whatsapp", sandbox.http_address());
        sandbox.run(shutdown).await
    }
}

/// A port of 127.0.0.1; 0 is any free one.
pub(crate) const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

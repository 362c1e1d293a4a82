//! The sandbox, which judges a request as the provider would.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use chassis::{Shutdown, SystemClock};
use sandbox::{Faults, Ledger, Sandbox, SandboxSettings};

/// A running sandbox. It ends when dropped.
#[derive(Debug)]
pub struct StandIn {
    smtp: SocketAddr,
    http: SocketAddr,
    ledger: Ledger,
    faults: Faults,
    stop: Shutdown,
}

impl StandIn {
    /// What its accounts are called and their secrets, by the names of the notifiers' settings.
    pub const CREDENTIALS: [(&'static str, &'static str); 7] = [
        ("SMS_ACCOUNT", "AC0123456789abcdef0123456789abcdef"),
        ("SMS_TOKEN", "test-sms-token"),
        ("SMS_FAILOVER_TOKEN", "test-msg91-authkey"),
        (
            "SMS_TEMPLATE_CONFIRMED",
            "64f0c2a1d6fc051b2c3d4e5f:1107160000000012345",
        ),
        (
            "SMS_TEMPLATE_CANCELLED",
            "64f0c2a1d6fc051b2c3d4e60:1107160000000012346",
        ),
        ("WHATSAPP_PHONE_NUMBER_ID", "106540352242922"),
        ("WHATSAPP_TOKEN", "test-whatsapp-token"),
    ];

    /// Takes any free ports; with a folder the ledger is a file there.
    ///
    /// # Errors
    /// If it cannot start.
    pub async fn start(ledger_folder: Option<&Path>) -> Result<Self> {
        let [
            account,
            sms_token,
            authkey,
            confirmed,
            cancelled,
            sender,
            whatsapp_token,
        ] = Self::CREDENTIALS.map(|(_, value)| value);
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = SandboxSettings {
            smtp_addr: any_port,
            http_addr: any_port,
            data_dir: ledger_folder.map(Path::to_owned),
            sms_account: account.to_owned(),
            sms_token: sms_token.into(),
            sms_failover_token: Some(authkey.into()),
            sms_template_confirmed: Some(confirmed.to_owned()),
            sms_template_cancelled: Some(cancelled.to_owned()),
            sms_template_paid: None,
            whatsapp_phone_number_id: sender.to_owned(),
            whatsapp_token: whatsapp_token.into(),
        };
        let sandbox = Sandbox::start(settings, Arc::new(SystemClock)).await;
        let sandbox = sandbox.context("could not start the sandbox")?;
        let stop = Shutdown::new();
        let stand_in = Self {
            smtp: sandbox.smtp_address(),
            http: sandbox.http_address(),
            ledger: sandbox.ledger(),
            faults: sandbox.faults(),
            stop: stop.clone(),
        };
        tokio::spawn(sandbox.run(stop));
        Ok(stand_in)
    }

    /// Where it takes mail, and everything else.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        [self.smtp, self.http]
    }

    /// `SMTP_URL`.
    pub fn smtp_url(&self) -> String {
        format!("smtp://{}", self.smtp)
    }

    /// `SMS_BASE_URL`.
    pub fn twilio_url(&self) -> String {
        format!("http://{}/twilio", self.http)
    }

    /// `SMS_BASE_URL` for MSG91, and `SMS_FAILOVER_BASE_URL`.
    pub fn msg91_url(&self) -> String {
        format!("http://{}/msg91", self.http)
    }

    /// `WHATSAPP_BASE_URL`.
    pub fn whatsapp_url(&self) -> String {
        format!("http://{}/whatsapp", self.http)
    }

    /// What it accepted.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What it does wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

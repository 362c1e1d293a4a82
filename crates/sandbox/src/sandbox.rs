//! The sandbox from its ports to its end.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use chassis::metrics::Metrics;
use chassis::{Failure, Readiness, SharedClock, Shutdown, Tasks};
use tokio::net::TcpListener;
use tracing::info;

use crate::admission::{Admission, Requests};
use crate::faults::Faults;
use crate::ledger::Ledger;
use crate::msg91::{Flows, Msg91};
use crate::settings::SandboxSettings;
use crate::twilio::Twilio;
use crate::whatsapp::Whatsapp;
use crate::wire::{Wire, WireListener};
use crate::{api, smtp};

/// The providers' stand-in, with both ports taken.
#[derive(Debug)]
pub struct Sandbox {
    settings: SandboxSettings,
    smtp: TcpListener,
    http: TcpListener,
    smtp_address: SocketAddr,
    http_address: SocketAddr,
    ledger: Ledger,
    faults: Faults,
}

impl Sandbox {
    /// Takes both ports (port 0: any free one) and reads the ledger back. From now on clients may connect; they are answered once it runs.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] if a port is taken or another sandbox uses the folder, [`Failure::Broken`] if the ledger cannot be read.
    pub async fn start(settings: SandboxSettings, clock: SharedClock) -> Result<Self, Failure> {
        let ledger = Ledger::open(settings.data_dir.as_deref(), clock)?;
        let (smtp, smtp_address) = bind("SANDBOX_SMTP_ADDR", settings.smtp_addr).await?;
        let (http, http_address) = bind("SANDBOX_HTTP_ADDR", settings.http_addr).await?;
        Ok(Self {
            settings,
            smtp,
            http,
            smtp_address,
            http_address,
            ledger,
            faults: Faults::default(),
        })
    }

    /// Serves until shutdown.
    ///
    /// # Errors
    /// [`Failure::Broken`] if a listener fails.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        info!(smtp = %self.smtp_address, http = %self.http_address, "the sandbox takes messages");
        let metrics = Metrics::default();
        let admission = Admission {
            ledger: self.ledger,
            faults: self.faults,
            requests: Requests::register(&metrics),
            shutdown: shutdown.clone(),
        };
        let router = router(self.settings, &admission, &metrics);
        let mut tasks = Tasks::new(shutdown.clone());
        tasks.spawn(smtp::serve(self.smtp, admission));
        tasks.spawn(serve_http(self.http, router, shutdown));
        tasks.finish().await
    }

    /// Where mail is taken.
    pub fn smtp_address(&self) -> SocketAddr {
        self.smtp_address
    }

    /// Where the inbox page, the sandbox's API, `/twilio`, `/msg91` and `/whatsapp` are.
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// What was accepted.
    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// How it misbehaves.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }
}

async fn bind(
    what: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), Failure> {
    let unavailable = |error| Failure::Unavailable {
        what,
        problem: format!("could not listen on {address}: {error}"),
    };
    let listener = TcpListener::bind(address).await.map_err(unavailable)?;
    let bound = listener.local_addr().map_err(unavailable)?;
    Ok((listener, bound))
}

fn router(settings: SandboxSettings, admission: &Admission, metrics: &Metrics) -> Router {
    let flows = Flows::new(
        settings.sms_template_confirmed.as_deref(),
        settings.sms_template_cancelled.as_deref(),
        settings.sms_template_paid.as_deref(),
    );
    let authkeys = [
        Some(settings.sms_token.clone()),
        settings.sms_failover_token,
    ];
    let msg91 = Msg91 {
        authkeys: authkeys.into_iter().flatten().collect(),
        flows,
        admission: admission.clone(),
    };
    let twilio = Twilio {
        account: settings.sms_account,
        token: settings.sms_token,
        admission: admission.clone(),
    };
    let whatsapp = Whatsapp {
        phone_number_id: settings.whatsapp_phone_number_id,
        token: settings.whatsapp_token,
        admission: admission.clone(),
    };
    let own = api::router(admission.clone());
    let all = own
        .merge(twilio.router())
        .merge(msg91.router())
        .merge(whatsapp.router());
    chassis::http::router(metrics, Readiness::default(), all)
}

/// How long a request that does not end may hold up a stop.
const LAST_REQUESTS: Duration = Duration::from_secs(3);

async fn serve_http(
    listener: TcpListener,
    router: Router,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let service = router.into_make_service_with_connect_info::<Wire>();
    let stopped = shutdown.clone();
    let serving = axum::serve(WireListener(listener), service)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .into_future();
    let limit = async {
        stopped.cancelled().await;
        tokio::time::sleep(LAST_REQUESTS).await;
    };
    tokio::select! {
        served = serving => served.map_err(Failure::broken("the HTTP server failed")),
        () = limit => Ok(()),
    }
}

//! What happens to a message that passed a provider's checks: faults first, then the ledger, then the answer.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chassis::Shutdown;
use chassis::metrics::{Counter, Family, Metrics};
use events::Channel;
use tracing::error;

use crate::accepted::Accepted;
use crate::faults::{Effect, Faults, SmtpStage};
use crate::ledger::Ledger;
use crate::wire::Wire;

/// The part that the four providers share.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    pub(crate) ledger: Ledger,
    pub(crate) faults: Faults,
    pub(crate) requests: Requests,
    pub(crate) shutdown: Shutdown,
}

/// What to tell the sender.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is in the ledger.
    Accepted(Arc<Accepted>),
    /// An HTTP status and a provider's code, by a fault.
    Refused {
        status: u16,
        code: u32,
        retry_after_seconds: Option<u64>,
    },
    /// An SMTP reply, by a fault.
    Reply(String),
    /// Nothing: close the connection.
    Cut,
    /// The ledger could not be written, so nothing was accepted.
    Failed,
}

impl Verdict {
    /// What HTTP tells of it, in the provider's words for a message that is accepted, one refused by a fault with a status and a code, and one that failed.
    pub(crate) fn respond<R: IntoResponse>(
        self,
        wire: &Wire,
        accepted: impl FnOnce(&Accepted) -> Response,
        refused: fn(u16, u32) -> R,
        failed: R,
    ) -> Response {
        match self {
            Self::Accepted(message) => accepted(&message),
            Self::Refused {
                status,
                code,
                retry_after_seconds,
            } => {
                let mut response = refused(status, code).into_response();
                let wait = retry_after_seconds.map(|wait| (RETRY_AFTER, HeaderValue::from(wait)));
                response.headers_mut().extend(wait);
                response
            }
            Self::Cut => {
                wire.cut();
                StatusCode::NO_CONTENT.into_response()
            }
            Self::Reply(_) | Self::Failed => failed.into_response(),
        }
    }
}

impl Admission {
    /// Decides on a message, and writes it down if it is accepted.
    pub(crate) async fn admit(&self, mut message: Accepted) -> Verdict {
        let channel = message.channel;
        let strike = self
            .faults
            .strike(message.provider, &message.recipient, SmtpStage::Data);
        self.wait(strike.delay).await;
        let verdict = match strike.effect {
            None | Some(Effect::Delay { .. }) => self.accept(message),
            Some(Effect::AcceptThenDrop) => {
                message.answered = false;
                let verdict = self.accept(message);
                if matches!(verdict, Verdict::Accepted(_)) {
                    Verdict::Cut
                } else {
                    verdict
                }
            }
            Some(Effect::Hang { seconds }) => {
                self.wait(Duration::from_secs(seconds)).await;
                Verdict::Cut
            }
            Some(Effect::Status {
                status,
                code,
                retry_after_seconds,
            }) => Verdict::Refused {
                status,
                code,
                retry_after_seconds,
            },
            Some(Effect::SmtpCode { reply, .. }) => Verdict::Reply(reply),
        };
        if !matches!(verdict, Verdict::Accepted(_) | Verdict::Cut) {
            self.requests.refused(channel);
        }
        verdict
    }

    fn accept(&self, message: Accepted) -> Verdict {
        match self.ledger.accept(message) {
            Ok(message) => Verdict::Accepted(message),
            Err(error) => {
                error!(error = %error, "could not write the ledger, so nothing was accepted");
                Verdict::Failed
            }
        }
    }

    /// Waits, but not past the shutdown.
    async fn wait(&self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = self.shutdown.cancelled() => {}
        }
    }
}

/// `channel="sms"`.
type ByChannel = [(&'static str, &'static str); 1];

/// Counts of what providers were asked and what they refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    seen: Family<ByChannel, Counter>,
    refused: Family<ByChannel, Counter>,
}

impl Requests {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            let help = "Messages offered to the sandbox's providers";
            registry.register("sandbox_requests", help, own.seen.clone());
            let help = "Messages that the sandbox's providers refused";
            registry.register("sandbox_refusals", help, own.refused.clone());
        });
        own
    }

    pub(crate) fn saw(&self, channel: Channel) {
        self.seen.get_or_create(&label(channel)).inc();
    }

    pub(crate) fn refused(&self, channel: Channel) {
        self.refused.get_or_create(&label(channel)).inc();
    }

    /// Seen and refused.
    pub(crate) fn of(&self, channel: Channel) -> (u64, u64) {
        let label = label(channel);
        let seen = self.seen.get_or_create(&label).get();
        (seen, self.refused.get_or_create(&label).get())
    }
}

fn label(channel: Channel) -> ByChannel {
    [("channel", channel.as_str())]
}

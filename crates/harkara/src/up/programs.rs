//! The four programs on one broker.

use std::net::SocketAddr;
use std::time::Duration;

use booking_api::{BookingApi, Sources};
use chassis::metrics::Metrics;
use chassis::{Failure, Shutdown, Tasks};
use delivery::{Channel, Notifier};
use tokio::time::Instant;

use crate::up::broker::Broker;
use crate::up::settings::ProgramSettings;
use crate::up::stage::Stage;

/// How long the notifiers may take to read what was published last.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(5);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A notifier of any channel.
trait Runnable: Send {
    fn address(&self) -> SocketAddr;
    fn metrics(&self) -> Metrics;
    fn spawn(self: Box<Self>, tasks: &mut Tasks, stop: Shutdown);
}

impl<C: Channel> Runnable for Notifier<C> {
    fn address(&self) -> SocketAddr {
        self.http_address()
    }

    fn metrics(&self) -> Metrics {
        Self::metrics(self).clone()
    }

    fn spawn(self: Box<Self>, tasks: &mut Tasks, stop: Shutdown) {
        tasks.spawn(self.run(stop));
    }
}

/// The programs, ready to run.
pub(crate) struct Programs {
    api: BookingApi,
    email: Box<dyn Runnable>,
    sms: Box<dyn Runnable>,
    whatsapp: Box<dyn Runnable>,
}

impl Programs {
    pub(crate) async fn start(settings: ProgramSettings, broker: &Broker) -> Result<Self, Failure> {
        let ProgramSettings {
            mut api,
            mut email,
            mut sms,
            mut whatsapp,
        } = settings;
        let kafka = || broker.settings.clone();
        api.kafka = kafka();
        email.notifier.kafka = kafka();
        sms.notifier.kafka = kafka();
        whatsapp.notifier.kafka = kafka();
        Ok(Self {
            api: BookingApi::start(&api, Sources::default()).await?,
            email: Box::new(email_notifier::start(email).await?),
            sms: Box::new(sms_notifier::start(sms).await?),
            whatsapp: Box::new(whatsapp_notifier::start(whatsapp).await?),
        })
    }

    pub(crate) fn api_address(&self) -> SocketAddr {
        self.api.http_address()
    }

    /// Names and addresses of the notifiers' ports.
    pub(crate) fn notifiers(&self) -> [(&'static str, SocketAddr); 3] {
        [
            ("email-notifier", self.email.address()),
            ("sms-notifier", self.sms.address()),
            ("whatsapp-notifier", self.whatsapp.address()),
        ]
    }

    pub(crate) fn metrics(&self) -> FlowMetrics {
        let notifiers = [&self.email, &self.sms, &self.whatsapp].map(|notifier| notifier.metrics());
        FlowMetrics {
            api: self.api.metrics().clone(),
            notifiers,
        }
    }

    /// Runs them: the API as one stage, the notifiers as the next.
    pub(crate) fn run(self, whole: &Shutdown) -> (Stage, Stage) {
        let Self {
            api,
            email,
            sms,
            whatsapp,
        } = self;
        let api = Stage::spawn(whole, |stop| api.run(stop));
        let notifiers = Stage::spawn(whole, |stop| {
            let mut tasks = Tasks::new(stop.clone());
            for notifier in [email, sms, whatsapp] {
                notifier.spawn(&mut tasks, stop.clone());
            }
            tasks.finish()
        });
        (api, notifiers)
    }
}

/// What was published and what was read, by the programs' own counts.
pub(crate) struct FlowMetrics {
    api: Metrics,
    notifiers: [Metrics; 3],
}

impl FlowMetrics {
    /// A broker in memory forgets what nobody read: waits a little for the notifiers.
    pub(crate) async fn wait_until_consumed(&self) {
        let deadline = Instant::now() + CATCH_UP_LIMIT;
        while !self.all_consumed() && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn all_consumed(&self) -> bool {
        let published = self.api.encode();
        events::Channel::ALL
            .iter()
            .zip(&self.notifiers)
            .all(|(channel, notifier)| {
                let read = notifier.encode();
                channel.events().iter().all(|event| {
                    let topic = format!("topic=\"{}\"", event.topic());
                    let sent = count(&published, "booking_events_published_total{", &topic);
                    count(&read, "notifier_events_consumed_total{", &topic) >= sent
                })
            })
    }
}

/// The sum of a counter's lines that hold a label.
fn count(text: &str, name: &str, label: &str) -> u64 {
    let lines = text
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label));
    lines
        .filter_map(|line| line.rsplit(' ').next())
        .filter_map(|number| number.parse::<u64>().ok())
        .sum()
}

//! The SMS channel: what a message is, and which provider it is handed to.

use std::iter;
use std::time::Duration;

use chassis::{Failure, loggable_id};
use chrono::{Days, NaiveDate};
use delivery::{Channel, Delivery, LookedUp, Receipt, SendError, Undeliverable};
use events::{BookingEvent, EventType, Phone, Stage, sms};
use reqwest::RequestBuilder;
use tracing::info;

use crate::msg91::Msg91;
use crate::settings::{Providers, SmsSettings};
use crate::twilio::Twilio;
use crate::wording::{self, Values};

/// A text message ready to be sent, by a provider that takes a text or by one that takes values.
pub(crate) struct Sms {
    pub(crate) event_type: EventType,
    pub(crate) to: Phone,
    pub(crate) text: String,
    pub(crate) values: Values,
    /// The day before the event, by UTC: no attempt was earlier, whatever the clocks.
    pub(crate) since: NaiveDate,
}

impl Sms {
    /// Both providers ignore these headers; whatever stands between us and them can trace by them.
    pub(crate) fn traced(&self, request: RequestBuilder, delivery: &Delivery) -> RequestBuilder {
        request
            .header("X-Event-Id", delivery.event_id.as_str())
            .header("X-Event-Type", self.event_type.as_str())
    }
}

/// The providers there are.
pub(crate) struct SmsChannel {
    /// Their names, in this order.
    names: &'static [&'static str],
    first: Gateway,
    second: Option<Gateway>,
}

/// A provider.
enum Gateway {
    Twilio(Twilio),
    Msg91(Msg91),
}

impl Gateway {
    const fn name(&self) -> &'static str {
        match self {
            Self::Twilio(_) => Twilio::NAME,
            Self::Msg91(_) => Msg91::NAME,
        }
    }

    /// Whether it can tell of such events.
    fn tells(&self, event_type: EventType) -> bool {
        match self {
            Self::Twilio(_) => true,
            Self::Msg91(msg91) => msg91.flow(event_type).is_some(),
        }
    }
}

impl SmsChannel {
    pub(crate) fn new(settings: &SmsSettings, timeout: Duration) -> Result<Self, Failure> {
        let twilio = |settings| Twilio::new(settings, timeout).map(Gateway::Twilio);
        let msg91 = |settings| Msg91::new(settings, timeout).map(Gateway::Msg91);
        let (names, first, second): (&'static [&'static str], _, _) = match settings.providers()? {
            Providers::Twilio(first) => (&[Twilio::NAME], twilio(first)?, None),
            Providers::Msg91(first) => (&[Msg91::NAME], msg91(first)?, None),
            Providers::Failover(first, second) => {
                let names = &[Twilio::NAME, Msg91::NAME];
                (names, twilio(first)?, Some(msg91(second)?))
            }
        };
        Ok(Self {
            names,
            first,
            second,
        })
    }

    fn gateways(&self) -> impl Iterator<Item = &Gateway> {
        iter::once(&self.first).chain(&self.second)
    }

    fn chosen(&self, delivery: &Delivery) -> &Gateway {
        let named = self.gateways().find(|own| own.name() == delivery.provider);
        named.unwrap_or(&self.first)
    }
}

const fn flow_setting(event_type: EventType) -> &'static str {
    match event_type {
        EventType::BookingConfirmed => "SMS_TEMPLATE_CONFIRMED",
        EventType::PaymentCompleted => "SMS_TEMPLATE_PAID",
        EventType::BookingCancelled => "SMS_TEMPLATE_CANCELLED",
    }
}

impl Channel for SmsChannel {
    type Message = Sms;

    fn channel(&self) -> events::Channel {
        events::Channel::Sms
    }

    fn providers(&self) -> &'static [&'static str] {
        self.names
    }

    fn missing_setting(&self, event_type: EventType) -> Option<&'static str> {
        let told = self.gateways().all(|own| own.tells(event_type));
        (!told).then_some(flow_setting(event_type))
    }

    fn recipient<'m>(&self, sms: &'m Sms) -> &'m str {
        sms.to.e164()
    }

    fn render(&self, event: &BookingEvent) -> Result<Sms, Undeliverable> {
        let event_type = event.event_type;
        if !self.gateways().all(|own| own.tells(event_type)) {
            return Err(Undeliverable {
                stage: Stage::Render,
                problem: format!("no flow is configured for {event_type}"),
            });
        }
        let to = event.phone().map_err(|error| Undeliverable {
            stage: Stage::Validate,
            problem: format!("userPhone {error}"),
        })?;
        let values = wording::values(event)?;
        let day = event.event_timestamp.to_utc().date_naive();
        Ok(Sms {
            event_type,
            to,
            text: wording::text(event_type, &values),
            values,
            since: day.checked_sub_days(Days::new(1)).unwrap_or(day),
        })
    }

    async fn send(&self, sms: &Sms, delivery: &Delivery) -> Result<Receipt, SendError> {
        let receipt = match self.chosen(delivery) {
            Gateway::Twilio(twilio) => twilio.send(sms, delivery).await?,
            Gateway::Msg91(msg91) => msg91.send(sms, delivery).await?,
        };
        info!(
            channel = %self.channel(),
            provider = delivery.provider,
            event.id = %loggable_id(delivery.event_id.as_str()),
            sms.segments = sms::segments(&sms.text).segments,
            "text message accepted"
        );
        Ok(receipt)
    }

    fn can_look_up(&self, provider: &str) -> bool {
        provider == Twilio::NAME
    }

    /// MSG91 tells of a message only by the id that a lost answer would have given.
    async fn look_up(&self, sms: &Sms, delivery: &Delivery) -> Result<LookedUp, SendError> {
        match self.chosen(delivery) {
            Gateway::Twilio(twilio) => twilio.look_up(sms).await,
            Gateway::Msg91(_) => Ok(LookedUp::Unknown),
        }
    }
}

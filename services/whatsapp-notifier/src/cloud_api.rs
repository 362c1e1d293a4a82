//! `WhatsApp` Business Cloud API: `POST /{version}/{phone number id}/messages`.

use std::num::NonZeroU32;
use std::time::Duration;

use chassis::{Failure, http};
use delivery::{
    Channel, Delivery, HttpAnswer, HttpApi, Receipt, RecipientQuota, SendError, Undeliverable,
};
use events::{BookingEvent, EventType};
use reqwest::Client;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::classify::{Detail, classify};
use crate::settings::WhatsappSettings;
use crate::template::{self, TemplateMessage};

const API: HttpApi = HttpApi {
    name: "the Cloud API",
    codes: "https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes",
};

/// One message in six seconds to one person, up to 45 of them at once (Meta, "Pair rate limits").
const PAIR_LIMIT: RecipientQuota = RecipientQuota {
    every: Duration::from_secs(6),
    burst: NonZeroU32::new(45).unwrap(),
};

/// The `WhatsApp` channel over Meta's Cloud API.
pub(crate) struct CloudApi {
    client: Client,
    messages: Url,
    settings: WhatsappSettings,
}

/// What comes back in the status webhooks of this message.
#[derive(Serialize)]
struct Tracked<'a> {
    #[serde(flatten)]
    message: &'a TemplateMessage,
    biz_opaque_callback_data: String,
}

#[derive(Deserialize)]
struct Accepted {
    messages: Vec<AcceptedMessage>,
}

#[derive(Deserialize)]
struct AcceptedMessage {
    id: String,
}

#[derive(Deserialize)]
struct Refused {
    error: GraphError,
}

#[derive(Deserialize)]
struct GraphError {
    code: u32,
    error_subcode: Option<u32>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl GraphError {
    fn detail(&self) -> Detail<'_> {
        Detail {
            subcode: self.error_subcode,
            kind: self.kind.as_deref(),
        }
    }
}

impl CloudApi {
    pub(crate) fn new(settings: WhatsappSettings, timeout: Duration) -> Result<Self, Failure> {
        let mut messages = settings.whatsapp_base_url.clone();
        if let Ok(mut path) = messages.path_segments_mut() {
            let version = settings.whatsapp_api_version.as_str();
            let sender = settings.whatsapp_phone_number_id.as_str();
            path.extend([version, sender, "messages"]);
        }
        Ok(Self {
            client: http::client(timeout)?,
            messages,
            settings,
        })
    }
}

impl Channel for CloudApi {
    type Message = TemplateMessage;

    fn channel(&self) -> events::Channel {
        events::Channel::Whatsapp
    }

    fn providers(&self) -> &'static [&'static str] {
        &["whatsapp_cloud_api"]
    }

    fn missing_setting(&self, event_type: EventType) -> Option<&'static str> {
        let setting = match event_type {
            EventType::BookingConfirmed => "WHATSAPP_TEMPLATE_CONFIRMED",
            EventType::PaymentCompleted => "WHATSAPP_TEMPLATE_PAID",
            EventType::BookingCancelled => "WHATSAPP_TEMPLATE_CANCELLED",
        };
        let is_missing = self.settings.template(event_type).is_none();
        is_missing.then_some(setting)
    }

    fn recipient_quota(&self) -> Option<RecipientQuota> {
        Some(PAIR_LIMIT)
    }

    fn recipient<'m>(&self, message: &'m TemplateMessage) -> &'m str {
        &message.to
    }

    fn render(&self, event: &BookingEvent) -> Result<TemplateMessage, Undeliverable> {
        template::fill(&self.settings, event)
    }

    async fn send(
        &self,
        message: &TemplateMessage,
        delivery: &Delivery,
    ) -> Result<Receipt, SendError> {
        let Delivery {
            event_id,
            topic,
            attempt,
            ..
        } = delivery;
        let body = Tracked {
            message,
            biz_opaque_callback_data: format!("{event_id}|{topic}"),
        };
        let request = self
            .client
            .post(self.messages.clone())
            .bearer_auth(self.settings.whatsapp_token.expose_secret())
            .json(&body);
        read(&API.ask(request).await?, *attempt)
    }
}

fn read(answer: &HttpAnswer, attempt: u32) -> Result<Receipt, SendError> {
    let refused = serde_json::from_slice::<Refused>(&answer.body).ok();
    // Errors have come with status 200 before: the body is asked first.
    if !answer.status.is_success() || refused.is_some() {
        let refusal = answer.refusal(refused.as_ref().map(|refused| refused.error.code));
        let detail = refused.as_ref().map(|refused| refused.error.detail());
        let class = classify(&refusal, detail.unwrap_or_default(), attempt);
        return Err(API.refused(&refusal, class));
    }
    let accepted = serde_json::from_slice::<Accepted>(&answer.body).ok();
    let message = accepted.and_then(|accepted| accepted.messages.into_iter().next());
    let message = message.ok_or_else(|| API.nameless(answer))?;
    Ok(Receipt {
        provider_message_id: without_recipient(&message.id),
    })
}

/// The end of Meta's id, which tells messages apart: its beginning is the recipient's number in base64, and the id is logged and published.
fn without_recipient(id: &str) -> String {
    // Fewer characters than a number takes in base64, or too few to hide anything.
    const HARMLESS: usize = 16;
    // At least 15 of the 18 or more random characters, which are hexadecimal: 60 bits.
    const END: usize = 24;
    let length = id.chars().count();
    if length <= HARMLESS {
        return id.to_owned();
    }
    let end = length - END.min(length / 2);
    let end: String = id.chars().skip(end).collect();
    format!("wamid.…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_what_tells_it_apart_and_loses_whom_it_was_for() {
        // 919876543210 and 5F425A74F13033492A.
        let id = "wamid.HBgMOTE5ODc2NTQzMjEwFQIAERgSNUY0MjVBNzRGMTMwMzM0OTJBAA==";
        assert_eq!(without_recipient(id), "wamid.…MjVBNzRGMTMwMzM0OTJBAA==");
        assert_eq!(without_recipient("wamid.X"), "wamid.X");
        for length in 0..80 {
            let kept = without_recipient(&"é".repeat(length));
            let kept = kept.matches('é').count();
            assert!(length <= 16 || kept <= length / 2, "{kept} of {length}");
        }
    }
}

//! Twilio Programmable Messaging: `/2010-04-01/Accounts/{account}/Messages.json`.

mod classify;

use std::time::Duration;

use chassis::{Failure, http};
use delivery::{Delivery, FailureClass, HttpAnswer, HttpApi, LookedUp, Receipt, Scope, SendError};
use reqwest::{Client, RequestBuilder};
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;

use self::classify::classify;
use crate::channel::Sms;
use crate::settings::{Sender, TwilioSettings};

const API: HttpApi = HttpApi {
    name: "Twilio",
    codes: "https://www.twilio.com/docs/api/errors",
};

/// Twilio's largest page. More messages to one number since one event are not ours to read through.
const PAGE_SIZE: &str = "1000";

/// An account at Twilio.
pub(crate) struct Twilio {
    client: Client,
    messages: Url,
    settings: TwilioSettings,
}

#[derive(Deserialize)]
struct Accepted {
    sid: String,
}

#[derive(Deserialize)]
struct Refused {
    code: u32,
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<Listed>,
    next_page_uri: Option<String>,
}

/// What Twilio puts before each message of a trial account.
const TRIAL: &str = "Sent from your Twilio trial account - ";

#[derive(Deserialize)]
struct Listed {
    sid: String,
    to: Option<String>,
    body: Option<String>,
}

impl Listed {
    /// As they were sent.
    fn words(&self) -> Option<&str> {
        let body = self.body.as_deref().filter(|body| !body.is_empty())?;
        Some(body.strip_prefix(TRIAL).unwrap_or(body))
    }
}

impl Twilio {
    pub(crate) const NAME: &str = "twilio";

    pub(crate) fn new(settings: TwilioSettings, timeout: Duration) -> Result<Self, Failure> {
        let mut messages = settings.base_url.clone();
        if let Ok(mut path) = messages.path_segments_mut() {
            let account = settings.account.as_str();
            path.extend(["2010-04-01", "Accounts", account, "Messages.json"]);
        }
        Ok(Self {
            client: http::client(timeout)?,
            messages,
            settings,
        })
    }

    pub(crate) async fn send(&self, sms: &Sms, delivery: &Delivery) -> Result<Receipt, SendError> {
        let sender = match &self.settings.sender {
            Sender::Number(sender) | Sender::Header(sender) => ("From", sender.as_str()),
            Sender::MessagingService(sid) => ("MessagingServiceSid", sid.as_str()),
        };
        let form = [("To", sms.to.e164()), sender, ("Body", sms.text.as_str())];
        let request = self.client.post(self.messages.clone());
        let request = sms.traced(request, delivery).form(&form);
        let answer = self.ask(request).await?;
        match serde_json::from_slice::<Accepted>(&answer.body) {
            Ok(accepted) => Ok(Receipt {
                provider_message_id: accepted.sid,
            }),
            Err(_) => Err(API.nameless(&answer)),
        }
    }

    /// Whether a message with these words is in the list of what this number was sent since the event.
    ///
    /// The words name the PNR and what happened, so they are this event's alone.
    /// What Twilio took counts, whatever became of it: that is told by status callbacks, and not by sending again.
    pub(crate) async fn look_up(&self, sms: &Sms) -> Result<LookedUp, SendError> {
        let mut list = self.messages.clone();
        list.query_pairs_mut()
            .append_pair("To", sms.to.e164())
            .append_pair("DateSent>", &sms.since.to_string())
            .append_pair("PageSize", PAGE_SIZE);
        let request = self.client.get(list);
        let answer = self.ask(request).await.map_err(harmless)?;
        let page = serde_json::from_slice::<Page>(&answer.body);
        let page = page.map_err(|_unread| harmless(API.nameless(&answer)))?;
        let to_number = |listed: &&Listed| listed.to.as_deref() == Some(sms.to.e164());
        let mut listed = page.messages.iter().filter(to_number);
        let ours = |listed: &&Listed| listed.words() == Some(sms.text.as_str());
        // An account may have the words of what it sent redacted.
        let is_redacted = |listed: &Listed| listed.words().is_none();
        Ok(match listed.clone().find(ours) {
            Some(listed) => LookedUp::Taken(Receipt {
                provider_message_id: listed.sid.clone(),
            }),
            None if page.next_page_uri.is_some() || listed.any(is_redacted) => LookedUp::Unknown,
            None => LookedUp::NotTaken,
        })
    }

    async fn ask(&self, request: RequestBuilder) -> Result<HttpAnswer, SendError> {
        let token = self.settings.token.expose_secret();
        let request = request.basic_auth(&self.settings.account, Some(token));
        let answer = API.ask(request).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let refused = serde_json::from_slice::<Refused>(&answer.body).ok();
        let refusal = answer.refusal(refused.map(|refused| refused.code));
        Err(API.refused(&refusal, classify(&refusal)))
    }
}

/// A question that got no answer changed nothing: it can be asked again.
fn harmless(error: SendError) -> SendError {
    let class = match error.class {
        FailureClass::Ambiguous | FailureClass::Permanent => {
            FailureClass::Transient(Scope::Account)
        }
        class @ (FailureClass::Transient(_)
        | FailureClass::RateLimited { .. }
        | FailureClass::Misconfigured(_)) => class,
    };
    SendError { class, ..error }
}

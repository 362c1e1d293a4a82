//! A sandbox in this process, and the clients that talk to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chassis::{Failure, Shutdown, SystemClock};
use lettre::message::{Message, MessageBuilder, MultiPart};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use sandbox::{Accepted, Faults, Filter, Ledger, Sandbox, SandboxSettings};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const SMS_TOKEN: &str = "sms-token";
pub(crate) const AUTHKEY: &str = "msg91-authkey";
pub(crate) const FLOW: &str = "64f0c2a1d6fc051b2c3d4e5f";
pub(crate) const DLT_TEMPLATE: &str = "1107160000000012345";
pub(crate) const SENDER: &str = "106540352242922";
pub(crate) const WHATSAPP_TOKEN: &str = "whatsapp-token";

pub(crate) type Mailer = AsyncSmtpTransport<Tokio1Executor>;

/// A sandbox that serves until it is stopped.
pub(crate) struct Running {
    pub(crate) ledger: Ledger,
    pub(crate) faults: Faults,
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) smtp_port: u16,
    shutdown: Shutdown,
    serving: JoinHandle<Result<(), Failure>>,
}

fn settings(data_dir: Option<&Path>) -> SandboxSettings {
    SandboxSettings {
        smtp_addr: "127.0.0.1:0".parse().unwrap(),
        http_addr: "127.0.0.1:0".parse().unwrap(),
        data_dir: data_dir.map(Path::to_owned),
        sms_account: ACCOUNT.into(),
        sms_token: SMS_TOKEN.into(),
        sms_failover_token: Some(AUTHKEY.into()),
        sms_template_confirmed: Some(format!("{FLOW}:{DLT_TEMPLATE}")),
        sms_template_cancelled: Some("cancelled".into()),
        sms_template_paid: None,
        whatsapp_phone_number_id: SENDER.into(),
        whatsapp_token: WHATSAPP_TOKEN.into(),
    }
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::start_in(None).await.unwrap()
    }

    pub(crate) async fn start_in(data_dir: Option<&Path>) -> Result<Self, Failure> {
        let sandbox = Sandbox::start(settings(data_dir), Arc::new(SystemClock)).await?;
        let shutdown = Shutdown::new();
        Ok(Self {
            ledger: sandbox.ledger(),
            faults: sandbox.faults(),
            http: chassis::http::client(Duration::from_secs(20)).unwrap(),
            base: format!("http://{}", sandbox.http_address()),
            smtp_port: sandbox.smtp_address().port(),
            shutdown: shutdown.clone(),
            serving: tokio::spawn(sandbox.run(shutdown)),
        })
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(5), self.serving).await;
        ended.expect("stops promptly").unwrap().unwrap();
    }

    pub(crate) fn mailer(&self) -> Mailer {
        Mailer::builder_dangerous("127.0.0.1")
            .port(self.smtp_port)
            .build()
    }

    pub(crate) async fn mail(&self, message: Message) {
        self.mailer().send(message).await.unwrap();
    }

    pub(crate) async fn sms(&self, fields: &[(&str, &str)]) -> (u16, Value) {
        let url = format!(
            "{}/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
            self.base
        );
        let request = self.http.post(url).basic_auth(ACCOUNT, Some(SMS_TOKEN));
        answer(request.header("X-Event-Id", "evt-sms").form(fields)).await
    }

    pub(crate) async fn flow(&self, body: &Value) -> (u16, Value) {
        let url = format!("{}/msg91/api/v5/flow", self.base);
        let request = self.http.post(url).header("authkey", AUTHKEY);
        answer(request.header("X-Event-Id", "evt-flow").json(body)).await
    }

    pub(crate) async fn whatsapp(&self, body: &Value) -> (u16, Value) {
        let url = format!("{}/whatsapp/v23.0/{SENDER}/messages", self.base);
        answer(self.http.post(url).bearer_auth(WHATSAPP_TOKEN).json(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.http.get(format!("{}{path}", self.base))).await
    }

    pub(crate) async fn put_faults(&self, body: &Value) -> (u16, Value) {
        answer(
            self.http
                .put(format!("{}/api/faults", self.base))
                .json(body),
        )
        .await
    }

    pub(crate) fn all(&self) -> Vec<Arc<Accepted>> {
        self.ledger.messages(&Filter::default())
    }

    pub(crate) fn only(&self) -> Arc<Accepted> {
        let all = self.all();
        assert_eq!(all.len(), 1);
        Arc::clone(&all[0])
    }
}

/// The status and the JSON of an answer; null where there is none.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

pub(crate) fn envelope() -> MessageBuilder {
    Message::builder()
        .from("Harkara Rail <noreply@rail.example>".parse().unwrap())
        .to("asha@example.com".parse().unwrap())
        .message_id(Some("<evt-mail.email@rail.example>".into()))
        .subject("Ticket confirmed 🎫 PNR 2412345678")
}

pub(crate) fn mail(text: &str, html: &str) -> Message {
    let parts = MultiPart::alternative_plain_html(text.to_owned(), html.to_owned());
    envelope().multipart(parts).unwrap()
}

pub(crate) const VALUES: [(&str, &str); 11] = [
    ("passenger", "Asha Rao"),
    ("pnr", "2412345678"),
    ("train", "12951 Mumbai Tejas Rajdhani"),
    ("from", "Mumbai Central (MMCT)"),
    ("to", "New Delhi (NDLS)"),
    ("date", "Fri, 15 Jan 2027"),
    ("departure", "17:00"),
    ("coach", "B2"),
    ("seat", "31"),
    ("class", "AC 3 Tier (3A)"),
    ("fare", "₹2,140.00"),
];

/// A request for the template with these parameters.
pub(crate) fn order(template: &str, parameters: &Value) -> Value {
    json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+919876543210", "type": "template",
        "biz_opaque_callback_data": "evt-wa|booking-confirmed",
        "template": {"name": template, "language": {"code": "en"}, "components": [{"type": "body", "parameters": parameters}]},
    })
}

pub(crate) fn confirmed() -> Value {
    let named =
        VALUES.map(|(name, text)| json!({"type": "text", "parameter_name": name, "text": text}));
    order("booking_confirmed", &json!(named))
}

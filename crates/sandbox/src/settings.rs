//! Where the sandbox listens, and the credentials it takes.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;

/// Settings of the sandbox. The credentials carry the names that the notifiers' own have, so one environment serves both sides.
#[derive(Args, Clone, Debug)]
pub struct SandboxSettings {
    /// Where the sandbox takes mail.
    #[arg(
        id = "sandbox_smtp_addr",
        long = "sandbox-smtp-addr",
        env = "SANDBOX_SMTP_ADDR",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:1025"
    )]
    pub smtp_addr: SocketAddr,
    /// Where the sandbox has its inbox page, its API, and the APIs of Twilio (`/twilio`), MSG91 (`/msg91`) and WhatsApp (`/whatsapp`).
    #[arg(
        id = "sandbox_http_addr",
        long = "sandbox-http-addr",
        env = "SANDBOX_HTTP_ADDR",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8025"
    )]
    pub http_addr: SocketAddr,
    /// Folder of the ledger. Without it the ledger is in memory only.
    #[arg(
        id = "sandbox_data_dir",
        long = "sandbox-data-dir",
        visible_alias = "data-dir",
        env = "SANDBOX_DATA_DIR",
        value_name = "FOLDER"
    )]
    pub data_dir: Option<PathBuf>,
    /// The Twilio account SID that is known: `AC` and 32 hexadecimal digits.
    #[arg(
        id = "sms_account",
        long = "sms-account",
        env = "SMS_ACCOUNT",
        value_name = "SID"
    )]
    pub sms_account: String,
    /// The auth token of that account; an authkey of MSG91 too.
    #[arg(
        id = "sms_token",
        long = "sms-token",
        env = "SMS_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub sms_token: SecretString,
    /// Another authkey of MSG91.
    #[arg(
        id = "sms_failover_token",
        long = "sms-failover-token",
        env = "SMS_FAILOVER_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub sms_failover_token: Option<SecretString>,
    /// The MSG91 flow that tells of a new booking: `id`, or `id:DLT template id`. Without it MSG91 knows none.
    #[arg(
        id = "sms_template_confirmed",
        long = "sms-template-confirmed",
        env = "SMS_TEMPLATE_CONFIRMED",
        value_name = "ID[:DLT]"
    )]
    pub sms_template_confirmed: Option<String>,
    /// The MSG91 flow that tells of a cancellation.
    #[arg(
        id = "sms_template_cancelled",
        long = "sms-template-cancelled",
        env = "SMS_TEMPLATE_CANCELLED",
        value_name = "ID[:DLT]"
    )]
    pub sms_template_cancelled: Option<String>,
    /// The MSG91 flow that tells of a payment.
    #[arg(
        id = "sms_template_paid",
        long = "sms-template-paid",
        env = "SMS_TEMPLATE_PAID",
        value_name = "ID[:DLT]"
    )]
    pub sms_template_paid: Option<String>,
    /// The id of the WhatsApp sender number that is known.
    #[arg(
        id = "whatsapp_phone_number_id",
        long = "whatsapp-phone-number-id",
        env = "WHATSAPP_PHONE_NUMBER_ID",
        value_name = "ID"
    )]
    pub whatsapp_phone_number_id: String,
    /// The access token that may send from it.
    #[arg(
        id = "whatsapp_token",
        long = "whatsapp-token",
        env = "WHATSAPP_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub whatsapp_token: SecretString,
}

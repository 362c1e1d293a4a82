//! The providers: whether they answer. Nothing is sent.

use std::error::Error;

use chassis::Failure;
use chrono::{DateTime, Utc};
use email_notifier::EmailSettings;
use reqwest::header::{DATE, HeaderMap};
use url::{Host, Url};

use crate::doctor::finding::Report;
use crate::doctor::{PATIENCE, clock};

/// What the sandbox's mail server calls itself.
const SANDBOX_MAIL: &str = "sandbox.invalid";

pub(super) async fn mail(settings: &EmailSettings, report: &mut Report) {
    let entry = report.of("provider", format!("smtp {}", settings.smtp_url.server()));
    match email_notifier::greet(settings, PATIENCE).await {
        Ok(name) if name == SANDBOX_MAIL => entry.ok("the sandbox greets"),
        Ok(name) => entry.ok(format!("{name} greets")),
        Err(error) => {
            let status = error.status.map(|status| format!(" {status}"));
            let found = format!("{}{}", error.problem, status.unwrap_or_default());
            entry.wrong(found, "mend SMTP_URL or the relay; mails wait meanwhile");
        }
    }
}

/// Asks for the address alone: whatever the status, it answers.
pub(super) async fn http(
    url: &Url,
    variable: &'static str,
    report: &mut Report,
) -> Result<(), Failure> {
    let client = chassis::http::client(PATIENCE)?;
    let answer = client.get(url.clone()).send().await;
    let entry = report.of("provider", url.as_str());
    match answer {
        Ok(answer) => {
            let status = answer.status().as_u16();
            let who = if is_sandbox(url) { "the sandbox " } else { "" };
            entry.ok(format!("{who}answers, HTTP {status}"));
            if let Some(told) = date(answer.headers()) {
                clock::compare(url.host_str().unwrap_or_default(), told, report);
            }
        }
        Err(error) => {
            let found = if error.is_timeout() {
                format!("no answer within {PATIENCE:?}")
            } else {
                innermost(&error)
            };
            let mend = format!("mend {variable} or the way there; messages wait meanwhile");
            entry.wrong(found, mend);
        }
    }
    Ok(())
}

/// The cause at the end of the chain, which says most.
fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn is_sandbox(url: &Url) -> bool {
    let here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    here && ["/twilio", "/msg91", "/whatsapp"].contains(&url.path())
}

/// RFC 9110 §6.6.1, in whole seconds.
fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    Some(date.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_header_is_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        let text = "Tue, 15 Nov 1994 08:12:31 GMT";
        headers.insert(DATE, text.parse().unwrap());
        assert_eq!(date(&headers).unwrap().timestamp(), 784_887_151);
    }

    #[test]
    fn only_an_address_of_this_machine_is_the_sandbox_s() {
        let is = |text: &str| is_sandbox(&text.parse().unwrap());
        assert!(is("http://127.0.0.1:8025/twilio"));
        assert!(is("http://localhost:8025/whatsapp"));
        assert!(!is("http://127.0.0.1:8025/other"));
        assert!(!is("https://api.example.com/twilio"));
    }
}

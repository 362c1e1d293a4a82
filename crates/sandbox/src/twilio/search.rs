//! The query of a list of messages, and the page that answers it.

use std::sync::Arc;

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::message::{Stage, resource};
use crate::accepted::Accepted;

/// Twilio lists 50 a page unless told, and never more than 1,000 (REST API, "Paging").
const PAGE_SIZE: usize = 50;

/// The query as it came, and what it says.
#[derive(Debug, Default)]
pub(super) struct Search {
    query: String,
    pub(super) to: Option<String>,
    /// `DateSent>=…` and `DateSent<=…`, days in UTC.
    from: Option<NaiveDate>,
    until: Option<NaiveDate>,
    page: usize,
    page_size: usize,
}

impl Search {
    /// What cannot be read narrows nothing.
    pub(super) fn parse(query: &str) -> Self {
        let mut search = Self {
            query: query.to_owned(),
            page_size: PAGE_SIZE,
            ..Self::default()
        };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "To" => search.to = Some(value.into_owned()),
                "DateSent" => {
                    search.from = value.parse().ok();
                    search.until = search.from;
                }
                "DateSent>" => search.from = value.parse().ok(),
                "DateSent<" => search.until = value.parse().ok(),
                "Page" => search.page = value.parse().unwrap_or_default(),
                "PageSize" => {
                    search.page_size = value.parse().unwrap_or(PAGE_SIZE).clamp(1, 1000);
                }
                _ => {}
            }
        }
        search
    }

    /// A page of these messages.
    pub(super) fn page(&self, messages: &[Arc<Accepted>], account: &str) -> Value {
        let sent = messages.iter().filter(|message| self.takes(message));
        let mut rest = sent.skip(self.page * self.page_size);
        let page: Vec<_> = rest
            .by_ref()
            .take(self.page_size)
            .map(|message| resource(message, account, Stage::Delivered))
            .collect();
        let next = rest.next().map(|_more| self.next_page_uri(account));
        json!({
            "messages": page,
            "page": self.page,
            "page_size": self.page_size,
            "next_page_uri": next,
        })
    }

    fn takes(&self, message: &Accepted) -> bool {
        let day = message.accepted_at.date_naive();
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day <= until)
    }

    fn next_page_uri(&self, account: &str) -> String {
        let pairs = url::form_urlencoded::parse(self.query.as_bytes());
        let others = pairs.filter(|(name, _)| name != "Page");
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(others)
            .append_pair("Page", &(self.page + 1).to_string())
            .finish();
        format!("/2010-04-01/Accounts/{account}/Messages.json?{query}")
    }
}

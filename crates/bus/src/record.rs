//! Records as the rest of the workspace sees them: owned, with headers in their order.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::Message;
use rdkafka::message::{self, BorrowedMessage, Headers, OwnedHeaders};

/// Name and value of a header; a producer may leave the value out.
pub type Header = (String, Option<Vec<u8>>);

/// A record as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Milliseconds since 1970, where the broker has a time for it.
    pub timestamp_millis: Option<i64>,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers in their order; a name may repeat.
    pub headers: Vec<Header>,
    /// Whether the headers could not be read: a name among them is not UTF-8. Then there are none here.
    pub damaged: bool,
}

impl Record {
    /// Detaches a record from librdkafka's batch, which it would otherwise pin in memory.
    pub(crate) fn detach(message: &BorrowedMessage<'_>) -> Self {
        // The client panics on a header name that is not UTF-8, which any producer may write.
        let headers = catch_unwind(AssertUnwindSafe(|| copied_headers(message)));
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_millis: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            damaged: headers.is_err(),
            headers: headers.unwrap_or_default(),
        }
    }

    /// The same for writing, to the topic and partition that it has.
    pub fn as_new(&self) -> NewRecord<'_> {
        NewRecord {
            topic: &self.topic,
            partition: Some(self.partition),
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
        }
    }

    /// Headers that have values, as pairs of name and bytes.
    pub fn header_pairs(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let headers = self.headers.iter();
        headers.filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)))
    }

    /// The last header of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().rev().find(|(known, _)| known == name);
        found.and_then(|(_, value)| std::str::from_utf8(value.as_deref()?).ok())
    }
}

fn copied_headers(message: &BorrowedMessage<'_>) -> Vec<Header> {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    headers
        .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
        .collect()
}

/// A record to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition; by the key's murmur2 hash if there is none.
    pub partition: Option<i32>,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub value: Option<&'a [u8]>,
    /// Headers.
    pub headers: &'a [Header],
}

impl NewRecord<'_> {
    /// The same, for the partition of its key.
    pub(crate) fn by_key(self) -> Self {
        Self {
            partition: None,
            ..self
        }
    }

    pub(crate) fn owned_headers(&self) -> OwnedHeaders {
        let empty = OwnedHeaders::new_with_capacity(self.headers.len());
        self.headers.iter().fold(empty, |headers, (key, value)| {
            headers.insert(message::Header {
                key,
                value: value.as_deref(),
            })
        })
    }
}

//! Reading what tests and programs wrote.

use std::time::Duration;

use anyhow::{Context, Result};
use bus::{Consumer, KafkaSettings, Position, Record, Subscription};

/// How long a record is looked for.
pub(crate) const FIND_LIMIT: Duration = Duration::from_mins(1);

/// What topics hold, as far as it was read.
#[derive(Debug)]
pub struct Reader {
    consumer: Consumer,
    read: Vec<Record>,
}

impl Reader {
    /// Begins to read as a member of `group`.
    pub(crate) fn start(
        settings: &KafkaSettings,
        group: String,
        topics: Vec<String>,
    ) -> Result<Self> {
        let subscription = Subscription {
            client_id: "testkit".to_owned(),
            group,
            topics,
        };
        Ok(Self {
            consumer: Consumer::start(settings, subscription)?,
            read: Vec::new(),
        })
    }

    /// What was read.
    pub(crate) fn into_read(self) -> Vec<Record> {
        self.read
    }

    /// Reads until every partition is read as far as it went.
    pub(crate) async fn reach(&mut self, mut positions: Vec<Position>) -> Result<()> {
        positions.retain(|position| position.committed.unwrap_or(position.start) < position.end);
        while !positions.is_empty() {
            let batch = self.consumer.next().await?;
            positions.retain(|position| !batch.iter().any(|record| is_last(record, position)));
            self.read.extend(batch);
        }
        Ok(())
    }

    /// A record of this topic and key, read on for as long as there is none.
    ///
    /// # Errors
    /// If there is none within a minute.
    pub async fn find(&mut self, topic: &str, key: &str) -> Result<Record> {
        self.find_where(topic, key, |_| true).await
    }

    /// The same, of those that `fits`.
    ///
    /// # Errors
    /// If there is none within a minute.
    pub async fn find_where(
        &mut self,
        topic: &str,
        key: &str,
        fits: impl Fn(&Record) -> bool + Send + Sync,
    ) -> Result<Record> {
        let wanted = |record: &Record| {
            let keyed = record.key.as_deref() == Some(key.as_bytes());
            record.topic == topic && keyed && fits(record)
        };
        let found = tokio::time::timeout(FIND_LIMIT, self.search(wanted)).await;
        found.with_context(|| format!("no such record on {topic}"))?
    }

    async fn search(&mut self, wanted: impl Fn(&Record) -> bool + Send + Sync) -> Result<Record> {
        loop {
            let known = self.read.iter().find(|record| wanted(record));
            if let Some(found) = known {
                return Ok(found.clone());
            }
            self.read.extend(self.consumer.next().await?);
        }
    }
}

fn is_last(record: &Record, position: &Position) -> bool {
    record.topic == position.topic
        && record.partition == position.partition
        && record.offset + 1 >= position.end
}

//! What the judge looks at, gathered from databases, topics and the ledger.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use bus::{Position, Record, Topics};
use database::Database;
use events::{BookingEvent, Channel, EventType, NOTIFICATION_STATUS, dead_letter_header};
use sandbox::{Filter, Ledger};

use crate::checker::{
    BookedEvent, Committed, DeadRecord, Place, Row, RowState, SourceRecord, Told,
};
use crate::{TestBroker, TestDatabase};

/// Events of the booking database.
pub(crate) async fn events(database: &TestDatabase) -> Result<Vec<BookedEvent>> {
    let sql = "select event_id, record_key, event_type, version from outbox order by seq";
    let database = open(database).await?;
    let rows: Result<Vec<(String, String, String, i64)>, _> =
        sqlx::query_as(sql).fetch_all(&database).await;
    database.close().await;
    let rows = rows.context("could not read the outbox")?;
    let event = |(event_id, pnr, event_type, version): (String, String, String, i64)| {
        Ok(BookedEvent {
            event_id,
            pnr,
            event_type: event_type.parse()?,
            version,
        })
    };
    rows.into_iter().map(event).collect()
}

/// Rows of a notifier's inbox.
pub(crate) async fn rows(database: &TestDatabase, channel: Channel) -> Result<Vec<Row>> {
    let sql = "select event_id, state, topic, kafka_partition, kafka_offset from inbox";
    let database = open(database).await?;
    let rows = sqlx::query_as(sql).fetch_all(&database).await;
    database.close().await;
    let rows = rows.with_context(|| format!("could not read the inbox of {channel}"))?;
    let row = |(event_id, state, topic, partition, offset): (String, String, _, _, _)| {
        Ok(Row {
            channel,
            event_id,
            state: state_of(&state)?,
            place: Place {
                topic,
                partition,
                offset,
            },
        })
    };
    rows.into_iter().map(row).collect()
}

async fn open(database: &TestDatabase) -> Result<Database> {
    let opened = Database::open(&database.settings(), 1, &[]).await;
    opened.map_err(|failure| anyhow::anyhow!("{}", failure.line()))
}

fn state_of(word: &str) -> Result<RowState> {
    match word {
        "PENDING" | "CLAIMED" => Ok(RowState::Open),
        "SENT" => Ok(RowState::Sent),
        "DEAD" => Ok(RowState::Dead),
        "SUPPRESSED" => Ok(RowState::Suppressed),
        "EXPIRED" => Ok(RowState::Expired),
        other => anyhow::bail!("a row is {other}"),
    }
}

/// What the providers accepted, oldest first.
pub(crate) fn told(ledger: &Ledger) -> Vec<Told> {
    let messages = ledger.messages(&Filter::default());
    let told = messages.iter().rev().filter_map(|message| {
        Some(Told {
            channel: message.channel,
            event_id: message.event_id.as_ref()?.to_string(),
            pnr: message.pnr.clone().map(String::from).unwrap_or_default(),
        })
    });
    told.collect()
}

/// How far a notifier's group is on the topics its channel tells.
pub(crate) async fn committed(
    broker: &TestBroker,
    channel: Channel,
    group: &str,
) -> Result<Vec<Committed>> {
    let read = channel
        .events()
        .iter()
        .map(|event| event.topic().to_owned());
    let topics = Topics::new(broker.settings(), "testkit")?;
    let positions = topics.positions(group, read.collect()).await;
    let positions = positions.with_context(|| format!("could not ask where {group} is"))?;
    let one = |position: Position| Committed {
        channel,
        topic: position.topic,
        partition: position.partition,
        next: position.committed.unwrap_or(position.start),
    };
    Ok(positions.into_iter().map(one).collect())
}

/// The dead letters that there should be, of rows that say so.
pub(crate) fn trusted(rows: &[Row]) -> Vec<DeadRecord> {
    let dead = rows.iter().filter(|row| row.state == RowState::Dead);
    let letter = |row: &Row| DeadRecord {
        channel: row.channel,
        source: row.place.clone(),
        event_id: row.event_id.clone(),
    };
    dead.map(letter).collect()
}

/// Every topic that the judge reads.
pub(crate) fn read_topics() -> Vec<String> {
    let sources = EventType::ALL.map(|event| event.topic().to_owned());
    let dead = dead_letter_topics();
    sources.into_iter().chain(dead.into_keys()).collect()
}

/// Every topic that a program reads.
pub(crate) fn consumed_topics() -> Vec<String> {
    let sources = EventType::ALL.map(|event| event.topic().to_owned());
    let replays = Channel::ALL.into_iter().flat_map(|channel| {
        let events = channel.events().iter();
        events.map(move |event| channel.replay_topic(event.topic()))
    });
    let statuses = std::iter::once(NOTIFICATION_STATUS.to_owned());
    sources.into_iter().chain(replays).chain(statuses).collect()
}

fn dead_letter_topics() -> BTreeMap<String, Channel> {
    let told = Channel::ALL.into_iter().flat_map(|channel| {
        let events = channel.events().iter();
        events.map(move |event| (channel.dead_letter_topic(event.topic()), channel))
    });
    told.collect()
}

/// Sorts what the judge read.
pub(crate) fn sort(records: &[Record]) -> Result<(Vec<SourceRecord>, Vec<DeadRecord>)> {
    let channels = dead_letter_topics();
    let (mut sources, mut dead) = (Vec::new(), Vec::new());
    for record in records {
        match channels.get(&record.topic) {
            Some(channel) => dead.push(dead_record(record, *channel)?),
            None => sources.push(source_record(record)),
        }
    }
    Ok((sources, dead))
}

fn source_record(record: &Record) -> SourceRecord {
    let value = record.value.as_deref().unwrap_or_default();
    let event = BookingEvent::decode(value).ok();
    SourceRecord {
        place: Place {
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
        },
        event_id: event.map(|event| event.event_id.to_string()),
    }
}

fn dead_record(record: &Record, channel: Channel) -> Result<DeadRecord> {
    let header = |name: &str| {
        let value = record.header(name);
        value.with_context(|| format!("a dead letter without {name}"))
    };
    Ok(DeadRecord {
        channel,
        source: Place {
            topic: header(dead_letter_header::SOURCE_TOPIC)?.to_owned(),
            partition: header(dead_letter_header::SOURCE_PARTITION)?.parse()?,
            offset: header(dead_letter_header::SOURCE_OFFSET)?.parse()?,
        },
        event_id: header(dead_letter_header::EVENT_ID)?.to_owned(),
    })
}

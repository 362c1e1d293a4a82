//! Providers that are away, limit, or take messages without a word.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chassis::{Clock as _, SystemClock};
use chrono::{DateTime, Utc};
use events::{Channel, EventType};
use sandbox::{Effect, Filter, Provider, Rule, SmtpStage};
use testkit::{System, eventually, eventually_within, full_length};

use crate::client::{book, metric, request, told, warm_up};
use crate::sessions::session;
use crate::under_load::{Ended, UnderLoad};

const PHONE: &str = "9876543210";

const NOTIFIERS: [(Channel, &str); 3] = [
    (Channel::Email, "email-notifier"),
    (Channel::Sms, "sms-notifier"),
    (Channel::Whatsapp, "whatsapp-notifier"),
];

/// The provider's timeout where one does not answer at all.
const SHORT: &str = "2s";

/// Where each answers: a busy machine is to make no doubt.
const LONG: &str = "1min";

/// Waits and breaks short enough for a test of seconds.
async fn system(timeout: &str) -> System {
    let settings = [
        ("RETRY_CAP", "2s"),
        ("PROVIDER_TIMEOUT", timeout),
        ("BREAKER_OPEN", "1s"),
    ];
    let builder = settings
        .into_iter()
        .fold(System::builder(), |builder, (name, value)| {
            builder.with(name, value)
        });
    builder.start().await.unwrap()
}

/// The same trouble on each channel, in its own words.
pub(crate) fn everywhere(http: u16, code: u32, reply: &str) -> Vec<Rule> {
    let status = Effect::Status {
        status: http,
        code,
        retry_after_seconds: None,
    };
    let smtp = Effect::SmtpCode {
        reply: reply.to_owned(),
        stage: SmtpStage::Rcpt,
    };
    vec![
        Rule::new(Channel::Email, smtp),
        Rule::new(Channel::Sms, status.clone()),
        Rule::new(Channel::Whatsapp, status),
    ]
}

fn hits(system: &System) -> Vec<u64> {
    let rules = system.faults().rules();
    rules.iter().map(|rule| rule.hits).collect()
}

fn seconds(short: u64, full: u64) -> Duration {
    Duration::from_secs(if full_length() { full } else { short })
}

/// A run under these rules, which end after `span` and once each was met.
async fn under(timeout: &str, rules: Vec<Rule>, span: Duration, what: &str) -> Ended {
    let run = UnderLoad::start(system(timeout).await, 20).await;
    run.go_on(Duration::from_secs(1)).await;
    run.system.faults().replace(rules).unwrap();
    run.go_on(span).await;
    let met = async || {
        let hits = hits(&run.system);
        hits.iter().all(|hits| *hits > 0).then_some(())
    };
    eventually("hit of every rule", met).await;
    run.system.faults().replace(Vec::new()).unwrap();
    let ended = run.finish(what).await;
    let verdict = &ended.verdict;
    assert!(verdict.gave_up_nothing(), "{what}: {verdict}");
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_every_provider_dead_letters_nothing_and_is_probed_not_stormed() {
    // In ten minutes of the default settings: after 5, 10, 20 and 40 s, then each minute.
    let (system, settle, span, probes) = if full_length() {
        (System::builder().start().await.unwrap(), 10, 590, 9..=13)
    } else {
        // Longer than eight attempts with waits of at most two seconds last; and the probe after 15 s may be late.
        (system(LONG).await, 14, 9, 1..=10)
    };
    let run = UnderLoad::start(system, 20).await;
    let outage = everywhere(503, 20500, "451 4.3.0 not now");
    run.system.faults().replace(outage).unwrap();
    run.go_on(Duration::from_secs(settle)).await;
    let before = hits(&run.system);
    run.go_on(Duration::from_secs(span)).await;
    let after = hits(&run.system);
    for (before, after) in before.iter().zip(&after) {
        let asked = after - before;
        println!("{asked} probes in {span} s");
        assert!(probes.contains(&asked), "{asked} probes in {span} s");
    }
    for (_, name) in NOTIFIERS {
        let open = metric(&run.system, name, "notifier_breaker_state").await;
        assert!(open > 0, "{name} does not know of the outage");
    }
    let calm = run.calm().await;
    all_in_hand(&calm.system).await;
    let back = SystemClock.now();
    calm.system.faults().replace(Vec::new()).unwrap();
    let ended = calm.judge("an outage of every provider").await;
    let verdict = &ended.verdict;
    assert!(verdict.is_clean(), "{verdict}");
    assert!(verdict.gave_up_nothing(), "{verdict}");
    assert_newest_only(&ended.system, back);
}

/// Waits until every notifier has what was booked for it in its inbox.
async fn all_in_hand(system: &System) {
    let database = session(system, "booking-api").await;
    let kinds = sqlx::query_scalar("select event_type from outbox");
    let kinds: Vec<String> = kinds.fetch_all(&database).await.unwrap();
    for (channel, name) in NOTIFIERS {
        let is_due = |kind: &&String| channel.events().contains(&kind.parse().unwrap());
        let due = i64::try_from(kinds.iter().filter(is_due).count()).unwrap();
        let database = session(system, name).await;
        let in_hand = async || {
            let rows = sqlx::query_scalar("select count(*) from inbox");
            let rows: i64 = rows.fetch_one(&database).await.unwrap();
            (rows >= due).then_some(())
        };
        eventually(&format!("{due} rows of {name}"), in_hand).await;
    }
}

/// What was told after the return: of no PNR both that it is confirmed and that it is cancelled.
fn assert_newest_only(system: &System, back: DateTime<Utc>) {
    let messages = system.ledger().messages(&Filter::default());
    let late = messages.iter().filter(|one| one.accepted_at >= back);
    let mut told = BTreeMap::<_, BTreeSet<_>>::new();
    for one in late.clone() {
        let of = told.entry((one.provider.channel().as_str(), one.pnr.clone()));
        of.or_default().insert(one.event_type);
    }
    let both = [EventType::BookingConfirmed, EventType::BookingCancelled].map(Some);
    let both = BTreeSet::from(both);
    let twice: Vec<_> = told
        .iter()
        .filter(|(_, told)| both.is_subset(told))
        .collect();
    assert!(twice.is_empty(), "told what was no longer true: {twice:?}");
    let last = late.map(|one| one.accepted_at - back).max().unwrap();
    println!(
        "{} PNRs were told after the return, the last one {last} later",
        told.len()
    );
}

/// Nobody else's failures open the circuit for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_alone_in_an_outage_is_sent_afterwards() {
    let system = System::builder()
        .with("RETRY_BASE", "50ms")
        .with("BREAKER_OPEN", "100ms")
        .start()
        .await
        .unwrap();
    warm_up(&system).await;
    let outage = everywhere(503, 20500, "451 4.3.0 not now");
    system.faults().replace(outage).unwrap();
    let pnr = book(&system, &request("user@example.com", "9876543210")).await;
    // More than eight attempts.
    let asked = async || hits(&system).iter().all(|hits| *hits > 10).then_some(());
    eventually("more calls than a message has attempts", asked).await;
    system.faults().replace(Vec::new()).unwrap();
    for channel in Channel::ALL {
        told(&system, channel, &pnr, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_that_hang_dead_letter_nothing() {
    let hang = |channel| Rule::new(channel, Effect::Hang { seconds: 60 });
    let rules = Channel::ALL.map(hang).to_vec();
    let ended = under(SHORT, rules, seconds(6, 60), "providers that hang").await;
    let verdict = &ended.verdict;
    assert!(verdict.is_clean_but_for_copies(), "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifth_of_errors_and_slow_answers_dead_letter_nothing() {
    let mut rules = Vec::new();
    for mut rule in everywhere(503, 20500, "451 4.3.0 not now") {
        rules.push(Rule::new(rule.channel, Effect::Delay { ms: 10 }));
        rules.push(Rule::new(rule.channel, Effect::Delay { ms: 490 }).rate(0.2));
        rule.rate = 0.2;
        rules.push(rule);
    }
    let ended = under(LONG, rules, seconds(8, 60), "a fifth of errors").await;
    assert!(ended.verdict.is_clean(), "{}", ended.verdict);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_are_refused_for_a_while_dead_letter_nothing() {
    let rules = everywhere(401, 190, "535 5.7.8 authentication failed");
    // Recipients are not asked about the account; a mail's refusal is told at the end of the message.
    let rules = rules
        .into_iter()
        .filter(|rule| rule.channel != Channel::Email);
    let ended = under(LONG, rules.collect(), seconds(6, 300), "refused accounts").await;
    assert!(ended.verdict.is_clean(), "{}", ended.verdict);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_taken_without_a_word_are_told_once_or_counted() {
    let silent = |channel| Rule::new(channel, Effect::AcceptThenDrop).times(3);
    let rules = Channel::ALL.map(silent).to_vec();
    let ended = under(SHORT, rules, seconds(3, 3), "taken without a word").await;
    let verdict = &ended.verdict;
    assert!(verdict.is_clean_but_for_copies(), "{verdict}");
    for (channel, name) in NOTIFIERS {
        let copies = verdict.extra.iter().filter(|(of, _)| *of == channel);
        let counted = metric(&ended.system, name, "notifier_maybe_duplicates_total").await;
        let copies = copies.count();
        assert!(
            copies <= counted,
            "{channel}: {copies} copies, {counted} counted"
        );
    }
}

fn limited(channel: Channel, code: u32, retry_after: Duration) -> Rule {
    let status = Effect::Status {
        status: 429,
        code,
        retry_after_seconds: Some(retry_after.as_secs()),
    };
    Rule::new(channel, status).times(1)
}

/// Waits for the one hit of a rule.
async fn hit(system: &System) {
    let hit = async || (hits(system) == [1]).then_some(());
    eventually("hit", hit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_limited_is_left_alone_for_as_long_as_it_says() {
    let system = system(LONG).await;
    warm_up(&system).await;
    let retry_after = Duration::from_secs(4);
    let limited = limited(Channel::Sms, 20429, retry_after);
    system.faults().replace(vec![limited]).unwrap();
    let before = Instant::now();
    let mut pnrs = vec![book(&system, &request("user@example.com", PHONE)).await];
    hit(&system).await;
    for _ in 0..5 {
        pnrs.push(book(&system, &request("user@example.com", "9876543211")).await);
    }
    let first = async || {
        let told = |pnr: &&String| !system.told(Channel::Sms, pnr).is_empty();
        pnrs.iter().find(told)
    };
    eventually("first text", first).await;
    let left_alone = before.elapsed();
    assert!(left_alone >= retry_after, "only {left_alone:?}");
    for channel in Channel::ALL {
        for pnr in &pnrs {
            told(&system, channel, pnr, 1).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_is_limited_holds_nobody_else_up() {
    let system = system(LONG).await;
    warm_up(&system).await;
    // Longer than a busy machine needs to book and tell another.
    let retry_after = Duration::from_secs(30);
    // Meta Cloud API, error 131056: too many messages to this one recipient.
    let pair = limited(Channel::Whatsapp, 131_056, retry_after).recipient(PHONE);
    system.faults().replace(vec![pair]).unwrap();
    let slow = book(&system, &request("user@example.com", PHONE)).await;
    hit(&system).await;
    let quick = book(&system, &request("user@example.com", "9876543211")).await;
    told(&system, Channel::Whatsapp, &quick, 1).await;
    let early = system.told(Channel::Whatsapp, &slow).len();
    assert_eq!(early, 0, "the limited one went first");
    told(&system, Channel::Whatsapp, &slow, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_hangs_holds_the_other_channels_not_up() {
    let system = system(SHORT).await;
    let hang = Rule::new(Channel::Email, Effect::Hang { seconds: 60 });
    system.faults().replace(vec![hang]).unwrap();
    let pnrs = [(); 10].map(|()| request("user@example.com", PHONE));
    for booking in &pnrs {
        let pnr = book(&system, booking).await;
        told(&system, Channel::Sms, &pnr, 1).await;
        told(&system, Channel::Whatsapp, &pnr, 1).await;
        assert!(system.told(Channel::Email, &pnr).is_empty());
    }
    system.faults().replace(Vec::new()).unwrap();
    let all = async || {
        let filter = Filter {
            channel: Some(Channel::Email),
            ..Filter::default()
        };
        // What hung may have been taken all the same, and comes twice then.
        let mails = system.ledger().messages(&filter);
        let events: BTreeSet<_> = mails.iter().map(|mail| &mail.event_id).collect();
        (events.len() == pnrs.len()).then_some(())
    };
    eventually_within(Duration::from_mins(2), "mails", all).await;
}

/// Text messages go to the second provider while the circuit of the first is open, and back.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_first_provider_is_away_the_second_sends_and_none_is_sent_by_both() {
    let mut system = System::builder()
        .with("BREAKER_FAILURES", "2")
        .with("BREAKER_OPEN", "1s")
        .with("RETRY_BASE", "100ms")
        .with("SMS_FAILOVER", "msg91")
        .start_without_programs()
        .await
        .unwrap();
    let msg91 = system.msg91_url();
    system.set("SMS_FAILOVER_BASE_URL", msg91);
    for name in System::PROGRAMS {
        system.start_program(name).await.unwrap();
    }
    let refused = Effect::Status {
        status: 503,
        code: 20500,
        retry_after_seconds: None,
    };
    let rule = Rule::new(Channel::Sms, refused).provider(Provider::Twilio);
    let run = UnderLoad::start(system, 20).await;
    run.go_on(Duration::from_secs(1)).await;
    run.system.faults().replace(vec![rule]).unwrap();
    run.go_on(seconds(6, 60)).await;
    let second = by(&run.system, Provider::Msg91);
    assert!(second > 0, "the second provider sent nothing");
    let first = by(&run.system, Provider::Twilio);
    run.system.faults().replace(Vec::new()).unwrap();
    let used_again = async || (by(&run.system, Provider::Twilio) > first).then_some(());
    eventually("message by the first provider", used_again).await;
    run.finish_clean("an outage of the first provider").await;
}

/// Messages that a provider took.
fn by(system: &System, provider: Provider) -> usize {
    let filter = Filter {
        provider: Some(provider),
        ..Filter::default()
    };
    system.ledger().messages(&filter).len()
}

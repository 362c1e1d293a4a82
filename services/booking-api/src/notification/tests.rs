use chrono::TimeDelta;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A step so many milliseconds after the event; its offset is its place in the history.
fn step(step: Step, millis: i64, offset: i64) -> NotificationStep {
    NotificationStep {
        event_id: "e".parse().unwrap(),
        event_type: EventType::BookingConfirmed,
        channel: Channel::Sms,
        step,
        attempt: 1,
        provider: None,
        provider_message_id: None,
        reason: None,
        occurred_at: DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis),
        partition: 0,
        offset,
    }
}

/// The state after steps that occurred at these milliseconds and arrived in this order.
fn state(steps: &[(Step, i64)]) -> Step {
    let offsets = steps.iter().zip(0..);
    let steps: Vec<_> = offsets
        .map(|((word, millis), offset)| step(*word, *millis, offset))
        .collect();
    let current = current(&steps);
    assert_eq!(current.len(), 1);
    current[0].status
}

#[test]
fn an_open_step_is_replaced_by_the_one_that_occurred_later() {
    assert_eq!(
        state(&[(Step::Retrying, 1), (Step::Failed, 2)]),
        Step::Failed
    );
    assert_eq!(
        state(&[(Step::Failed, 2), (Step::Retrying, 1)]),
        Step::Failed
    );
    assert_eq!(
        state(&[(Step::Failed, 1), (Step::Retrying, 2)]),
        Step::Retrying
    );
}

#[test]
fn giving_up_follows_the_wait_of_the_same_millisecond() {
    assert_eq!(
        state(&[(Step::Failed, 1), (Step::Retrying, 1)]),
        Step::Failed
    );
}

#[test]
fn a_late_wait_or_failure_does_not_reopen_what_ended() {
    for end in [
        Step::Sent,
        Step::Delivered,
        Step::Read,
        Step::Suppressed,
        Step::Expired,
        Step::DeadLettered,
    ] {
        for late in [Step::Retrying, Step::Failed] {
            assert_eq!(state(&[(end, 5), (late, 3)]), end, "{late} after {end}");
            assert_eq!(state(&[(end, 5), (late, 7)]), end, "{late} after {end}");
        }
    }
}

#[test]
fn delivered_and_read_rank_above_sent_whatever_their_clocks_say() {
    for order in [
        [Step::Sent, Step::Delivered],
        [Step::Sent, Step::Read],
        [Step::Delivered, Step::Read],
    ] {
        let [lower, higher] = order;
        assert_eq!(state(&[(higher, 1), (lower, 2)]), higher);
        assert_eq!(state(&[(lower, 2), (higher, 1)]), higher);
    }
}

#[test]
fn a_replay_moves_a_dead_letter_forward_by_its_time() {
    use Step::{DeadLettered, Expired, Sent, Suppressed};
    assert_eq!(state(&[(DeadLettered, 1), (Sent, 9)]), Sent);
    assert_eq!(state(&[(Sent, 9), (DeadLettered, 1)]), Sent);
    for again in [Suppressed, Expired] {
        assert_eq!(state(&[(DeadLettered, 1), (again, 9)]), again);
        assert_eq!(state(&[(again, 9), (DeadLettered, 1)]), again);
    }
}

#[test]
fn a_second_dead_letter_of_a_replay_brings_its_own_reason_and_time() {
    let with_reason = |millis, reason: &str| NotificationStep {
        reason: Some(reason.to_owned()),
        ..step(Step::DeadLettered, millis, 0)
    };
    let steps = [with_reason(9, "second"), with_reason(1, "first")];
    let current = current(&steps);
    assert_eq!(current[0].reason.as_deref(), Some("second"));
    assert_eq!(current[0].updated_at, steps[0].occurred_at);
}

#[test]
fn a_receipt_keeps_provider_message_and_attempts_of_the_send() {
    let sent = NotificationStep {
        attempt: 3,
        provider: Some("twilio".to_owned()),
        provider_message_id: Some("SM1".to_owned()),
        ..step(Step::Sent, 1, 0)
    };
    let delivered = NotificationStep {
        attempt: 0,
        ..step(Step::Delivered, 2, 1)
    };
    let current = current(&[delivered, sent]);
    let [now] = current.as_slice() else {
        panic!("{current:?}")
    };
    assert_eq!((now.status, now.attempts), (Step::Delivered, 3));
    assert_eq!(now.provider.as_deref(), Some("twilio"));
    assert_eq!(now.provider_message_id.as_deref(), Some("SM1"));
}

#[test]
fn a_reason_to_wait_is_gone_when_the_message_is_sent() {
    let waited = NotificationStep {
        reason: Some("circuit open".to_owned()),
        ..step(Step::Retrying, 1, 0)
    };
    assert_eq!(current(&[waited, step(Step::Sent, 2, 1)])[0].reason, None);
}

#[test]
fn each_event_and_channel_has_a_state_of_its_own() {
    let mail = NotificationStep {
        channel: Channel::Email,
        ..step(Step::Sent, 1, 0)
    };
    let paid = NotificationStep {
        event_id: "f".parse().unwrap(),
        ..step(Step::Expired, 2, 1)
    };
    let current = current(&[step(Step::Failed, 3, 2), paid, mail]);
    let states: Vec<_> = current.iter().map(|one| one.status).collect();
    assert_eq!(states, [Step::Sent, Step::Failed, Step::Expired]);
}

prop_compose! {
    /// What a notifier writes without a replay: waits, then at most one end, then receipts of a send; times grow.
    fn replay_free_history()(
        waits in vec(1..50_i64, 0..6),
        end in prop::option::of(prop::sample::select(vec![
            vec![Step::Suppressed],
            vec![Step::Expired],
            vec![Step::Failed, Step::DeadLettered],
            vec![Step::Sent],
            vec![Step::Sent, Step::Delivered],
            vec![Step::Sent, Step::Delivered, Step::Read],
        ])),
    ) -> Vec<NotificationStep> {
        let words = waits.iter().map(|_| Step::Retrying).chain(end.into_iter().flatten());
        let gaps = waits.iter().copied().chain(std::iter::repeat(7));
        let times = gaps.scan(0, |at, gap| { *at += gap; Some(*at) });
        let numbered = words.zip(times).zip(0..);
        numbered.map(|((word, at), offset)| step(word, at, offset)).collect()
    }
}

proptest! {
    #[test]
    fn the_state_is_the_last_step_in_whatever_order_they_arrive(
        (history, arrived) in replay_free_history().prop_flat_map(|history| {
            (Just(history.clone()), Just(history).prop_shuffle())
        }),
    ) {
        let states: Vec<_> = current(&arrived).iter().map(|one| one.status).collect();
        let last: Vec<_> = history.last().map(|step| step.step).into_iter().collect();
        prop_assert_eq!(states, last);
        prop_assert_eq!(current(&arrived), current(&history));
    }

    #[test]
    fn no_steps_whatever_leave_a_state_that_depends_on_their_order(
        (history, arrived) in vec((prop::sample::select(Step::ALL), 0..4_i64, 0..3_u32), 0..8)
            .prop_map(|steps| {
                let numbered = steps.into_iter().zip(0..);
                let step = |((word, at, attempt), offset)| NotificationStep { attempt, ..step(word, at, offset) };
                numbered.map(step).collect::<Vec<_>>()
            })
            .prop_flat_map(|history| (Just(history.clone()), Just(history).prop_shuffle())),
    ) {
        prop_assert_eq!(current(&arrived), current(&history));
    }
}

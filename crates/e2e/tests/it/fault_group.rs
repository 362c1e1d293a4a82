//! Consumer groups that change, refuse, and forget.

use std::time::{Duration, Instant};

use bus::{Refusal, Request};
use testkit::{Program, System, TestBroker, full_length};

use crate::under_load::UnderLoad;

/// Stops the oldest beyond `wanted`, or starts one more.
async fn change(system: &System, members: &mut Vec<Program>, wanted: usize) {
    if members.len() > wanted {
        let leaver = members.remove(0);
        let stopped = leaver.terminate().await.unwrap();
        assert!(stopped.success(), "did not drain in time: {stopped}");
    } else {
        let joiner = system.spawn("email-notifier").unwrap();
        joiner.address().await;
        members.push(joiner);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_rebalances_loses_and_doubles_nothing() {
    let (span, rate) = if full_length() {
        (Duration::from_mins(5), 50)
    } else {
        (Duration::from_secs(12), 20)
    };
    let mut system = System::builder().start().await.unwrap();
    let mut members = vec![system.take_program("email-notifier").unwrap()];
    let run = UnderLoad::start(system, rate).await;
    let started = Instant::now();
    // Two to six members, one more or one less each second or so.
    let sizes = [2, 3, 4, 5, 6, 6, 5, 4, 3, 2];
    for (turn, size) in sizes.into_iter().cycle().enumerate() {
        if started.elapsed() > span {
            break;
        }
        change(&run.system, &mut members, size).await;
        let pause = Duration::from_millis(1000 + 500 * (turn as u64 % 4));
        run.go_on(pause).await;
    }
    run.finish_clean(&format!("{span:?} of rebalances")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_are_refused_lose_and_double_nothing() {
    let run = UnderLoad::start(System::builder().start().await.unwrap(), 30).await;
    let Some(broker) = run.system.broker().in_process_broker() else {
        println!("not run: only the in-process broker refuses on demand");
        return;
    };
    for refusal in [
        Refusal::RebalanceInProgress,
        Refusal::IllegalGeneration,
        Refusal::UnknownMember,
        Refusal::CoordinatorLoading,
        Refusal::Disconnect,
    ] {
        broker.refuse(Request::OffsetCommit, &[refusal; 6]).unwrap();
        run.go_on(Duration::from_secs(2)).await;
    }
    let ended = run.finish_clean("commits refused in five ways").await;
    for name in System::PROGRAMS {
        let program = ended.system.program(name).unwrap();
        assert!(program.is_running().unwrap(), "{name} ended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_begins_again_tells_nobody_twice() {
    // On a broker that tests share it would begin with all that they ever wrote.
    let builder = match TestBroker::start_own().await.unwrap() {
        Some(own) => System::builder().on(own),
        None => System::builder(),
    };
    let mut system = builder.start().await.unwrap();
    let run = UnderLoad::start(system, 20).await;
    run.go_on(Duration::from_secs(3)).await;
    let before = run.finish("before the groups begin again").await;
    system = before.system;
    let notifiers = ["email-notifier", "sms-notifier", "whatsapp-notifier"];
    for name in notifiers {
        let program = system.take_program(name).unwrap();
        assert!(program.terminate().await.unwrap().success());
    }
    system.forget_offsets();
    for name in notifiers {
        system.start_program(name).await.unwrap();
    }
    let verdict = system
        .judge(&before.report.booked, Duration::from_mins(2))
        .await
        .unwrap();
    println!("the groups began again: {verdict}");
    assert!(verdict.is_clean(), "{verdict}");
}

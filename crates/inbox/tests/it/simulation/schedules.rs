//! Thousands of schedules, side by side.

use std::sync::Mutex;

use super::*;

/// Steps of a schedule before everything is let come to rest.
const STEPS: u32 = 60;

/// Databases side by side: they mostly wait for the disk.
const LANES: usize = 16;

async fn run(fixture: Fixture, seed: u64) -> Fixture {
    let mut world = World::new(fixture, seed).await;
    for _ in 0..STEPS {
        world.step().await;
    }
    world.come_to_rest().await;
    world.judge().await;
    world.fixture.take().unwrap()
}

/// One schedule after another in one database.
async fn lane(seeds: Arc<Mutex<std::ops::Range<u64>>>) {
    let mut fixture = Fixture::new().await;
    loop {
        let next = seeds.lock().unwrap().next();
        let Some(seed) = next else { return };
        let schedule = tokio::spawn(run(fixture, seed)).await;
        assert!(schedule.is_ok(), "repeat it with SIMULATION_SEED={seed}");
        fixture = schedule.unwrap();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how many schedules, and which, is said from outside"
)]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_schedule_breaks_a_promise() {
    let first = number("SIMULATION_SEED");
    let count = number("SIMULATION_SCHEDULES").unwrap_or(if first.is_some() { 1 } else { 2000 });
    let first = first.unwrap_or_else(|| fastrand::u64(..1 << 48));
    let seeds = Arc::new(Mutex::new(first..first + count));
    let lanes: Vec<_> = (0..LANES)
        .map(|_| tokio::spawn(lane(Arc::clone(&seeds))))
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
    eprintln!("{count} schedules from seed {first}");
}

//! Size, start, memory and threads of each program.

use std::time::{Duration, Instant};

use testkit::{System, eventually, program_path};

pub(crate) async fn measure() {
    println!("\n## Size and start\n");
    println!(
        "| program | MiB on disk | start to ready ms | resident MiB, idle | threads |\n|---|---|---|---|---|"
    );
    let mut system = System::builder().start_without_programs().await.unwrap();
    for name in System::PROGRAMS {
        // The first start makes the tables.
        system.start_program(name).await.unwrap();
        ready(&system, name).await;
        let first = system.take_program(name).unwrap();
        first.terminate().await.unwrap();
        let started = Instant::now();
        system.start_program(name).await.unwrap();
        ready(&system, name).await;
        let took = started.elapsed();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let program = system.program(name).unwrap();
        let (memory, threads) = (program.peak_memory_bytes(), program.threads());
        let size = std::fs::metadata(program_path(name).unwrap()).unwrap();
        println!(
            "| {name} | {} | {} | {} | {} |",
            size.len() >> 20,
            took.as_millis(),
            memory.unwrap() >> 20,
            threads.unwrap()
        );
    }
}

async fn ready(system: &System, name: &str) {
    let url = system.url(name, "/readyz").await.unwrap();
    let client = chassis::http::client(Duration::from_secs(30)).unwrap();
    let is_ready = async || {
        let answer = client.get(&url).send().await.ok()?;
        answer.status().is_success().then_some(())
    };
    eventually("readiness", is_ready).await;
}

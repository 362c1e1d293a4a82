//! What the process takes of its machine, by the names of Prometheus's own clients.

use std::fmt::Error;

use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, WithCurrentSystemInfo as _};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::{Clock as _, SystemClock};

/// Read anew for each scrape.
#[derive(Debug)]
pub(crate) struct Usage {
    /// Seconds since 1970. The kernel's own word for it takes a file outside the process's folder, which services are not let see.
    begun: f64,
}

impl Usage {
    /// Of a process that begins now.
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds until the year 2255"
    )]
    pub(crate) fn of_new_process() -> Self {
        let micros = SystemClock.now().timestamp_micros();
        Self {
            begun: micros as f64 / 1e6,
        }
    }
}

type Told = (&'static str, &'static str, Box<dyn EncodeMetric>);

impl Collector for Usage {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result<(), Error> {
        // Where /proc is hidden there is nothing to tell.
        for (name, help, metric) in self.read().unwrap_or_default() {
            let encoder = to.encode_descriptor(name, help, None, metric.metric_type())?;
            metric.encode(encoder)?;
        }
        Ok(())
    }
}

impl Usage {
    #[expect(clippy::cast_precision_loss, reason = "no process runs for 2^53 ticks")]
    fn read(&self) -> ProcResult<Vec<Told>> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        let cpu = seconds(stat.utime + stat.stime);
        let mut told: Vec<Told> = vec![
            (
                "process_cpu_seconds",
                "User and system time taken, in seconds",
                Box::new(ConstCounter::new(cpu)),
            ),
            (
                "process_start_time_seconds",
                "When the process began, in seconds since 1970",
                Box::new(ConstGauge::new(self.begun)),
            ),
            (
                "process_resident_memory_bytes",
                "Memory that is in use, in bytes",
                Box::new(ConstGauge::new(stat.rss_bytes().get())),
            ),
            (
                "process_virtual_memory_bytes",
                "Memory that is mapped, in bytes",
                Box::new(ConstGauge::new(stat.vsize)),
            ),
            (
                "process_threads",
                "Threads of the operating system",
                Box::new(ConstGauge::new(stat.num_threads)),
            ),
            (
                "process_open_fds",
                "Open file descriptors",
                Box::new(ConstGauge::new(process.fd_count()?)),
            ),
        ];
        if let LimitValue::Value(limit) = process.limits()?.max_open_files.soft_limit {
            told.push((
                "process_max_fds",
                "File descriptors that may be open",
                Box::new(ConstGauge::new(limit)),
            ));
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;

    use super::*;

    #[test]
    fn a_scrape_tells_what_the_process_takes_now() {
        let metrics = Metrics::default();
        metrics.register(|registry| registry.register_collector(Box::new(Usage::of_new_process())));
        let text = metrics.encode();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().parse().unwrap_or(f64::NAN)
        };
        assert!(value("process_cpu_seconds_total ") >= 0.0, "{text}");
        assert!(value("process_resident_memory_bytes ") > 1e6, "{text}");
        assert!(value("process_virtual_memory_bytes ") > 1e6, "{text}");
        assert!(value("process_threads ") >= 1.0, "{text}");
        assert!(value("process_open_fds ") >= 3.0, "{text}");
        assert!(value("process_start_time_seconds ") > 1.7e9, "{text}");
        assert!(value("process_max_fds ") > 3.0, "{text}");
    }
}

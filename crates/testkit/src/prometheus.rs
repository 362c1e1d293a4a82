//! A real Prometheus, which scrapes what a test tells it to and follows the rules that it is given.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use chassis::{Clock as _, SystemClock};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::environment;

const CONFIGURATION: &str = "
global: {scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}
rule_files: [rules.yml]
scrape_configs: [{job_name: programs, file_sd_configs: [{files: [targets.json]}]}]
";

/// A running Prometheus. It is killed when dropped.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
    client: Client,
}

impl Prometheus {
    /// Starts the Prometheus that `TEST_PROMETHEUS` names, with these rules, scraping and evaluating four times a second; none where it names none.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(rules: &str) -> Result<Option<Self>> {
        let Some(program) = environment::prometheus() else {
            return Ok(None);
        };
        let folder = TempDir::new().context("could not make a folder")?;
        let path = |name: &str| folder.path().join(name);
        fs::write(path("prometheus.yml"), CONFIGURATION)?;
        fs::write(path("rules.yml"), rules)?;
        fs::write(path("targets.json"), "[]")?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(program)
            .arg(format!(
                "--config.file={}",
                path("prometheus.yml").display()
            ))
            .arg(format!("--storage.tsdb.path={}", path("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(path("log"))?)
            .spawn()
            .context("could not start Prometheus")?;
        let client = Client::builder().timeout(Duration::from_secs(5)).build()?;
        Ok(Some(Self {
            child,
            folder,
            address,
            client,
        }))
    }

    /// Names what it is to scrape: a job and an address each. It looks for changes every five seconds.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn scrape(&self, targets: &[(String, SocketAddr)]) -> Result<()> {
        let target = |(job, address): &(String, SocketAddr)| json!({"targets": [address.to_string()], "labels": {"job": job}});
        let targets: Vec<_> = targets.iter().map(target).collect();
        let new = self.folder.path().join("targets.new");
        fs::write(&new, Value::from(targets).to_string())?;
        fs::rename(new, self.folder.path().join("targets.json"))?;
        Ok(())
    }

    /// The alerts that fire now, as `name{job}`. None if it does not answer yet.
    pub async fn firing(&self) -> Option<BTreeSet<String>> {
        let answer = self.ask("alerts", &[]).await?;
        let alerts = answer.pointer("/data/alerts")?.as_array()?;
        let label = |alert: &Value, name: &str| {
            let label = alert.pointer(&format!("/labels/{name}"));
            label.and_then(Value::as_str).unwrap_or("").to_owned()
        };
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        let name = |alert| format!("{}{{{}}}", label(alert, "alertname"), label(alert, "job"));
        Some(firing.map(name).collect())
    }
}

impl Prometheus {
    /// Whether an expression had a value within the last minutes.
    pub async fn has_values(&self, expression: &str, minutes: i64) -> Option<bool> {
        let now = SystemClock.now().timestamp();
        let (from, to) = (now - minutes * 60, now);
        let (from, to) = (from.to_string(), to.to_string());
        let range = [
            ("query", expression),
            ("start", &from),
            ("end", &to),
            ("step", "5"),
        ];
        let answer = self.ask("query_range", &range).await?;
        let series = answer.pointer("/data/result")?.as_array()?;
        Some(!series.is_empty())
    }

    async fn ask(&self, what: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let url = format!("http://{}/api/v1/{what}", self.address);
        let url = reqwest::Url::parse_with_params(&url, parameters).ok()?;
        let answer = self.client.get(url).send().await.ok()?;
        answer.json().await.ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

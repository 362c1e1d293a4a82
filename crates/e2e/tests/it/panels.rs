//! What the dashboards' panels would show.

use serde_json::Value;
use testkit::Prometheus;

const DASHBOARDS: [&str; 2] = [
    include_str!("../../../../deploy/grafana/dashboards/overview.json"),
    include_str!("../../../../deploy/grafana/dashboards/channel.json"),
];

/// The panels that show nothing of the last minutes, each with its expression.
pub(crate) async fn empty(prometheus: &Prometheus) -> Vec<String> {
    let mut empty = Vec::new();
    for (title, expression) in DASHBOARDS.map(panels).concat() {
        let shows = prometheus.has_values(&expression, 15).await;
        if shows != Some(true) {
            empty.push(format!("{title}: {expression}"));
        }
    }
    empty
}

/// The expressions of a dashboard's panels, as Grafana would ask them of one notifier.
fn panels(dashboard: &str) -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    let rows = dashboard["panels"].as_array().unwrap();
    let inner = rows
        .iter()
        .filter_map(|row| row["panels"].as_array())
        .flatten();
    let mut asked = Vec::new();
    for panel in rows.iter().chain(inner) {
        let title = panel["title"].as_str().unwrap_or_default();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let expression = expression
                .replace("$__rate_interval", "10s")
                .replace("$job", "sms-notifier")
                .replace("$instance", ".+");
            asked.push((title.to_owned(), expression));
        }
    }
    asked
}

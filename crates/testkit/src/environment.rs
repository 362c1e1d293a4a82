//! What the tests run against.

/// A Kafka that runs already.
pub(crate) fn kafka() -> Option<String> {
    variable("TEST_KAFKA")
}

/// Where the Kafka of `TEST_KAFKA` has its data, for tests that stop it.
pub(crate) fn kafka_data_dir() -> Option<String> {
    variable("TEST_KAFKA_DATA_DIR")
}

/// A PostgreSQL that runs already.
pub(crate) fn database_url() -> Option<String> {
    variable("TEST_DATABASE_URL")
}

/// A Prometheus that can be started.
pub(crate) fn prometheus() -> Option<String> {
    variable("TEST_PROMETHEUS")
}

/// Whether long runs are to be as long as their promise says.
pub fn full_length() -> bool {
    variable("TEST_FULL").is_some()
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

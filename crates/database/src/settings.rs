//! Which database.

use clap::Args;

use crate::Dialect;

/// The database of a program. Each program owns its own database or schema.
#[derive(Args, Clone)]
pub struct DatabaseSettings {
    /// `sqlite://path` for one machine, `postgres://user:password@host/name` for more. A schema of one's own, made if it is missing: `?options[search_path]=name`.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true, value_parser = url)]
    pub database_url: String,
}

fn url(text: &str) -> Result<String, String> {
    match Dialect::of_url(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("must begin with sqlite:// or postgres://".to_owned()),
    }
}

/// A URL may hold a password.
impl std::fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseSettings(…)")
    }
}

//! The whole system as processes, around a broker and a sandbox that outlive them.

mod links;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use events::Channel;
use sandbox::{Faults, Filter, Ledger};
use tempfile::TempDir;

use crate::broker::TestBroker;
use crate::checker::{Booked, Evidence, Verdict};
use crate::database::TestDatabase;
use crate::evidence;
use crate::log_scan;
use crate::process::Program;
use crate::stand_in::StandIn;

/// Reads the topics for the judge.
const WITNESS: &str = "witness";

/// How often the judge looks.
const LOOK: Duration = Duration::from_millis(200);

/// How long a provider may take where a test does not say: a busy machine is not to be taken for a provider without an answer, whose message is sent again.
const PATIENT: &str = "1min";

/// The notifier of each channel.
const NOTIFIERS: [(Channel, &str); 3] = [
    (Channel::Email, "email-notifier"),
    (Channel::Sms, "sms-notifier"),
    (Channel::Whatsapp, "whatsapp-notifier"),
];

/// How a system is to be.
#[derive(Debug, Default)]
pub struct SystemBuilder {
    variables: Vec<(String, String)>,
    broker: Option<TestBroker>,
}

impl SystemBuilder {
    /// A setting of every program.
    #[must_use]
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.variables.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// The broker it is to run on.
    #[must_use]
    pub fn on(mut self, broker: TestBroker) -> Self {
        self.broker = Some(broker);
        self
    }

    /// Starts broker, sandbox and the four programs.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn start(self) -> Result<System> {
        let mut system = self.start_without_programs().await?;
        for name in System::PROGRAMS {
            system.start_program(name).await?;
        }
        Ok(system)
    }

    /// Starts broker and sandbox only.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn start_without_programs(self) -> Result<System> {
        let folder = TempDir::new().context("could not make a folder")?;
        let broker = match self.broker {
            Some(broker) => broker,
            None => TestBroker::start().await?,
        };
        let sandbox = StandIn::start(Some(folder.path())).await?;
        let mut databases = BTreeMap::new();
        for name in System::PROGRAMS {
            databases.insert(name, TestDatabase::new()?);
        }
        let group = chassis::chance::token();
        if broker.in_process_broker().is_none() {
            for name in System::PROGRAMS {
                let group = format!("{name}-{group}");
                let topics = evidence::consumed_topics();
                broker.skip_to_end(&group, topics).await?;
            }
            let group = format!("{WITNESS}-{group}");
            broker.skip_to_end(&group, evidence::read_topics()).await?;
        }
        Ok(System {
            witness: format!("{WITNESS}-{group}"),
            group,
            variables: self.variables,
            programs: BTreeMap::new(),
            folder,
            broker,
            databases,
            links: BTreeMap::new(),
            sandbox,
        })
    }
}

/// A running system. Everything ends when it is dropped.
#[derive(Debug)]
pub struct System {
    group: String,
    /// The group whose offsets are those of the start.
    witness: String,
    variables: Vec<(String, String)>,
    programs: BTreeMap<String, Program>,
    folder: TempDir,
    broker: TestBroker,
    databases: BTreeMap<&'static str, TestDatabase>,
    /// Database URLs that lead through a link.
    links: BTreeMap<String, String>,
    sandbox: StandIn,
}

impl System {
    /// The four programs.
    pub const PROGRAMS: [&'static str; 4] = [
        "booking-api",
        "email-notifier",
        "sms-notifier",
        "whatsapp-notifier",
    ];

    /// A system with every setting at its default, but for addresses and patience with providers: a claim of a killed notifier lasts 80 s.
    pub fn builder() -> SystemBuilder {
        SystemBuilder::default()
    }

    /// Starts a program (again) and waits until it listens.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn start_program(&mut self, name: &str) -> Result<SocketAddr> {
        let program = self.spawn(name)?;
        let address = program.address().await;
        self.programs.insert(name.to_owned(), program);
        Ok(address)
    }

    /// Starts one more process of a program, which the caller keeps.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(&self, name: &str) -> Result<Program> {
        Program::spawn(name, &self.variables_of(name)?, self.folder.path())
    }

    /// Where the sandbox's own API is.
    pub fn sandbox_url(&self) -> String {
        let [_, http] = self.sandbox.addresses();
        format!("http://{http}")
    }

    /// Where the sandbox plays MSG91.
    pub fn msg91_url(&self) -> String {
        self.sandbox.msg91_url()
    }

    /// A setting of every program that starts from now on.
    pub fn set(&mut self, variable: &str, value: impl Into<String>) {
        self.variables.push((variable.to_owned(), value.into()));
    }

    /// The environment of a program.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn variables_of(&self, name: &str) -> Result<Vec<(String, String)>> {
        let database = self.databases.get(name).context("no such program")?;
        let direct = || database.settings().database_url.clone();
        let database_url = self.links.get(name).cloned().unwrap_or_else(direct);
        let mut variables = vec![
            ("HTTP_ADDR", "127.0.0.1:0".to_owned()),
            ("DATABASE_URL", database_url),
            (
                "KAFKA_BOOTSTRAP_SERVERS",
                self.broker.settings().kafka_bootstrap_servers.clone(),
            ),
            ("KAFKA_PROPERTIES", self.broker.properties().to_owned()),
            (
                "KAFKA_REPLICATION_FACTOR",
                self.broker.settings().kafka_replication_factor.to_string(),
            ),
            ("SMTP_URL", self.sandbox.smtp_url()),
            ("SMS_BASE_URL", self.sandbox.twilio_url()),
            ("WHATSAPP_BASE_URL", self.sandbox.whatsapp_url()),
            ("PROVIDER_TIMEOUT", PATIENT.to_owned()),
        ];
        // On a broker that tests share, a group of one's own.
        variables.push(("CONSUMER_GROUP", self.group_of(name)));
        variables.extend(StandIn::CREDENTIALS.map(|(name, value)| (name, value.to_owned())));
        let shared = variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Ok(shared.chain(self.variables.iter().cloned()).collect())
    }

    /// A running program.
    ///
    /// # Errors
    /// If it does not run.
    pub fn program(&self, name: &str) -> Result<&Program> {
        self.programs
            .get(name)
            .with_context(|| format!("{name} does not run"))
    }

    /// Takes a running program out, to end it.
    ///
    /// # Errors
    /// If it does not run.
    pub fn take_program(&mut self, name: &str) -> Result<Program> {
        self.programs
            .remove(name)
            .with_context(|| format!("{name} does not run"))
    }

    /// A URL of a program's HTTP port.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn url(&self, name: &str, path: &str) -> Result<String> {
        let address = self.program(name)?.address().await;
        Ok(format!("http://{address}{path}"))
    }

    /// The broker.
    pub fn broker(&self) -> &TestBroker {
        &self.broker
    }

    /// What the providers accepted.
    pub fn ledger(&self) -> &Ledger {
        self.sandbox.ledger()
    }

    /// What the providers do wrong.
    pub fn faults(&self) -> &Faults {
        self.sandbox.faults()
    }

    /// Accepted messages of a channel about a PNR.
    pub fn told(&self, channel: Channel, pnr: &str) -> Vec<Arc<sandbox::Accepted>> {
        let filter = Filter {
            channel: Some(channel),
            pnr: pnr.parse().ok(),
            ..Filter::default()
        };
        self.sandbox.ledger().messages(&filter)
    }

    /// The consumer group of a notifier.
    pub fn group_of(&self, name: &str) -> String {
        format!("{name}-{}", self.group)
    }

    /// Gives programs that are yet to start groups without offsets, as if theirs had expired.
    pub fn forget_offsets(&mut self) {
        self.group = chassis::chance::token();
    }

    /// The database of a program.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn database(&self, name: &str) -> Result<&TestDatabase> {
        self.databases.get(name).context("no such program")
    }

    /// Gives a program that is yet to start another database.
    pub fn move_database(&mut self, name: &'static str, database: TestDatabase) {
        self.databases.insert(name, database);
    }

    /// Waits until everything booked has an outcome and nothing is left to do, at most `limit`, and judges what there is then.
    ///
    /// # Errors
    /// If a database or the broker cannot be read.
    pub async fn judge(&self, booked: &[Booked], limit: Duration) -> Result<Verdict> {
        let deadline = Instant::now() + limit;
        loop {
            let late = Instant::now() > deadline;
            let seems_quiet = self.without_topics(booked).await?.judge().is_quiet();
            // Topics are read once the rest is quiet: offsets are committed in the background.
            if !late && !seems_quiet {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            let verdict = self.evidence(booked).await?.judge();
            if late || verdict.is_quiet() {
                return Ok(verdict);
            }
        }
    }

    /// Everything the judge looks at.
    async fn evidence(&self, booked: &[Booked]) -> Result<Evidence> {
        let mut committed = Vec::new();
        for (channel, name) in NOTIFIERS {
            let group = self.group_of(name);
            committed.extend(evidence::committed(&self.broker, channel, &group).await?);
        }
        // What was committed before is in what is read after.
        let topics = evidence::read_topics();
        let records = self.broker.read_all(&self.witness, topics);
        let (records, dead_letters) = evidence::sort(&records.await?)?;
        Ok(Evidence {
            records,
            dead_letters,
            committed,
            ..self.without_topics(booked).await?
        })
    }

    /// What databases and ledger tell. Dead letters are taken on trust.
    async fn without_topics(&self, booked: &[Booked]) -> Result<Evidence> {
        let mut rows = Vec::new();
        for (channel, name) in NOTIFIERS {
            rows.extend(evidence::rows(self.database(name)?, channel).await?);
        }
        Ok(Evidence {
            booked: booked.to_vec(),
            events: evidence::events(self.database("booking-api")?).await?,
            told: evidence::told(self.ledger()),
            dead_letters: evidence::trusted(&rows),
            rows,
            ..Evidence::default()
        })
    }

    /// Where logs and ledger are.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

impl Drop for System {
    #[expect(
        clippy::print_stderr,
        reason = "says where a failed test left its logs"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("logs and ledger are in {}", self.folder.path().display());
            return;
        }
        let messages = self.ledger().messages(&Filter::default());
        let told = log_scan::lines_that_tell(self.folder.path(), &messages);
        assert!(matches!(&told, Ok(lines) if lines.is_empty()), "{told:#?}");
    }
}

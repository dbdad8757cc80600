//! The command line: commands, arguments and exit codes.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbErr};
use tracing::{error, info, warn};

use crate::{
    access::{Scopes, keys::NewKey},
    app,
    clock::Clock,
    config::{
        Config, Environment,
        database::{DatabaseConfig, DatabaseTarget},
        log::{LogConfig, LogFormat},
    },
    database::{Access, Database, Failure},
    graphql, probe,
    reports::rollup::{self, Portion, Position, Progress, Status},
    seed::{self, SeedError},
    shutdown::Signals,
    telemetry::Telemetry,
};

/// The most important variables. A test compares the defaults with `.env.example`.
const VARIABLES: &str = "\
Configured by environment variables, or by a file `.env` in this folder. Those that matter most:
  DATABASE_URL      postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:PATH; or the parts of a PostgreSQL:
  DB_HOST           its server [default: 127.0.0.1]
  DB_PORT           its port [default: 5432]
  DB_NAME           its database [default: postgres]
  DB_USERNAME       the role, required with any of these parts
  DB_PASSWORD       the role's password, likewise; it may be empty
                    With none of these six, a sample database is made in the folder `data`.
  APP_HOST          address to listen on [default: ::]
  APP_PORT          port of the dashboard and the API [default: 5153]
  METRICS_PORT      port of /metrics, or off [default: 9153]
  ANONYMOUS_SCOPES  what callers without a key see [default: reports], on the sample reports,members
  API_KEYS_FILE     keys for those who see more, made by `key new`
  LOG_FORMAT        text, json, or auto: text on a terminal [default: auto]
  LOG_LEVEL         error, warn, info, debug, trace [default: info]
All of them, each with what it means, are in `.env.example`.";

/// GraphQL analytics gateway for coworking spaces
#[derive(Debug, Parser)]
#[command(version, about, long_about = None, after_help = VARIABLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the dashboard, GraphQL, the legacy reports and the probes (the default)
    #[command(after_help = VARIABLES)]
    Serve,
    /// Create the tables, or adopt existing ones, and the views for SQL tools; no row is changed
    Migrate {
        #[command(subcommand)]
        step: Option<MigrateStep>,
    },
    /// Manage the rollup: counts that make reports on large tables fast
    Rollup {
        #[command(subcommand)]
        step: RollupStep,
    },
    /// Fill an empty database with invented members and door codes
    Seed(SeedArguments),
    /// Make API keys
    Key {
        #[command(subcommand)]
        step: KeyStep,
    },
    /// Print the GraphQL schema (SDL); needs no database
    Schema,
    /// Ask the running service for its health; exit code 0 when it answers ok, 1 otherwise
    Health {
        /// Ask whether it is ready to serve, not only whether it is alive
        #[arg(long)]
        ready: bool,
        /// If the service is not ready, try its database from here, and say what is wrong with it
        #[arg(short, long, requires = "ready")]
        verbose: bool,
    },
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum MigrateStep {
    /// Apply what is missing (the default)
    Up,
    /// Undo the last migration: drops views; the tables of the coworking service and their rows stay
    Down,
    /// List the migrations, and whether each is applied
    Status,
}

#[derive(Debug, Clone, Subcommand)]
enum KeyStep {
    /// Print a new key, which is shown only once, and its line for the service; needs no database
    New {
        /// The name of the owner, in one word; the log shows it
        name: String,
        /// The scopes that it grants: reports, members, admin, separated by commas
        #[arg(long, value_parser = scopes)]
        scopes: Scopes,
        /// The last date on which it is valid (YYYY-MM-DD, UTC), or never
        #[arg(long, value_parser = last_day)]
        until: Until,
    },
}

/// The last date on which a key is valid; `None` for ever.
#[derive(Debug, Clone, Copy)]
struct Until(Option<NaiveDate>);

fn scopes(text: &str) -> Result<Scopes, String> {
    let scopes = Scopes::parse(text).filter(|scopes| *scopes != Scopes::default());
    scopes.ok_or_else(|| "expected some of reports, members and admin, separated by commas".to_owned())
}

fn last_day(text: &str) -> Result<Until, String> {
    match text {
        "never" => Ok(Until(None)),
        date => date.parse().map(|date| Until(Some(date))).map_err(|_| "expected YYYY-MM-DD, or never".to_owned()),
    }
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum RollupStep {
    /// Make its tables, triggers and indexes, and fill it
    Create,
    /// Show whether there is a rollup, and whether it is up to date
    Status,
    /// Bring it up to date; a running service does so by itself
    Refresh,
    /// Count everything again
    Rebuild,
    /// Compare it with the door codes; if they differ, exit with code 1 and count everything again
    Verify,
    /// Make its triggers again, after an upgrade or for new partitions, and count everything again
    Upgrade,
    /// Remove it; reports then read the door codes
    Drop,
}

#[derive(Debug, Clone, Copy, Args)]
struct SeedArguments {
    /// Members to invent
    #[arg(long, default_value_t = seed::Size::SAMPLE.users, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    users: u32,
    /// Door codes to invent
    #[arg(long, default_value_t = seed::Size::SAMPLE.tokens, value_parser = clap::value_parser!(u32).range(0..=1_000_000_000))]
    tokens: u32,
    /// Days up to now over which the door codes are spread
    #[arg(long, default_value_t = seed::Size::SAMPLE.days, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// Add to a database that has rows already
    #[arg(long)]
    append: bool,
}

/// The exit code for a wrong configuration or command line.
const MISUSE: u8 = 2;

impl Cli {
    /// Runs the command. Failures are printed on standard error, as a sentence for people.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let command = self.command.unwrap_or(Command::Serve);
        match command {
            Command::Schema => return print(&graphql::sdl()),
            Command::Key { step: KeyStep::New { name, scopes, until: Until(until) } } => {
                return new_key(&name, scopes, until);
            }
            _ => {}
        }
        let environment = match Environment::of_process() {
            Ok(environment) => environment,
            Err(error) => {
                told(&error);
                return ExitCode::from(MISUSE);
            }
        };
        let config = match Config::read(&environment) {
            Ok(config) => config,
            Err(error) => {
                told(&error);
                for (name, meant) in environment.misspelt() {
                    let _ = writeln!(std::io::stderr(), "  {name} is set, and nothing reads it; was {meant} meant?");
                }
                if let Some(file) = environment.file() {
                    let _ = writeln!(std::io::stderr(), "variables are read from {} too", file.display());
                }
                return ExitCode::from(MISUSE);
            }
        };
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return told(&error),
        };
        let _entered = runtime.enter();
        let format = if matches!(command, Command::Serve) { config.log.format } else { LogFormat::Plain };
        let log = LogConfig { format, ..config.log.clone() };
        let telemetry = match Telemetry::init(&log, &config.observability) {
            Ok(telemetry) => telemetry,
            Err(error) => return told(&error),
        };
        if let Some(file) = environment.file() {
            info!(file = %file.display(), "variables are read from a file too");
        }
        for (variable, meant) in environment.misspelt() {
            warn!(variable, meant, "a variable is set that nothing reads; was another one meant?");
        }
        let code = runtime.block_on(run_until_signal(command, config));
        telemetry.shut_down();
        code
    }
}

/// Runs the command; a signal ends it. As the first process of a container it gets no signal unless it listens.
async fn run_until_signal(command: Command, config: Config) -> ExitCode {
    if matches!(command, Command::Serve) {
        return run(command, config).await;
    }
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return told(&error),
    };
    tokio::select! {
        code = run(command, config) => code,
        signal = signals.first() => {
            let _ = writeln!(std::io::stderr(), "stopped by a signal; what was not committed is undone");
            ExitCode::from(signal.exit_code())
        }
    }
}

async fn run(command: Command, config: Config) -> ExitCode {
    match command {
        Command::Serve => serve(config).await,
        Command::Migrate { step } => migrate(&config, step.unwrap_or(MigrateStep::Up)).await,
        Command::Rollup { step } => keep_rollup(&config, step).await,
        Command::Seed(arguments) => fill(&config, arguments).await,
        Command::Health { ready, verbose } => health(&config, ready, verbose).await,
        // Commands that need no configuration were run before.
        Command::Schema | Command::Key { .. } => ExitCode::SUCCESS,
    }
}

/// Prints why the service could not start, in a sentence for people, or logs it when the log is JSON for machines.
async fn serve(config: Config) -> ExitCode {
    let format = config.log.format;
    match app::serve(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if format == LogFormat::Json => {
            error!("{error}");
            ExitCode::FAILURE
        }
        Err(error) => told(&error),
    }
}

/// Prints the key on standard output, for a variable or a pipe, and the line to store on standard error.
fn new_key(name: &str, scopes: Scopes, until: Option<NaiveDate>) -> ExitCode {
    match NewKey::invent(name, scopes, until) {
        Ok(NewKey { key, line }) => {
            let told = print(&format!("{key}\n"));
            let help = format!("The key is above, and is shown only now. For API_KEYS_FILE:\n{line}\n");
            let _ = std::io::stderr().write_all(help.as_bytes());
            told
        }
        Err(problem) => {
            let _ = writeln!(std::io::stderr(), "{problem}");
            ExitCode::from(MISUSE)
        }
    }
}

async fn migrate(config: &Config, step: MigrateStep) -> ExitCode {
    let migrated = async {
        let database = open(config).await?;
        let connection = database.connection();
        match step {
            MigrateStep::Up => migration::up(connection).await?,
            MigrateStep::Down => migration::down(connection).await?,
            MigrateStep::Status => {}
        }
        database.settle().await?;
        migration::status(connection).await
    };
    match migrated.await {
        Ok(migrations) => {
            let state = |is_applied| if is_applied { "applied" } else { "pending" };
            let lines: Vec<_> = migrations
                .iter()
                .map(|(migration, is_applied)| format!("{:8} {}\n", state(*is_applied), migration.name()))
                .collect();
            print(&lines.concat())
        }
        Err(error) => refused(config, error),
    }
}

/// An index that is built beside writers is built outside of a transaction.
const NOT_BEHIND_A_POOLER: &str = "a pooler is in front of the database, and this command builds indexes, for which it \
                                   needs a session of its own: name the server itself with DB_HOST and DB_PORT, or \
                                   with DATABASE_URL, for this command";

/// How long building an index may wait for open transactions.
const ROLLUP_PATIENCE: Duration = Duration::from_mins(1);

async fn keep_rollup(config: &Config, step: RollupStep) -> ExitCode {
    let kept = async {
        let database = open(config).await?;
        let connection = database.connection();
        if !database.keeps_sessions() && matches!(step, RollupStep::Create | RollupStep::Upgrade) {
            return Err(DbErr::Custom(NOT_BEHIND_A_POOLER.to_owned()));
        }
        let mut differences = Vec::new();
        match step {
            RollupStep::Create => rollup::create(connection, ROLLUP_PATIENCE).await?,
            RollupStep::Upgrade => rollup::upgrade(connection, ROLLUP_PATIENCE).await?,
            RollupStep::Rebuild => rollup::rebuild(connection).await?,
            RollupStep::Drop => {
                // The time in which running gateways check for the rollup again, and finish their requests.
                let notice = config.database.rollup_refresh_interval + config.server.request_timeout;
                rollup::drop_all(connection, notice).await?;
            }
            RollupStep::Verify => differences = verify(connection).await?,
            RollupStep::Status | RollupStep::Refresh => {}
        }
        let status = rollup::status(connection).await?;
        if status.is_some() && !matches!(step, RollupStep::Status | RollupStep::Verify) {
            refresh(connection).await?;
        }
        database.settle().await?;
        Ok((rollup::status(connection).await?, differences, rollup::unsafe_rollups(connection).await?))
    };
    match kept.await {
        Ok((status, differences, unsafe_rollups)) => {
            let mut text = match status {
                None => "no rollup\n".to_owned(),
                Some(Status { trouble: Some(trouble), .. }) => format!("rollup not used: {trouble}\n"),
                Some(Status { generation, refreshed_at, log_rows, is_behind, .. }) => {
                    let refreshed = refreshed_at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339());
                    let state = if is_behind { "behind" } else { "up to date" };
                    format!(
                        "rollup {state}: {generation} refreshes, the last {refreshed}; {log_rows} rows in the log\n"
                    )
                }
            };
            for problem in unsafe_rollups {
                let _ = writeln!(text, "UNSAFE: {problem}; run `coworking-analytics rollup upgrade` as its owner now");
            }
            let code = print(&text);
            if differences.is_empty() {
                return code;
            }
            let places = differences.join(", ");
            let _ =
                writeln!(std::io::stderr(), "the rollup was not what the tokens say, and is counted anew: {places}");
            ExitCode::FAILURE
        }
        Err(error) => refused(config, error),
    }
}

/// Refreshes to the end, with progress in the log.
async fn refresh(connection: &DatabaseConnection) -> Result<(), DbErr> {
    let mut told: Option<Instant> = None;
    loop {
        match rollup::refresh(connection).await? {
            Progress::Done | Progress::Barred => return Ok(()),
            Progress::Busy => info!("another process is refreshing: waiting for it"),
            Progress::Underway { slots_until, users_until } => {
                if told.is_none_or(|told| told.elapsed() >= rollup::TOLD_EVERY) {
                    info!(slots_until, users_until, "filling the rollup");
                    told = Some(Instant::now());
                }
            }
        }
    }
}

/// Compares to the end, with progress in the log. Returns the first places that differ.
async fn verify(connection: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let mut position = Position::default();
    loop {
        let differences = rollup::verify(connection, &mut position, Portion::Large).await?;
        if !differences.is_empty() || position.is_at_an_end() {
            return Ok(differences);
        }
        let Position { slots_until, users_until } = &position;
        info!(slots_until, users_until, "comparing the rollup");
    }
}

async fn fill(config: &Config, SeedArguments { users, tokens, days, append }: SeedArguments) -> ExitCode {
    let filled = async {
        let database = open(config).await?;
        migration::up(database.connection()).await?;
        seed::fill(&database, seed::Size { users, tokens, days }, Clock::system().now(), append).await?;
        database.settle().await.map_err(SeedError::from)
    };
    match filled.await {
        Ok(()) => {
            info!(users, tokens, days, "database filled");
            ExitCode::SUCCESS
        }
        Err(SeedError::Database(error)) => refused(config, error),
        Err(error) => told(&error),
    }
}

async fn health(config: &Config, ready: bool, verbose: bool) -> ExitCode {
    let path = if ready { "/readiness_check" } else { "/health_check" };
    let Err(error) = probe::ask(config.server.address, path).await else { return print("ok\n") };
    let code = told(&error);
    if verbose && let Err(error) = read_once(config).await {
        return refused(config, error);
    }
    code
}

/// Reads what the readiness probe reads, on a connection of its own.
async fn read_once(config: &Config) -> Result<(), DbErr> {
    let database = Database::connect(&config.database, Access::Report).await?;
    database.knock().await?;
    database.connection().execute_unprepared("SELECT 1 FROM tokens LIMIT 1").await.map(drop)
}

async fn open(config: &Config) -> Result<Database, DbErr> {
    if let DatabaseTarget::Embedded(path) | DatabaseTarget::Sqlite(path) = &config.database.target
        && let Some(folder) = path.parent()
    {
        // If this fails, opening the file gives the better message.
        let _ = std::fs::create_dir_all(folder);
    }
    let one = DatabaseConfig { max_connections: 1, ..config.database.clone() };
    let database = Database::connect(&one, Access::Maintain).await?;
    database.knock().await?;
    Ok(database)
}

/// Prints to standard output; the log goes to standard error.
fn print(text: &str) -> ExitCode {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Prints an error for people on standard error.
fn told(error: &dyn std::error::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::FAILURE
}

fn refused(config: &Config, error: DbErr) -> ExitCode {
    told(&Failure::new(&config.database.target, error))
}

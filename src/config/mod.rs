//! The configuration: typed, and read completely at start. All mistakes are reported in one message. Each variable is
//! documented at its field, and in `.env.example`.

pub mod access;
pub mod database;
mod file;
pub mod graphql;
pub mod limits;
pub mod log;
mod misspelt;
pub mod notes;
pub mod observability;
pub mod reports;
pub mod server;
pub mod space;

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

pub use self::file::FileError;
use self::{
    access::AccessConfig,
    database::{DatabaseConfig, DatabaseTarget},
    file::File,
    graphql::GraphqlConfig,
    log::LogConfig,
    observability::ObservabilityConfig,
    reports::ReportsConfig,
    server::ServerConfig,
    space::SpaceConfig,
};

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the database is, and how it is used.
    pub database: DatabaseConfig,
    /// Where the service listens, and the limits of each request.
    pub server: ServerConfig,
    /// What callers may see, and how much work they may cause.
    pub access: AccessConfig,
    /// How the GraphQL endpoint answers, and which origins may use it.
    pub graphql: GraphqlConfig,
    /// What questions mean that leave it out.
    pub reports: ReportsConfig,
    /// What is logged, and in which format.
    pub log: LogConfig,
    /// Metrics and traces.
    pub observability: ObservabilityConfig,
    /// The space itself.
    pub space: SpaceConfig,
}

#[cfg(any(test, fuzzing))]
impl Config {
    /// The defaults, with the SQLite database in this file.
    pub(crate) fn on_file(path: &std::path::Path) -> Self {
        let url = format!("sqlite:{}", path.display());
        let environment = Environment::new(move |name| (name == "DATABASE_URL").then(|| url.clone()));
        Self::read(&environment).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Config {
    /// Reads the configuration from `environment`.
    ///
    /// # Errors
    /// All variables that are missing or wrong.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let server = ServerConfig::read(environment);
        let database = DatabaseConfig::read(environment);
        let config = Self {
            access: AccessConfig::read(environment, matches!(database.target, DatabaseTarget::Embedded(_))),
            database,
            graphql: GraphqlConfig::read(environment),
            log: LogConfig::read(environment),
            observability: ObservabilityConfig::read(environment, server.address),
            reports: ReportsConfig::read(environment),
            server,
            space: SpaceConfig::read(environment),
        };
        if config.server.request_timeout <= config.database.statement_timeout {
            environment.reject(
                "REQUEST_TIMEOUT",
                "must be longer than DB_STATEMENT_TIMEOUT, so that the database ends a statement first",
            );
        }
        let problems = environment.problems.take();
        if problems.is_empty() { Ok(config) } else { Err(ConfigError(problems)) }
    }
}

/// Variables that are missing or wrong, each with a sentence about what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(Vec<(&'static str, String)>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is wrong; nothing was started:")?;
        self.0.iter().try_for_each(|(name, problem)| write!(f, "\n  {name} {problem}"))
    }
}

/// Finds the value of a variable by its name.
type LookUp = dyn Fn(&str) -> Option<String>;

/// The source of variables, the names that were read, and the problems found so far.
pub struct Environment {
    look_up: Box<LookUp>,
    /// The names of all variables that are set, known or not.
    set: Vec<String>,
    file: Option<PathBuf>,
    asked: RefCell<BTreeSet<&'static str>>,
    problems: RefCell<Vec<(&'static str, String)>>,
}

impl Environment {
    /// The environment of this process, and below it the file `.env` of the present folder.
    ///
    /// # Errors
    /// When the file is there and cannot be used.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the process environment")]
    pub fn of_process() -> Result<Self, FileError> {
        let folder = std::env::current_dir().unwrap_or_default();
        let (file, variables) = File::of(&folder)?.map(|file| (file.path, file.variables)).unzip();
        let variables = variables.unwrap_or_default();
        let of_process = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let set = of_process.chain(variables.keys().cloned()).collect();
        let look_up = move |name: &str| std::env::var(name).ok().or_else(|| variables.get(name).cloned());
        Ok(Self { set, file, ..Self::new(look_up) })
    }

    /// The file that was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Variables from another source.
    pub fn new(look_up: impl Fn(&str) -> Option<String> + 'static) -> Self {
        Self {
            look_up: Box::new(look_up),
            set: Vec::new(),
            file: None,
            asked: RefCell::default(),
            problems: RefCell::default(),
        }
    }

    /// The names of all variables that were read. After [`Config::read`], these are all known variables, whatever their
    /// values.
    pub fn asked(&self) -> BTreeSet<&'static str> {
        self.asked.borrow().clone()
    }

    /// Variables that are set but were not read, each with the name that was probably meant.
    pub fn misspelt(&self) -> Vec<(&str, &'static str)> {
        misspelt::among(&self.set, &self.asked.borrow())
    }

    /// The variable's value; `None` when it is not set or empty.
    fn get(&self, name: &'static str) -> Option<String> {
        self.get_or_empty(name).filter(|value| !value.is_empty())
    }

    fn get_or_empty(&self, name: &'static str) -> Option<String> {
        self.asked.borrow_mut().insert(name);
        (self.look_up)(name)
    }

    fn reject(&self, name: &'static str, problem: impl Into<String>) {
        self.problems.borrow_mut().push((name, problem.into()));
    }

    /// The variable, parsed by `parse`; `default` when it is not set. A wrong value is recorded as a problem.
    fn read<T>(&self, name: &'static str, default: T, expected: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        let Some(value) = self.get(name) else { return default };
        parse(value.trim()).unwrap_or_else(|| {
            self.reject(name, format!("is \"{value}\"; expected {expected}"));
            default
        })
    }

    fn switch(&self, name: &'static str, default: bool) -> bool {
        self.read(name, default, "on or off", |value| match value {
            "on" | "auto" | "true" => Some(true),
            "off" | "false" => Some(false),
            _ => None,
        })
    }

    fn number<T: FromStr + PartialOrd + fmt::Display + Copy>(
        &self,
        name: &'static str,
        default: T,
        min: T,
        max: T,
    ) -> T {
        let expected = format!("a whole number from {min} to {max}");
        self.read(name, default, &expected, |value| value.parse().ok().filter(|number| (&min..=&max).contains(&number)))
    }

    fn duration(&self, name: &'static str, default: Duration) -> Duration {
        self.read(name, default, "a duration such as \"500ms\", \"10s\" or \"2m\"", |value| {
            humantime::parse_duration(value).ok().filter(|duration| !duration.is_zero())
        })
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("problems", &self.problems).finish_non_exhaustive()
    }
}

//! The database: where it is, and how it is used.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr as _,
    time::Duration,
};

use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use secrecy::{ExposeSecret as _, SecretString};

use super::Environment;

/// The variables that select PostgreSQL.
const POSTGRES: [&str; 5] = ["DB_HOST", "DB_PORT", "DB_NAME", "DB_USERNAME", "DB_PASSWORD"];

/// Where the database is, and how it is used.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// Where the data is.
    pub target: DatabaseTarget,
    /// `DB_MAX_CONNECTIONS`: the most connections open at once. Default 10.
    pub max_connections: u32,
    /// `DB_ACQUIRE_TIMEOUT`: how long a request waits for a free connection. Default `2s`.
    pub acquire_timeout: Duration,
    /// `ROLLUPS`: with `on` (the default), reports read the rollup if there is one, and it is refreshed if this role
    /// may do so; with `off`, it is not used.
    pub rollups: bool,
    /// `ROLLUP_REFRESH_INTERVAL`: how often the rollup is refreshed. Default `10s`.
    pub rollup_refresh_interval: Duration,
    /// `DB_STATEMENT_TIMEOUT`: how long a statement may take before the database cancels it. Default `10s`.
    pub statement_timeout: Duration,
    /// `DB_POOL_MODE`: what a connection leads to, `session` or `transaction`; `None`, for the default `auto`, to find
    /// it out.
    pub pool_mode: Option<PoolMode>,
}

/// What a connection to PostgreSQL leads to, in PgBouncer's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// A session of its own, as long as it is open.
    Session,
    /// For each transaction perhaps another session.
    Transaction,
}

/// Where the data is.
#[derive(Debug, Clone)]
pub enum DatabaseTarget {
    /// Nothing is configured: an SQLite file, which the gateway creates and fills with sample data.
    Embedded(PathBuf),
    /// `DATABASE_URL=sqlite:PATH`: an existing SQLite file.
    Sqlite(PathBuf),
    /// An existing PostgreSQL database.
    Postgres(PostgresTarget),
}

/// The name of the database in messages: everything of its address but the password.
impl fmt::Display for DatabaseTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(path) | Self::Sqlite(path) => write!(f, "the database file {}", path.display()),
            Self::Postgres(target) => target.fmt(f),
        }
    }
}

impl fmt::Display for PostgresTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, .. } => {
                // A malformed address was refused before.
                let Ok(options) = PgConnectOptions::from_str(url.expose_secret()) else {
                    return f.write_str("the PostgreSQL of DATABASE_URL");
                };
                let role = options.get_username();
                let socket = options.get_socket().map(|folder| folder.display().to_string());
                let host = socket.as_deref().unwrap_or_else(|| options.get_host());
                named(f, options.get_database().unwrap_or(role), host, options.get_port(), role)
            }
            Self::Parts { host, port, database, username, .. } => named(f, database, host, *port, username),
        }
    }
}

fn named(f: &mut fmt::Formatter<'_>, database: &str, host: &str, port: u16, role: &str) -> fmt::Result {
    write!(f, "the PostgreSQL database {database} on {host}:{port} as {role}")
}

/// A PostgreSQL database.
#[derive(Debug, Clone)]
pub enum PostgresTarget {
    /// `DATABASE_URL=postgres://…`: overrides the variables of `Parts`.
    Url {
        /// The address, with user name and password.
        url: SecretString,
        /// TLS settings, for what the address does not say.
        tls: Tls,
    },
    /// The variables of the legacy service.
    Parts {
        /// `DB_HOST`, default `127.0.0.1`. A path that begins with `/` is the folder of a socket.
        host: String,
        /// `DB_PORT`, default `5432`.
        port: u16,
        /// `DB_NAME`, default `postgres`.
        database: String,
        /// `DB_USERNAME`, required.
        username: String,
        /// `DB_PASSWORD`, required. It may be empty, and may contain any character.
        password: SecretString,
        /// TLS settings.
        tls: Tls,
    },
}

/// TLS to PostgreSQL.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// `DB_SSLMODE`: `disable`, `allow`, `prefer` (the default), `require`, `verify-ca`, `verify-full`, as in libpq.
    pub mode: Option<PgSslMode>,
    /// `DB_SSLROOTCERT`: a PEM file of the certificate authorities to trust.
    pub root_certificate: Option<PathBuf>,
}

impl PostgresTarget {
    /// The TLS settings.
    #[must_use]
    pub fn tls(&self) -> &Tls {
        match self {
            Self::Url { tls, .. } | Self::Parts { tls, .. } => tls,
        }
    }
}

impl DatabaseConfig {
    pub(super) fn read(environment: &Environment) -> Self {
        Self {
            target: read_target(environment),
            max_connections: environment.number("DB_MAX_CONNECTIONS", 10_u32, 1, 1_000),
            acquire_timeout: environment.duration("DB_ACQUIRE_TIMEOUT", Duration::from_secs(2)),
            rollups: environment.switch("ROLLUPS", true),
            rollup_refresh_interval: environment.duration("ROLLUP_REFRESH_INTERVAL", Duration::from_secs(10)),
            statement_timeout: environment.duration("DB_STATEMENT_TIMEOUT", Duration::from_secs(10)),
            pool_mode: environment.read("DB_POOL_MODE", None, "auto, session or transaction", |value| match value {
                "auto" => Some(None),
                "session" => Some(Some(PoolMode::Session)),
                "transaction" => Some(Some(PoolMode::Transaction)),
                _ => None,
            }),
        }
    }
}

fn read_target(environment: &Environment) -> DatabaseTarget {
    let tls = read_tls(environment);
    // All variables are read, whichever of them decide: only names that are read count as known, and others as
    // misspelt.
    let has_parts = POSTGRES.map(|name| environment.get_or_empty(name).is_some()).contains(&true);
    if let Some(url) = environment.get("DATABASE_URL") {
        return read_url(environment, url, tls);
    }
    if !has_parts {
        return DatabaseTarget::Embedded(PathBuf::from("data/coworking.db"));
    }
    let port = environment.number("DB_PORT", 5432_u16, 1, u16::MAX);
    let username = environment.get("DB_USERNAME").unwrap_or_else(|| {
        environment.reject("DB_USERNAME", "is not set; name the database role to connect as");
        String::new()
    });
    let password = environment.get_or_empty("DB_PASSWORD").unwrap_or_else(|| {
        environment
            .reject("DB_PASSWORD", "is not set; give the role's password, or set it to nothing where none is needed");
        String::new()
    });
    DatabaseTarget::Postgres(PostgresTarget::Parts {
        host: environment.get("DB_HOST").unwrap_or_else(|| "127.0.0.1".to_owned()),
        port,
        database: environment.get("DB_NAME").unwrap_or_else(|| "postgres".to_owned()),
        username,
        password: password.into(),
        tls,
    })
}

/// The URL is never shown, since it may contain a password.
fn read_url(environment: &Environment, url: String, tls: Tls) -> DatabaseTarget {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        if path.is_empty() || path == ":memory:" {
            environment.reject("DATABASE_URL", "must name a file after \"sqlite:\"");
        }
        return DatabaseTarget::Sqlite(Path::new(path).to_owned());
    }
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://"))
        || PgConnectOptions::from_str(&url).is_err()
    {
        environment.reject(
            "DATABASE_URL",
            "is not a database address; expected postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:PATH",
        );
    }
    let tls = Tls { mode: tls.mode.filter(|_| !url.contains("sslmode=")), ..tls };
    DatabaseTarget::Postgres(PostgresTarget::Url { url: url.into(), tls })
}

fn read_tls(environment: &Environment) -> Tls {
    let expected = "disable, allow, prefer, require, verify-ca or verify-full";
    let mode = environment.read("DB_SSLMODE", None, expected, |value| PgSslMode::from_str(value).ok().map(Some));
    let root_certificate = environment.get("DB_SSLROOTCERT").map(PathBuf::from);
    if let Some(path) = root_certificate.as_ref().filter(|path| !path.is_file()) {
        environment.reject("DB_SSLROOTCERT", format!("is \"{}\"; expected a readable PEM file", path.display()));
    }
    Tls { mode, root_certificate }
}

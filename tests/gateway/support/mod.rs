//! Support for the tests: real databases, the real router, and the real binary.

pub mod database;
pub mod pooler;
pub mod process;
pub mod requests;

use std::{
    cell::Cell,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
    response::Response,
};
use chrono::{DateTime, Utc};
use coworking_analytics::{
    clock::Clock,
    config::{Config, Environment},
    database::{Access, Database},
    http::{self, Gateway},
    reports::{Defaults, Reports},
    shutdown::Ending,
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub use self::database::{Backend, TestDatabase};

/// The time that tests' clocks show: noon (UTC) of the last day of the recorded data.
pub const NOW: &str = "2024-04-14T12:00:00Z";

/// Runs each test on both databases.
macro_rules! on_both_databases {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() { super::$test($crate::support::Backend::Sqlite).await })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() { super::$test($crate::support::Backend::Postgres).await })+
        }
    };
}
pub(crate) use on_both_databases;

/// Declares tests that need PostgreSQL. `make check` leaves out tests with `postgres` in their name.
macro_rules! on_postgres {
    ($($test:ident),+ $(,)?) => {
        mod only_postgres {
            $(#[tokio::test]
            async fn $test() { super::$test().await })+
        }
    };
}
pub(crate) use on_postgres;

/// The service on its own database, without a socket.
pub struct TestGateway {
    pub router: Router,
    pub reports: Reports,
    pub database: TestDatabase,
    pub ending: Ending,
    /// The time of its clock, which stands still unless a test sets it.
    pub now: Arc<Mutex<DateTime<Utc>>>,
}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }
}

impl TestGateway {
    /// A gateway on the recorded legacy data.
    pub async fn recorded(backend: Backend) -> Self {
        Self::on(TestDatabase::recorded(backend).await, &[]).await
    }

    /// A gateway on tables without rows.
    pub async fn empty(backend: Backend) -> Self {
        Self::on(TestDatabase::empty(backend).await, &[]).await
    }

    /// A gateway on the recorded legacy data in SQLite, with environment variables.
    pub async fn configured(variables: &[(&str, &str)]) -> Self {
        Self::on(TestDatabase::recorded(Backend::Sqlite).await, variables).await
    }

    /// A gateway on a given database, with environment variables.
    pub async fn on(database: TestDatabase, variables: &[(&str, &str)]) -> Self {
        // The gateway's log is shown when a test fails.
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_test_writer().try_init();
        let config = config(&database.url, variables);
        let pool = Database::connect(&config.database, Access::Report).await.unwrap();
        let now = Arc::new(Mutex::new(now()));
        let shown = Arc::clone(&now);
        let reports = Reports::new(pool, Clock::of(move || *shown.lock().unwrap()))
            .with_defaults(Defaults::of(&config.reports))
            .with_notes(&config.space.notes);
        let ending = Ending::default();
        let gateway = Gateway::new(reports.clone(), &config, ending.clone()).unwrap();
        Self { router: http::router(gateway), reports, database, ending, now }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        read(self.router.clone().oneshot(request).await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// The answer to a document, successful or not.
    pub async fn post(&self, query: &str, variables: Value) -> Answer {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let request = Request::post("/graphql").header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    /// The answer to a document as JSON: data and errors.
    pub async fn answer(&self, query: &str) -> Value {
        self.post(query, json!({})).await.json()
    }

    /// The data of the answer to a document; panics when there are errors.
    pub async fn query(&self, query: &str) -> Value {
        let mut answer = self.answer(query).await;
        assert!(answer.get("errors").is_none(), "{query}\n{answer:#}");
        answer["data"].take()
    }
}

/// How long the creation of a rollup may wait for other transactions.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The configuration for a test's database and environment variables.
pub fn config(url: &str, variables: &[(&str, &str)]) -> Config {
    // Access and budgets have their own tests.
    let usual = [
        ("DATABASE_URL", url),
        ("DB_MAX_CONNECTIONS", "4"),
        // Generous, because the machine may be busy.
        ("DB_ACQUIRE_TIMEOUT", "20s"),
        ("REQUEST_TIMEOUT", "30s"),
        ("ANONYMOUS_SCOPES", "reports,members"),
        ("RATE_LIMIT", "off"),
    ];
    let mut all: Vec<_> = usual.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    all.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let look_up = move |name: &str| all.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    Config::read(&Environment::new(look_up)).unwrap()
}

thread_local! {
    static CLOCK: Cell<Option<DateTime<Utc>>> = const { Cell::new(None) };
}

/// The time of this test's clocks; [`NOW`] unless the test sets it.
pub fn now() -> DateTime<Utc> {
    CLOCK.get().unwrap_or_else(|| NOW.parse().unwrap())
}

/// Sets the time of this test's clocks. Clocks of existing gateways must be set separately.
pub fn set_now(now: DateTime<Utc>) {
    CLOCK.set(Some(now));
}

pub async fn read(response: Response) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&bytes).into_owned() }
}

/// Creates a self-signed certificate for `host` and its key, in the files `tls.crt` and `tls.key`.
pub fn certify(folder: &Path, host: &str) {
    let files = [folder.join("tls.crt"), folder.join("tls.key")];
    let [certificate, key] = files.each_ref().map(|file| file.to_str().unwrap());
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", &format!("/CN={host}"), "-addext", &format!("subjectAltName=DNS:{host}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate])
        .output()
        .expect("openssl is not installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// The number of rounds of a random test: `usual`, or with `ROUNDS=10` ten times as many.
#[expect(clippy::disallowed_methods, reason = "the test run's own setting")]
pub fn rounds(usual: usize) -> usize {
    usual * std::env::var("ROUNDS").map_or(1, |times| times.parse().unwrap())
}

/// `count` texts, joined.
pub fn repeated(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().concat()
}

/// Compares an answer with the committed snapshot, which both databases share.
pub fn snapshot(name: &str, answer: &Value) {
    snapshot_text(name, &format!("{answer:#}"));
}

/// Compares a text with the committed snapshot.
pub fn snapshot_text(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateway/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

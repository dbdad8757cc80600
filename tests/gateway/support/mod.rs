//! What the tests stand on: real databases, the real router, and the real binary.

pub mod database;
pub mod process;
pub mod requests;

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
    reports::Reports,
    shutdown::Ending,
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub use self::database::{Backend, TestDatabase};

/// The moment at which tests look at the world: noon of the last day of the recorded data.
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

/// Tests that need PostgreSQL: `make check` leaves out whatever has `postgres` in its name.
macro_rules! on_postgres {
    ($($test:ident),+ $(,)?) => {
        mod only_postgres {
            $(#[tokio::test]
            async fn $test() { super::$test().await })+
        }
    };
}
pub(crate) use on_postgres;

/// The service on a database of its own, without a socket.
pub struct TestGateway {
    pub router: Router,
    pub reports: Reports,
    pub database: TestDatabase,
    pub ending: Ending,
    /// What its clock shows; it stands still unless a test moves it.
    pub now: Arc<Mutex<DateTime<Utc>>>,
}

/// An answer, read to its end.
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
    /// On the recorded legacy database.
    pub async fn recorded(backend: Backend) -> Self {
        Self::on(TestDatabase::recorded(backend).await, &[]).await
    }

    /// On tables without rows.
    pub async fn empty(backend: Backend) -> Self {
        Self::on(TestDatabase::empty(backend).await, &[]).await
    }

    /// On the recorded legacy database in SQLite, with variables of the environment.
    pub async fn configured(variables: &[(&str, &str)]) -> Self {
        Self::on(TestDatabase::recorded(Backend::Sqlite).await, variables).await
    }

    /// On a given database, with variables of the environment.
    pub async fn on(database: TestDatabase, variables: &[(&str, &str)]) -> Self {
        // What the gateway logs is shown when a test fails.
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_test_writer().try_init();
        let config = config(&database.url, variables);
        let pool = Database::connect(&config.database, Access::Report).await.unwrap();
        let now = Arc::new(Mutex::new(now()));
        let shown = Arc::clone(&now);
        let reports = Reports::new(pool, Clock::of(move || *shown.lock().unwrap()));
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

    /// The answer to a document, whatever it is.
    pub async fn post(&self, query: &str, variables: Value) -> Answer {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let request = Request::post("/graphql").header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    /// The whole answer to a document, data and errors.
    pub async fn answer(&self, query: &str) -> Value {
        self.post(query, json!({})).await.json()
    }

    /// The data of a document that must succeed.
    pub async fn query(&self, query: &str) -> Value {
        let mut answer = self.answer(query).await;
        assert!(answer.get("errors").is_none(), "{query}\n{answer:#}");
        answer["data"].take()
    }
}

/// How long making a rollup may wait for others.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The configuration that the gateway would read, on a test's database.
pub fn config(url: &str, variables: &[(&str, &str)]) -> Config {
    // Who may see what, and how much, is tested apart.
    let usual = [
        ("DATABASE_URL", url),
        ("DB_MAX_CONNECTIONS", "4"),
        // A busy machine is no outage.
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

/// What a test's clocks show: usually one and the same moment.
pub fn now() -> DateTime<Utc> {
    CLOCK.get().unwrap_or_else(|| NOW.parse().unwrap())
}

/// Has this test's clocks show another moment; those of gateways are set apart.
pub fn set_now(now: DateTime<Utc>) {
    CLOCK.set(Some(now));
}

pub async fn read(response: Response) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&bytes).into_owned() }
}

/// How often a test tries something at random, where so often is usual: `ROUNDS=10` makes it ten times as often.
#[expect(clippy::disallowed_methods, reason = "the test run's own setting")]
pub fn rounds(usual: usize) -> usize {
    usual * std::env::var("ROUNDS").map_or(1, |times| times.parse().unwrap())
}

/// So many texts, one after the other.
pub fn repeated(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().concat()
}

/// Holds an answer against the committed one, which both databases share.
pub fn snapshot(name: &str, answer: &Value) {
    snapshot_text(name, &format!("{answer:#}"));
}

/// Holds a text against the committed one.
pub fn snapshot_text(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateway/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

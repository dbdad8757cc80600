//! Doors for fuzzers, in `fuzz/` and in `tests/fuzzing.rs`: each takes bytes, and panics where a promise is broken.

use std::sync::{Arc, LazyLock};

use tokio::runtime::Runtime;

use crate::{
    clock::Clock,
    config::{Config, Environment},
    database::{Access, Database},
    http, reports,
    reports::{Reports, Session},
};

/// Takes bytes.
pub type Door = fn(&[u8]);

/// Every door by its name.
pub const DOORS: [(&str, Door); 5] = [
    ("filters", |bytes| reports::fuzzing::filters(bytes, &SESSION.1)),
    ("cursors", reports::fuzzing::cursors),
    ("time_zones", reports::fuzzing::time_zones),
    ("query_strings", |bytes| http::fuzzing::query_strings(bytes, &SESSION.1)),
    ("csv", http::fuzzing::csv),
];

/// A session that nothing is asked of: it knows what time it is.
static SESSION: LazyLock<(Runtime, Arc<Session>)> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap_or_else(|error| panic!("{error}"));
    let session = runtime.block_on(async {
        let path = std::env::temp_dir().join(format!("fuzzing-{}.db", std::process::id()));
        let url = format!("sqlite:{}", path.display());
        let environment = Environment::new(move |name| (name == "DATABASE_URL").then(|| url.clone()));
        let config = Config::read(&environment).unwrap_or_else(|error| panic!("{error}"));
        let database = Database::connect(&config.database, Access::Maintain).await;
        let database = database.unwrap_or_else(|error| panic!("{error}"));
        let now = "2026-11-23T12:00:00Z".parse().unwrap_or_default();
        let session = Reports::new(database, Clock::of(move || now)).session();
        let _ = std::fs::remove_file(path);
        session
    });
    (runtime, session)
});

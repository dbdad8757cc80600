//! Behind PgBouncer: every answer is right, and no transaction leaves anything to the session that it ran in, which
//! another program may get next.

use std::{
    collections::BTreeSet,
    str::FromStr as _,
    time::{Duration, Instant},
};

use coworking_analytics::{
    database::{Access, Database},
    reports::{Version, rollup},
};
use futures_util::future::join_all;
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DbBackend, QueryResult, Statement, TransactionTrait as _,
    sqlx::{
        self, Row as _,
        postgres::{PgConnectOptions, PgPoolOptions},
    },
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Backend, PATIENCE, TestDatabase, TestGateway, config, on_postgres,
    pooler::Pooler,
    process::{self, Service, query, run},
};

on_postgres!(
    the_mode_may_be_told,
    many_at_once_are_answered_as_without_a_pooler,
    nothing_is_left_in_the_sessions_of_others,
    reports_cannot_write_and_end_in_time,
    kept_answers_are_kept_and_stay_fresh,
    services_refresh_the_rollup,
    commands_work_or_say_where_they_do,
    a_pooler_of_statements_is_refused_with_a_sentence,
);

/// Reports of one statement, of several in one snapshot, and a wrong one.
const QUESTIONS: [&str; 5] = [
    "{ dailyUsage { date visits uniqueVisitors } usage(granularity: MONTH) { totals { newVisitors } } }",
    "{ usage(granularity: MONTH) { buckets { start visits } totals { visits } previous { totals { visits } } } heatmap { visits } }",
    "{ userVisits(first: 5) { totalCount nodes { visits user { firstName } } } }",
    "{ tokenFunnel { tokensIssued } frequency { visits members } segments { members } membership { joined stopped } retention { label members } forecast { learnedTo } }",
    "{ dailyUsage(filter: { from: \"never\" }) { visits } }",
];

async fn rows(connection: &DatabaseConnection, sql: &str) -> Vec<QueryResult> {
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    connection.query_all_raw(statement).await.unwrap()
}

/// A connection as another program has it, which knows nothing of poolers.
async fn other_program(url: &str) -> sqlx::PgPool {
    let options = PgConnectOptions::from_str(url).unwrap().extra_float_digits(None);
    PgPoolOptions::new().max_connections(4).connect_with(options).await.unwrap()
}

async fn many_at_once_are_answered_as_without_a_pooler() {
    let direct = TestGateway::recorded(Backend::Postgres).await;
    let mut expected = Vec::new();
    for question in QUESTIONS {
        expected.push(direct.answer(question).await);
    }
    for (mode, lines) in [
        ("transaction", ""),
        ("transaction", "ignore_startup_parameters = options,extra_float_digits"),
        ("session", ""),
        ("session", "ignore_startup_parameters = options"),
    ] {
        let pooler = Pooler::start(&direct.database, mode, lines).await;
        // Without kept answers, so that every request asks the database.
        let variables = [("CACHE_BYTES", "0"), ("DB_MAX_CONNECTIONS", if mode == "session" { "1" } else { "6" })];
        let gateway = TestGateway::on(direct.database.through(pooler.url()).await, &variables).await;
        let answers = join_all((0..40).map(|n| gateway.answer(QUESTIONS[n % QUESTIONS.len()]))).await;
        for (n, answer) in answers.iter().enumerate() {
            assert_eq!(answer, &expected[n % QUESTIONS.len()], "{mode} {lines}\n{}", pooler.log());
        }
    }
}

/// Without a pooler, and with one that gives each connection a session.
async fn the_mode_may_be_told() {
    let direct = TestGateway::recorded(Backend::Postgres).await;
    let pooler = Pooler::start(&direct.database, "session", "").await;
    let session = "SELECT current_setting('default_transaction_read_only'), \
                   (SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT 1') > 0 AS is_kept";
    for (url, mode) in [(&direct.database.url, "transaction"), (&pooler.url(), "session")] {
        let variables = [("CACHE_BYTES", "0"), ("DB_MAX_CONNECTIONS", "1"), ("DB_POOL_MODE", mode)];
        let gateway = TestGateway::on(direct.database.through(url.clone()).await, &variables).await;
        for question in QUESTIONS {
            assert_eq!(gateway.answer(question).await, direct.answer(question).await, "{mode}");
        }
        let reports = Database::connect(&config(url, &variables).database, Access::Report).await.unwrap();
        rows(reports.connection(), "SELECT 1").await;
        let state = &rows(reports.connection(), session).await[0];
        let is_read_only: String = state.try_get_by_index(0).unwrap();
        assert_eq!(is_read_only, if mode == "session" { "on" } else { "off" }, "the session of {mode}");
        assert_eq!(state.try_get::<bool>("", "is_kept").unwrap(), mode == "session", "statements of {mode}");
    }
}

async fn nothing_is_left_in_the_sessions_of_others() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let pooler = Pooler::start(&database, "transaction", "").await;
    let gateway = TestGateway::on(database.through(pooler.url()).await, &[("CACHE_BYTES", "0")]).await;
    let one = config(&pooler.url(), &[("DB_MAX_CONNECTIONS", "1")]).database;
    let writer = Database::connect(&one, Access::Maintain).await.unwrap();
    writer.connection().execute_unprepared("UPDATE users SET is_active = true WHERE id = 1").await.unwrap();
    join_all((0..40).map(|n| gateway.answer(QUESTIONS[n % QUESTIONS.len()]))).await;
    // A request that is given up leaves its transaction to nobody.
    let given_up = gateway.answer(QUESTIONS[3]);
    let _ = tokio::time::timeout(Duration::from_millis(2), given_up).await;
    join_all((0..4).map(|_| gateway.answer(QUESTIONS[1]))).await;
    assert_nothing_is_left(&pooler).await;
}

/// As the coworking service finds them with the same role: all sessions that there are. PgBouncer's own statements,
/// from 1.21 on, are no one's.
async fn assert_nothing_is_left(pooler: &Pooler) {
    let service = other_program(&pooler.url()).await;
    let mut sessions = BTreeSet::new();
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut transaction = service.begin().await.unwrap();
        let state = "SELECT pg_backend_pid()::text || ' ' || concat_ws(' ', current_setting('statement_timeout'), \
                     current_setting('lock_timeout'), current_setting('default_transaction_read_only'), \
                     current_setting('transaction_isolation'), current_setting('jit'), current_setting('search_path'), \
                     (SELECT count(*) FROM pg_prepared_statements WHERE name NOT LIKE 'PGBOUNCER%'), \
                     (SELECT count(*) FROM pg_cursors))";
        let raw = sqlx::raw_sql(state).fetch_one(&mut *transaction).await.unwrap();
        let state: String = raw.try_get(0).unwrap();
        let (session, left) = state.split_once(' ').unwrap();
        sessions.insert(session.to_owned());
        assert_eq!(left, "0 0 off read committed on \"$user\", public 0 0");
        let insert = "INSERT INTO tokens (user_id, token, created_at) VALUES (1, '------', '2030-01-01 12:00:00')";
        sqlx::raw_sql(insert).execute(&mut *transaction).await.unwrap();
        open.push(transaction);
    }
    assert_eq!(sessions.len(), 2, "both sessions were looked at");
}

async fn reports_cannot_write_and_end_in_time() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    for mode in ["transaction", "session"] {
        let pooler = Pooler::start(&database, mode, "").await;
        let variables = [("DB_STATEMENT_TIMEOUT", "300ms"), ("DB_MAX_CONNECTIONS", "1")];
        let reports = Database::connect(&config(&pooler.url(), &variables).database, Access::Report).await.unwrap();
        for _ in 0..2 {
            let connection = reports.connection();
            for statement in ["DELETE FROM tokens", "UPDATE users SET is_active = true", "CREATE TABLE mine (id INT)"] {
                let refused = connection.execute_unprepared(statement).await.unwrap_err().to_string();
                assert!(refused.contains("read-only transaction"), "{mode}: {refused}");
            }
            let snapshot = connection.begin().await.unwrap();
            let slow = snapshot.execute_unprepared("SELECT pg_sleep(20)").await.unwrap_err().to_string();
            assert!(slow.contains("statement timeout"), "{mode}: {slow}");
            snapshot.rollback().await.unwrap();
            assert_eq!(rows(connection, "SELECT 1").await.len(), 1);
        }
    }
}

/// The version of the data; a busy machine may take longer than a check waits.
async fn current(gateway: &TestGateway) -> Version {
    let found = async {
        loop {
            if let Some(version) = gateway.reports.version().await {
                return version;
            }
        }
    };
    tokio::time::timeout(process::PATIENCE, found).await.unwrap()
}

/// With a rollup, since without one a change in any database of the cluster counts as a change.
async fn kept_answers_are_kept_and_stay_fresh() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    rollup::create(&database.owner, PATIENCE).await.unwrap();
    while rollup::refresh(&database.owner).await.unwrap() != rollup::Progress::Done {}
    let pooler = Pooler::start(&database, "transaction", "").await;
    let rights = format!("GRANT SELECT ON rollup_days, rollup_users, rollup_log, rollup_state TO {}", pooler.role);
    database.execute(&rights).await;
    // Two connections that check, so that they get both sessions in turn.
    let gateway = TestGateway::on(database.through(pooler.url()).await, &[]).await;
    gateway.reports.look_for_rollup().await.unwrap();
    assert!(gateway.reports.reads_rollup());
    let other = other_program(&pooler.url()).await;
    let version = current(&gateway).await;
    for _ in 0..5 {
        // The check runs in the session that is free.
        let mut elsewhere = other.begin().await.unwrap();
        sqlx::raw_sql("SELECT 1").execute(&mut *elsewhere).await.unwrap();
        assert_eq!(current(&gateway).await, version, "nothing was changed");
        elsewhere.rollback().await.unwrap();
    }
    let count = "{ dailyUsage(filter: { from: \"2030-01-01\" }) { tokensIssued } }";
    for expected in [Value::Null, json!(1), json!(2)] {
        assert_eq!(gateway.query(count).await["dailyUsage"][0]["tokensIssued"], expected);
        let issue = "INSERT INTO tokens (user_id, token, created_at) VALUES (1, '------', '2030-01-01 12:00:00')";
        database.execute(issue).await;
        assert_ne!(current(&gateway).await, version);
    }
}

async fn services_refresh_the_rollup() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    rollup::create(&database.owner, PATIENCE).await.unwrap();
    let pooler = Pooler::start(&database, "transaction", "").await;
    let rights = format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON rollup_days, rollup_users, rollup_log, rollup_state TO {}",
        pooler.role
    );
    database.execute(&rights).await;
    let variables = [("DATABASE_URL", pooler.url()), ("ROLLUP_REFRESH_INTERVAL", "100ms".to_owned())];
    let service = Service::start(&variables.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    service.wait_for_log("a pooler is in front of the database").await;
    service.wait_for_log("reports read the rollup from now on").await;
    for round in 1..=3 {
        database
            .execute("INSERT INTO tokens (user_id, token, created_at) VALUES (1, '------', '2030-01-01 12:00:00')")
            .await;
        // The refresh is stored: the log becomes empty again.
        let started = Instant::now();
        while rows(&database.owner, "SELECT 1 FROM rollup_log LIMIT 1").await.len() == 1 {
            assert!(started.elapsed() < process::PATIENCE, "never refreshed:\n{}", service.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let count = "{ dailyUsage(filter: { from: \"2030-01-01\" }) { tokensIssued } }";
        let answer = query(service.address, count).await.unwrap();
        assert_eq!(answer.json()["data"]["dailyUsage"][0]["tokensIssued"], json!(round), "{}", service.log());
    }
    let log = service.log();
    assert!(!log.contains("ERROR") && !log.contains("prepared statement"), "{log}");
    service.signal("TERM");
    drop(service);
    assert_nothing_is_left(&pooler).await;
}

async fn commands_work_or_say_where_they_do() {
    let database = TestDatabase::empty(Backend::Postgres).await;
    let pooler = Pooler::start(&database, "transaction", "").await;
    let (folder, url) = (TempDir::new().unwrap(), pooler.url());
    let told = |arguments: &[&str]| {
        run(folder.path(), &[("DATABASE_URL", &url), ("ROLLUP_REFRESH_INTERVAL", "1ms")], arguments)
    };
    assert_eq!(told(&["migrate", "status"]).0, 0);
    let (code, _, err) = told(&["seed", "--users", "20", "--tokens", "7000", "--days", "30"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(rows(&database.owner, "SELECT 1 FROM tokens").await.len(), 7_000, "it was stored before the end");
    let (code, _, err) = told(&["rollup", "create"]);
    assert!(code == 1 && err.contains("a pooler is in front") && err.contains("DB_HOST"), "{err}");
    // What needs a session is done at the server; the rest also through the pooler.
    let direct = format!("postgres://{0}:secret_{0}@{1}", pooler.role, database.url.rsplit_once('@').unwrap().1);
    let (code, _, err) = run(folder.path(), &[("DATABASE_URL", &direct)], &["rollup", "create"]);
    assert_eq!(code, 0, "{err}");
    for (step, expected) in
        [("status", "up to date"), ("rebuild", "up to date"), ("refresh", "up to date"), ("verify", "up to date")]
    {
        let (code, out, err) = told(&["rollup", step]);
        assert!(code == 0 && out.contains(expected), "{step}: {out}{err}");
    }
    let (code, _, err) = told(&["rollup", "upgrade"]);
    assert!(code == 1 && err.contains("a pooler is in front"), "{err}");
    let (code, _, err) = run(
        folder.path(),
        &[
            ("DATABASE_URL", &url),
            ("ROLLUP_REFRESH_INTERVAL", "1ms"),
            ("REQUEST_TIMEOUT", "20ms"),
            ("DB_STATEMENT_TIMEOUT", "10ms"),
        ],
        &["rollup", "drop"],
    );
    assert_eq!(code, 0, "{err}");
    assert_eq!(rows(&database.owner, "SELECT 1 WHERE to_regclass('rollup_state') IS NULL").await.len(), 1);
    // The last migration made the functions; the one before has no effect on PostgreSQL; the one before that made the views.
    for _ in 0..3 {
        let (code, out, err) = told(&["migrate", "down"]);
        assert!(code == 0 && out.contains("pending"), "{out}{err}");
    }
    assert_eq!(rows(&database.owner, "SELECT 1 WHERE to_regclass('report_daily_usage') IS NULL").await.len(), 1);
}

async fn a_pooler_of_statements_is_refused_with_a_sentence() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let pooler = Pooler::start(&database, "statement", "").await;
    let folder = TempDir::new().unwrap();
    let (code, _, err) = run(folder.path(), &[("DATABASE_URL", &pooler.url())], &["migrate"]);
    assert!(code == 1 && err.contains("pool_mode") && !err.contains("secret"), "{err}");
    let service = Service::spawn(&[("DATABASE_URL", &pooler.url())]);
    service.wait_for_log("pool_mode").await;
    assert_eq!(service.get("/readiness_check").await.status, 500);
}

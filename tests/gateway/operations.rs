//! Failures in operation, with the real binary: stops, slow statements, and databases that become unavailable.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use coworking_analytics::database::{Access, Database};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    Backend, TestDatabase, TestGateway, config,
    database::{waiting, waits_for_a_lock},
    on_postgres,
    process::{PATIENCE, Service, query},
    requests::until,
    snapshot,
};

on_postgres!(
    a_stop_lets_requests_in_flight_finish,
    a_stop_does_not_wait_for_ever,
    a_statement_timeout_cancels_the_statement_in_the_database,
    a_request_timeout_ends_what_waits_for_a_connection,
    a_busy_pool_is_no_outage,
    an_exhausted_pool_is_told_from_an_outage,
    a_gateway_cannot_write,
    what_a_standby_gives_up_is_asked_once_more,
);

const DAILY: &str = "query Daily { dailyUsage { date visits } }";

async fn a_stop_lets_requests_in_flight_finish() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let mut service =
        Service::start(&[("DATABASE_URL", &database.url), ("USAGE_LOG_INTERVAL", "off"), ("LOG_FORMAT", "json")]).await;
    // Reads of door codes now wait for this transaction.
    let lock = database.owner.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (answer, ()) = tokio::join!(service.query(DAILY), async {
        waits_for_a_lock(&lock).await;
        service.signal("TERM");
        // Requests are still served while load balancers notice the stop.
        service.wait_for("/readiness_check", 500).await;
        assert_eq!(service.get("/health_check").await.status, 200);
        lock.commit().await.unwrap();
    });
    assert_eq!(answer.unwrap().json()["data"]["dailyUsage"][0], json!({ "date": "2024-03-01", "visits": 18 }));
    assert_eq!(service.ended().await.code(), Some(0));
    let log = service.log();
    assert!(log.contains("\"operation\":\"Daily\"") && log.contains("every request was answered"), "{log}");
}

async fn a_stop_does_not_wait_for_ever() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let variables =
        [("DATABASE_URL", database.url.as_str()), ("SHUTDOWN_TIMEOUT", "300ms"), ("USAGE_LOG_INTERVAL", "off")];
    let mut service = Service::start(&variables).await;
    let lock = database.owner.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let address = service.address;
    let (cut_off, status) = tokio::join!(query(address, DAILY), async {
        waits_for_a_lock(&lock).await;
        service.signal("INT");
        service.ended().await
    });
    assert!(cut_off.is_err(), "the request was cut off");
    assert_eq!(status.code(), Some(0));
    assert!(service.log().contains("SHUTDOWN_TIMEOUT"), "{}", service.log());
}

async fn a_statement_timeout_cancels_the_statement_in_the_database() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let gateway = TestGateway::on(database, &[("DB_STATEMENT_TIMEOUT", "200ms")]).await;
    let lock = gateway.database.owner.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let answer = gateway.post(DAILY, json!({})).await;
    assert_eq!(answer.status, 504);
    snapshot("error_request_timeout", &answer.json());
    assert_eq!(gateway.get("/api/reports/daily_usage").await.status, 500);
    assert_eq!(waiting(&lock).await, 0, "nothing goes on in the database");
    lock.commit().await.unwrap();
    assert_eq!(gateway.post(DAILY, json!({})).await.status, 200);
}

async fn a_request_timeout_ends_what_waits_for_a_connection() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let variables = [
        ("DB_MAX_CONNECTIONS", "1"),
        ("DB_ACQUIRE_TIMEOUT", "20s"),
        ("DB_STATEMENT_TIMEOUT", "500ms"),
        ("REQUEST_TIMEOUT", "600ms"),
    ];
    let gateway = TestGateway::on(database, &variables).await;
    let lock = gateway.database.owner.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let answers = futures_util::future::join_all((0..4).map(|_| gateway.post(DAILY, json!({})))).await;
    for answer in answers {
        assert_eq!(answer.json()["errors"][0]["extensions"]["code"], "REQUEST_TIMEOUT");
    }
}

async fn a_busy_pool_is_no_outage() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    // Cached answers would not wait for the database.
    let variables = [("DB_MAX_CONNECTIONS", "1"), ("READINESS_TIMEOUT", "100ms"), ("CACHE_BYTES", "0")];
    let gateway = TestGateway::on(database, &variables).await;
    let lock = gateway.database.owner.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE").await.unwrap();
    // No report was answered yet, so a probe without an answer counts as a failure.
    assert_eq!(gateway.get("/readiness_check").await.status, 500);
    lock.commit().await.unwrap();
    assert_eq!(gateway.post(DAILY, json!({})).await.status, 200);
    let lock = gateway.database.owner.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (answer, ()) = tokio::join!(gateway.post(DAILY, json!({})), async {
        waits_for_a_lock(&lock).await;
        assert_eq!(gateway.get("/readiness_check").await.status, 200);
        lock.commit().await.unwrap();
    });
    assert_eq!(answer.status, 200);
}

async fn an_exhausted_pool_is_told_from_an_outage() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let variables = [("DB_MAX_CONNECTIONS", "2"), ("DB_ACQUIRE_TIMEOUT", "1s"), ("CACHE_BYTES", "0")];
    let gateway = TestGateway::on(database, &variables).await;
    // Both connections are open from here on: on a busy machine, it takes a while to open one.
    until(async || {
        let (first, second) = tokio::join!(gateway.post(DAILY, json!({})), gateway.post(DAILY, json!({})));
        (first.status.as_u16(), second.status.as_u16()) == (200, 200)
    })
    .await;
    let lock = gateway.database.owner.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let beside = async {
        while waiting(&lock).await < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The probe gets no connection either, and waits for one longer than DB_ACQUIRE_TIMEOUT.
        assert_eq!(gateway.get("/readiness_check").await.status, 200);
        let refused = gateway.post(DAILY, json!({})).await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, ""));
        let error = refused.json()["errors"][0].take();
        assert_eq!(error["extensions"]["code"], "DATABASE_BUSY");
        assert_eq!(error["message"], "The database is busy with other requests: try again shortly.");
        for (path, status, retry_after) in [
            ("/api/reports/usage", 503, "1"),
            ("/api/reports/members", 503, "1"),
            ("/api/reports/daily_usage", 500, ""),
        ] {
            let refused = gateway.get(path).await;
            assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (status, retry_after), "{path}");
            assert_eq!(refused.json()["errors"][0]["extensions"]["code"], "DATABASE_BUSY", "{path}");
        }
        lock.commit().await.unwrap();
    };
    let (first, second, ()) = tokio::join!(gateway.post(DAILY, json!({})), gateway.post(DAILY, json!({})), beside);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
}

#[tokio::test]
async fn the_embedded_database_has_a_statement_timeout_too() {
    let database = TestDatabase::empty(Backend::Sqlite).await;
    let numbers = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 200000)";
    database
        .execute(&format!(
            "INSERT INTO users (first_name, last_name, joined_at) VALUES ('First', 'Last', '2024-01-01 00:00:00');
             INSERT INTO tokens (user_id, token, created_at) {numbers} SELECT 1, 'sample', '2024-03-01 00:00:00' FROM n"
        ))
        .await;
    let gateway = TestGateway::on(database, &[("DB_STATEMENT_TIMEOUT", "1ms")]).await;
    let answer = gateway.post("{ dailyUsage(timeZone: \"Europe/Berlin\") { date uniqueVisitors } }", json!({})).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["errors"][0]["extensions"]["code"]),
        (504, &json!("REQUEST_TIMEOUT"))
    );
}

async fn a_gateway_cannot_write() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = TestDatabase::recorded(backend).await;
        let pool = Database::connect(&config(&database.url, &[]).database, Access::Report).await.unwrap();
        let error = pool.connection().execute_unprepared("DELETE FROM tokens").await.unwrap_err().to_string();
        assert!(error.contains("read-only") || error.contains("readonly"), "{backend:?}: {error}");
    }
}

#[tokio::test]
async fn a_database_that_goes_away_and_comes_back_under_load() {
    let folder = TempDir::new().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let cluster = folder.path().join("cluster");
    let url = postgres("start", &cluster);
    let schema_and_data =
        crate::support::database::fixture("schema.sql") + &crate::support::database::fixture("data.sql");
    std::fs::write(folder.path().join("legacy.sql"), schema_and_data).unwrap();
    let loaded =
        Command::new("psql").args([url.trim(), "-X", "-q", "-f"]).arg(folder.path().join("legacy.sql")).status();
    assert!(loaded.unwrap().success());
    let service =
        Service::start(&[("DATABASE_URL", url.trim()), ("USAGE_LOG_INTERVAL", "off"), ("LOG_FORMAT", "json")]).await;

    let stop = Arc::new(AtomicBool::new(false));
    let statuses = Arc::new(Mutex::new(Vec::new()));
    let ask = || ask_until(service.address, Arc::clone(&stop), Arc::clone(&statuses));
    let clients: Vec<_> = (0..8).map(|_| tokio::spawn(ask())).collect();
    let answered = |status| statuses.lock().unwrap().iter().filter(|answered| **answered == status).count();
    let until = async |status| {
        let waiting = async {
            while answered(status) == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("no client was answered {status}"));
    };
    until(200).await;
    postgres("stop", &cluster);
    service.wait_for("/readiness_check", 500).await;
    assert_eq!(service.get("/health_check").await.status, 200, "an outage is no reason for a restart");
    snapshot("error_service_unavailable", &service.query(DAILY).await.unwrap().json());
    for _ in 0..20 {
        let answer = service.query(DAILY).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["errors"][0]["extensions"]["code"]),
            (503, &json!("SERVICE_UNAVAILABLE"))
        );
        assert_eq!(service.get("/api/reports/user_visits").await.status, 500);
    }
    until(503).await;
    postgres("start", &cluster);
    service.wait_for("/readiness_check", 200).await;
    let answer = service.query(DAILY).await.unwrap();
    assert_eq!(answer.json()["data"]["dailyUsage"][0], json!({ "date": "2024-03-01", "visits": 18 }));
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    postgres("stop", &cluster);
    let all = statuses.lock().unwrap().len();
    assert_eq!(answered(200) + answered(503), all, "{statuses:?}");
}

/// Repeats a query and records the statuses; panics on a status 200 with wrong numbers.
async fn ask_until(address: std::net::SocketAddr, stop: Arc<AtomicBool>, statuses: Arc<Mutex<Vec<u16>>>) {
    while !stop.load(Ordering::Relaxed) {
        let answer = query(address, DAILY).await.unwrap();
        if answer.status == 200 {
            assert_eq!(answer.json()["data"]["dailyUsage"][0]["visits"], 18);
        }
        statuses.lock().unwrap().push(answer.status.as_u16());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn postgres(command: &str, cluster: &Path) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres.sh");
    let output = Command::new(script).arg(command).arg(cluster).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Imitates a standby that cancels statements in conflict with recovery: the first statement of each session fails.
async fn what_a_standby_gives_up_is_asked_once_more() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    database
        .execute(
            "CREATE FUNCTION give_up() RETURNS BOOLEAN LANGUAGE plpgsql AS $$ BEGIN
                 -- A lock of the session outlives the statement.
                 IF NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 40001 AND pid = pg_backend_pid()) THEN
                     PERFORM pg_advisory_lock_shared(40001);
                     RAISE EXCEPTION 'canceling statement due to conflict with recovery' USING ERRCODE = 'serialization_failure';
                 END IF;
                 RETURN TRUE;
             END $$;
             ALTER TABLE tokens RENAME TO all_tokens;
             CREATE VIEW tokens AS SELECT * FROM all_tokens WHERE give_up()",
        )
        .await;
    let gateway = TestGateway::on(database, &[("DB_MAX_CONNECTIONS", "1"), ("CACHE_BYTES", "0")]).await;
    let day = gateway.query("{ dailyUsage(first: 1) { visits } }").await;
    assert_eq!(day["dailyUsage"][0]["visits"], 18);
    // When the second attempt fails too, the error says that trying again later helps.
    gateway.database.execute("CREATE OR REPLACE FUNCTION give_up() RETURNS BOOLEAN LANGUAGE plpgsql AS $$ BEGIN \
        RAISE EXCEPTION 'canceling statement due to conflict with recovery' USING ERRCODE = 'serialization_failure'; END $$").await;
    let answer = gateway.answer("{ dailyUsage(first: 1) { visits } }").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "SERVICE_UNAVAILABLE", "{answer}");
}

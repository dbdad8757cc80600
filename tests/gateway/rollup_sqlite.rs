//! The rollup in SQLite: answers are those of the door codes, whatever is written, by which statement, and whatever
//! happens to the file.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use coworking_analytics::reports::rollup::{self, Portion, Position, Progress};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};

use crate::{
    rollup::{Asked, asked_twice, assert_same, connect, difference, refresh_to_the_end},
    support::{
        Backend, PATIENCE, TestDatabase, TestGateway,
        process::{Service, query, run},
        rounds,
    },
};

/// A gateway on the recorded data that reads an up-to-date rollup.
async fn rolled_up() -> TestGateway {
    rolled_up_on(TestDatabase::recorded(Backend::Sqlite).await).await
}

async fn rolled_up_on(database: TestDatabase) -> TestGateway {
    rollup::create(&database.owner, PATIENCE).await.unwrap();
    refresh_to_the_end(&database.owner).await;
    let gateway = TestGateway::on(database, &[]).await;
    look(&gateway).await;
    assert!(gateway.reports.reads_rollup());
    gateway
}

async fn look(gateway: &TestGateway) {
    gateway.reports.look_for_rollup().await.unwrap();
}

/// All answers by both times, in a zone with whole hours and in one without.
async fn compare(gateway: &TestGateway, when: &str) {
    for (zone, basis) in [("UTC", "ISSUED_AT"), ("America/St_Johns", "USED_AT")] {
        let asked = Asked::of(zone, basis);
        let [kept, counted] = asked_twice(gateway, &asked).await;
        assert!(kept == counted, "{when}, {asked:?}: {}", difference(&kept.0, &counted.0));
    }
}

async fn number(connection: &DatabaseConnection, sql: &str) -> i64 {
    let row = connection.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// A time as some program writes it, or a value that is none.
fn time(random: &mut fastrand::Rng) -> String {
    const ODD: [&str; 11] = [
        "'2023-02-31 24:00:00'",
        "'2024-02-30  24:00'",
        "'12:00'",
        "2460007.5",
        "'2460370.75'",
        "'now'",
        "'no time'",
        "'-4713-11-24 12:00:00'",
        "'0000-03-01 10:00'",
        "1e300",
        "x'00ff'",
    ];
    if random.u8(..12) == 0 {
        return ODD[random.usize(..ODD.len())].to_owned();
    }
    let day = ["2024-03-01", "2024-03-31", "2009-11-01", "2024-06-30", "1969-07-20"][random.usize(..5)];
    let (hour, minute, second) = (random.u8(..24), random.u8(..60), random.u8(..60));
    match random.u8(..6) {
        0 => format!("'{day}T{hour:02}:{minute:02}:{second:02}Z'"),
        1 => format!("'{day}'"),
        2 => format!("'{day} {hour:02}:{minute:02}:{second:02}.25+00:00'"),
        _ => format!("'{day} {hour:02}:{minute:02}:{second:02}.{:06}'", random.u32(..1_000_000)),
    }
}

/// A statement that changes door codes.
fn statement(random: &mut fastrand::Rng) -> String {
    let (at, other, member, id) = (time(random), time(random), random.u8(1..=20), random.u16(1..900));
    let used = if random.bool() { other.clone() } else { "NULL".to_owned() };
    let some = format!("id IN (SELECT id FROM tokens WHERE user_id = {member} ORDER BY id LIMIT {})", random.u8(1..=3));
    let or = ["", " OR REPLACE", " OR IGNORE", " OR FAIL", " OR ABORT"][random.usize(..5)];
    match random.u8(..9) {
        0 | 1 => format!(
            "INSERT{or} INTO tokens (user_id, token, created_at, used_at) VALUES ({member}, hex(randomblob(3)), {at}, {used})"
        ),
        2 => format!("UPDATE{or} tokens SET used_at = {at} WHERE used_at IS NULL AND {some}"),
        3 => format!(
            "UPDATE tokens SET created_at = {at}, used_at = {used}, user_id = {} WHERE {some}",
            random.u8(1..=20)
        ),
        4 => format!("DELETE FROM tokens WHERE {some}"),
        5 => format!(
            "INSERT OR REPLACE INTO tokens (id, user_id, token, created_at, used_at) VALUES ({id}, {member}, hex(randomblob(3)), {at}, {used})"
        ),
        6 => format!(
            "UPDATE OR REPLACE tokens SET id = {id} WHERE id = (SELECT min(id) FROM tokens WHERE user_id = {member})"
        ),
        7 => format!(
            "INSERT OR REPLACE INTO tokens (user_id, token, created_at, used_at) SELECT {member}, token, {at}, {used} FROM tokens WHERE {some}"
        ),
        _ => format!(
            "WITH RECURSIVE few (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM few WHERE n < {}) \
             INSERT INTO tokens (user_id, token, created_at, used_at) SELECT 1 + n % 20, hex(randomblob(3)), \
             datetime('2024-03-01 12:00', n || ' hours'), CASE WHEN n % 3 THEN {used} END FROM few",
            random.u8(..60)
        ),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_is_exact_whatever_happens_meanwhile() {
    const TRANSACTIONS: usize = 40;
    const READS: usize = 6;
    let (transactions, enough) = (rounds(TRANSACTIONS), rounds(READS));
    let database = TestDatabase::recorded(Backend::Sqlite).await;
    // Rows are replaced by their id, or by their door code.
    database
        .execute("UPDATE tokens SET token = hex(id); CREATE UNIQUE INDEX one_of_each ON tokens (token COLLATE NOCASE)")
        .await;
    let gateway = Arc::new(rolled_up_on(database).await);
    let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let reader = {
        let (gateway, stop, reads) = (Arc::clone(&gateway), Arc::clone(&stop), Arc::clone(&reads));
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(100);
            while !stop.load(Ordering::SeqCst) {
                assert_same(&gateway, &Asked::at_random(&mut random)).await;
                reads.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let refresher = {
        let (connection, stop) = (connect(&gateway.database).await, Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                rollup::refresh(&connection).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };
    let mut writers = Vec::new();
    for writer in 0..2 {
        let (connection, reads) = (connect(&gateway.database).await, Arc::clone(&reads));
        writers.push(tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(writer);
            for done in 0..100 * transactions {
                if done >= transactions && reads.load(Ordering::SeqCst) >= enough {
                    break;
                }
                connection.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
                for _ in 0..random.usize(1..=3) {
                    let sql = statement(&mut random);
                    let done = connection.execute_unprepared(&sql).await.map_err(|error| error.to_string());
                    // Some statements fail without a rollup, too.
                    assert!(
                        done.as_ref().map_or_else(|error| error.contains("tokens."), |_| true),
                        "{done:?} in {sql}"
                    );
                }
                let end = if random.u8(..5) == 0 { "ROLLBACK" } else { "COMMIT" };
                connection.execute_unprepared(end).await.unwrap();
                tokio::time::sleep(Duration::from_millis(random.u64(..9))).await;
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    refresher.await.unwrap();
    reader.await.unwrap();
    // With an empty log, the whole answer comes from the rollup; and it is what a new one would be.
    refresh_to_the_end(&gateway.database.owner).await;
    look(&gateway).await;
    assert!(gateway.reports.reads_rollup());
    compare(&gateway, "at the end").await;
    assert_eq!(differences(&gateway.database.owner).await, <[String; 0]>::default());
}

/// The places in which the whole rollup differs from the door codes.
async fn differences(connection: &DatabaseConnection) -> Vec<String> {
    let (mut position, mut differences) = (Position::default(), Vec::new());
    loop {
        differences.extend(rollup::verify(connection, &mut position, Portion::Large).await.unwrap());
        if position.is_at_an_end() {
            return differences;
        }
    }
}

/// After each random statement alone, the log names all that it changed.
#[tokio::test]
async fn each_statement_is_logged() {
    let gateway = rolled_up().await;
    let owner = &gateway.database.owner;
    gateway
        .database
        .execute("UPDATE tokens SET token = hex(id); CREATE UNIQUE INDEX one_of_each ON tokens (token)")
        .await;
    rollup::upgrade(owner, PATIENCE).await.unwrap();
    refresh_to_the_end(owner).await;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..rounds(60) {
        let sql = statement(&mut random);
        let done = owner.execute_unprepared(&sql).await.map_err(|error| error.to_string());
        assert!(done.as_ref().map_or_else(|error| error.contains("tokens."), |_| true), "{done:?} in {sql}");
        assert_eq!(differences(owner).await, <[String; 0]>::default(), "{sql}");
        refresh_to_the_end(owner).await;
        assert_eq!(differences(owner).await, <[String; 0]>::default(), "{sql}, refreshed");
    }
}

/// Changes of the schema, and what is done past the triggers. A refresh makes the triggers again.
#[tokio::test]
async fn changes_of_the_schema_are_seen() {
    const INSERT: &str = "INSERT INTO tokens (user_id, token, created_at, used_at) VALUES (5, '------', '2024-03-05 10:00', '2024-03-05 11:00')";
    const EXPRESSION: &str = "an index on an expression";
    for (name, sql) in [
        ("a trigger dropped", "DROP TRIGGER rollup_tokens_inserted"),
        ("a trigger of users dropped", "DROP TRIGGER rollup_users_updated; UPDATE users SET is_active = NOT is_active"),
        (
            "the table made anew",
            "PRAGMA legacy_alter_table = ON; PRAGMA foreign_keys = OFF; \
             CREATE TABLE other (id INTEGER PRIMARY KEY, user_id INTEGER, token TEXT, created_at DATETIME, used_at DATETIME); \
             INSERT INTO other SELECT id, user_id, token, created_at, used_at FROM tokens WHERE user_id > 9; \
             DROP TABLE tokens; ALTER TABLE other RENAME TO tokens",
        ),
        ("a unique index", "CREATE UNIQUE INDEX another ON tokens (user_id, id)"),
        (EXPRESSION, "CREATE UNIQUE INDEX another ON tokens (id + 1)"),
        ("another table", "CREATE TABLE another (id INTEGER)"),
        ("VACUUM", "DELETE FROM tokens WHERE id % 3 = 0; VACUUM"),
        ("a column more", "ALTER TABLE tokens ADD door TEXT"),
        ("all days lost", "DROP TABLE rollup_days; DELETE FROM tokens WHERE id % 2 = 0"),
    ] {
        let gateway = rolled_up().await;
        gateway.database.execute(sql).await;
        gateway.database.execute(INSERT).await;
        compare(&gateway, name).await;
        let refreshed = loop {
            match rollup::refresh(&gateway.database.owner).await.unwrap() {
                Progress::Underway { .. } => {
                    look(&gateway).await;
                    compare(&gateway, name).await;
                }
                other => break other,
            }
        };
        let is_mended = name != EXPRESSION;
        assert_eq!(refreshed, if is_mended { Progress::Done } else { Progress::Barred }, "{name}");
        let status = rollup::status(&gateway.database.owner).await.unwrap().unwrap();
        assert_eq!(status.trouble.is_none(), is_mended, "{name}: {status:?}");
        look(&gateway).await;
        assert_eq!(gateway.reports.reads_rollup(), is_mended, "{name}");
        gateway.database.execute(INSERT).await;
        compare(&gateway, name).await;
        assert_eq!(rollup::upgrade(&gateway.database.owner, PATIENCE).await.is_ok(), is_mended, "{name}");
    }
}

/// Nothing that is written fails because of a trigger, as long as the log is there; and the log comes back.
#[tokio::test]
async fn writers_do_not_fail() {
    let gateway = rolled_up().await;
    let insert = |or: &str| {
        format!(
            "INSERT {or} INTO tokens (user_id, token, created_at, used_at) VALUES (5, '------', '2024-03-05 10:00', '2024-03-05 11:00')"
        )
    };
    for or in ["", "OR FAIL", "OR ABORT", "OR ROLLBACK", "OR IGNORE", "OR REPLACE"] {
        for _ in 0..2 {
            gateway.database.execute(&insert(or)).await;
        }
        let update = or.to_owned() + " tokens SET used_at = created_at WHERE user_id < 30";
        gateway.database.execute(&format!("UPDATE {update}")).await;
    }
    gateway
        .database
        .execute("UPDATE users SET last_name = 'Other'; UPDATE OR FAIL users SET last_name = 'Again'")
        .await;
    compare(&gateway, "after writes").await;
    gateway.database.execute("DROP TABLE rollup_log").await;
    let error = gateway.database.owner.execute_unprepared(&insert("")).await.unwrap_err().to_string();
    assert!(error.contains("rollup_log"), "{error}");
    compare(&gateway, "without the log").await;
    refresh_to_the_end(&gateway.database.owner).await;
    gateway.database.execute(&insert("")).await;
    look(&gateway).await;
    assert!(gateway.reports.reads_rollup());
    compare(&gateway, "with another log").await;
}

/// Rows that go with their member, and all rows at once.
#[tokio::test]
async fn bulk_deletes_are_logged() {
    let database = TestDatabase::bare(Backend::Sqlite).await;
    database
        .execute(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT NOT NULL, joined_at DATETIME NOT NULL, is_active BOOLEAN NOT NULL DEFAULT TRUE); \
             CREATE TABLE tokens (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users ON DELETE CASCADE, token TEXT, created_at DATETIME NOT NULL, used_at DATETIME); \
             INSERT INTO users (id, first_name, last_name, joined_at) VALUES (1, 'First', 'Last', '2020-01-01'), (2, 'Second', 'Last', '2020-01-01'); \
             INSERT INTO tokens (user_id, created_at, used_at) VALUES (1, '2024-03-01 10:00', '2024-03-02 10:00'), (2, '2024-03-03 10:00', NULL)",
        )
        .await;
    let gateway = rolled_up_on(database).await;
    for (sql, days) in [("DELETE FROM users WHERE id = 1", 1), ("DELETE FROM tokens", 0)] {
        gateway.database.execute(sql).await;
        assert_eq!(assert_same(&gateway, &Asked::of("UTC", "ISSUED_AT")).await.1, days, "{sql}");
        compare(&gateway, sql).await;
        refresh_to_the_end(&gateway.database.owner).await;
        compare(&gateway, sql).await;
    }
    assert_eq!(
        number(
            &gateway.database.owner,
            "SELECT (SELECT count(*) FROM rollup_days) + (SELECT count(*) FROM rollup_users)"
        )
        .await,
        0
    );
    // Ids that are none cannot be kept.
    gateway.database.execute("PRAGMA foreign_keys = OFF; INSERT INTO tokens (user_id, created_at) VALUES (1, '2024-03-01'), ('nobody', '2024-03-01')").await;
    assert_eq!(rollup::refresh(&gateway.database.owner).await.unwrap(), Progress::Barred);
    let status = rollup::status(&gateway.database.owner).await.unwrap().unwrap();
    assert!(status.trouble.unwrap().contains("user_id"));
    gateway.database.execute("DELETE FROM tokens WHERE user_id = 'nobody'").await;
    refresh_to_the_end(&gateway.database.owner).await;
    look(&gateway).await;
    assert!(gateway.reports.reads_rollup());
    assert_eq!(assert_same(&gateway, &Asked::of("UTC", "ISSUED_AT")).await.1, 1);
}

/// Wrong numbers in the rollup show which reports read it, and are found.
#[tokio::test]
async fn reports_read_it_where_it_is_up_to_date() {
    let gateway = rolled_up().await;
    let wrong = "UPDATE rollup_days SET (counts, used, waits, unused, came) = \
         (SELECT counts, used, waits, unused, came FROM rollup_days ORDER BY length(used) DESC LIMIT 1) WHERE day = '2024-03-01'; \
         UPDATE rollup_users SET used = used + 1000 WHERE user_id = 3";
    gateway.database.execute(wrong).await;
    let [(kept, _), (counted, _)] = asked_twice(&gateway, &Asked::of("UTC", "ISSUED_AT")).await;
    let same = kept.iter().zip(&counted).filter(|(kept, counted)| kept == counted).count();
    assert!(same <= 3, "{same} of {}", kept.len());
    let found = differences(&gateway.database.owner).await;
    assert_eq!(found, ["rollup_days 2024-03-01", "rollup_users 3"]);
    compare(&gateway, "once found").await;
    refresh_to_the_end(&gateway.database.owner).await;
    look(&gateway).await;
    compare(&gateway, "mended").await;
    gateway.database.execute("UPDATE rollup_days SET used = x'01' WHERE day = '2024-03-05'; DELETE FROM rollup_days WHERE day = '2024-03-06'").await;
    assert_eq!(differences(&gateway.database.owner).await, ["rollup_days 2024-03-05", "rollup_days 2024-03-06"]);
}

/// Two services on one file: the next answer of both has what was committed.
#[tokio::test]
async fn services_keep_it_and_answers_are_fresh() {
    let database = TestDatabase::recorded(Backend::Sqlite).await;
    let folder = tempfile::TempDir::new().unwrap();
    let variables = [("DATABASE_URL", database.url.as_str()), ("LOG_FORMAT", "json")];
    let told = |step: &str| run(folder.path(), &variables, &["rollup", step]);
    assert_eq!(told("status").1, "no rollup\n");
    let (code, out, err) = told("create");
    assert!(code == 0 && out.starts_with("rollup up to date: "), "{out}{err}");
    let (code, _, err) = told("create");
    assert!(code == 1 && err.contains("there is a rollup already"), "{err}");
    let serving = [
        ("DATABASE_URL", database.url.as_str()),
        ("USAGE_LOG_INTERVAL", "off"),
        ("ROLLUP_REFRESH_INTERVAL", "50ms"),
        ("LOG_FORMAT", "json"),
    ];
    let services = [Service::start(&serving).await, Service::start(&serving).await];
    for service in &services {
        service.wait_for_log("reports read the rollup from now on").await;
    }
    let visits = async |service: &Service| {
        let answer =
            query(service.address, "{ dailyUsage(filter: { from: \"2030-01-01\" }) { visits } }").await.unwrap().json();
        answer["data"]["dailyUsage"].as_array().unwrap().iter().filter_map(|day| day["visits"].as_i64()).sum::<i64>()
    };
    for number in 1..=60 {
        let at = format!("2030-01-{:02} 12:00", number % 28 + 1);
        database
            .execute(&format!(
                "INSERT INTO tokens (user_id, token, created_at, used_at) VALUES (1, '------', '{at}', '{at}')"
            ))
            .await;
        for service in &services {
            assert_eq!(visits(service).await, number);
        }
    }
    let (code, out, err) = told("verify");
    assert!(code == 0 && out.starts_with("rollup "), "{out}{err}");
    // One that goes is missed by nobody.
    let quick = [
        ("DATABASE_URL", database.url.as_str()),
        ("REQUEST_TIMEOUT", "2s"),
        ("DB_STATEMENT_TIMEOUT", "1s"),
        ("ROLLUP_REFRESH_INTERVAL", "50ms"),
    ];
    let (code, out, err) = run(folder.path(), &quick, &["rollup", "drop"]);
    assert_eq!((code, out.as_str()), (0, "no rollup\n"), "{err}");
    for service in &services {
        assert_eq!(visits(service).await, 60);
    }
    let left = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'rollup%'";
    assert_eq!(number(&database.owner, left).await, 0);
}

/// The sample database has a rollup from the start, unless rollups are off.
#[tokio::test]
async fn the_sample_has_one() {
    for (rollups, expected) in [("on", "rollup up to date: "), ("off", "no rollup\n")] {
        let variables = [("ROLLUPS", rollups), ("ROLLUP_REFRESH_INTERVAL", "50ms"), ("LOG_FORMAT", "json")];
        let service = Service::start(&variables).await;
        if rollups == "on" {
            service.wait_for_log("reports read the rollup from now on").await;
            let log = service.log();
            let told = log.lines().filter(|line| line.contains("filling the rollup"));
            let told: Vec<DateTime<Utc>> = told.map(instant_of).collect();
            let is_seldom = |pair: &[DateTime<Utc>]| pair[1] - pair[0] >= TimeDelta::seconds(4);
            assert!(told.windows(2).all(is_seldom), "hundreds of steps are not hundreds of lines: {log}");
        }
        let (_, out, err) = run(service.folder(), &[], &["rollup", "status"]);
        assert!(out.starts_with(expected), "{out}{err}");
    }
}

/// The time of a line of the log.
fn instant_of(line: &str) -> DateTime<Utc> {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    line["timestamp"].as_str().unwrap().parse().unwrap()
}

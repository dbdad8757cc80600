//! Changes to the tables, including those that the rollup's triggers do not see. Answers must always be those of the
//! door codes, whether they are computed, cached or read from the rollup; or the rollup is refused with a sentence.

use std::{collections::HashMap, process::Command, sync::LazyLock, time::Duration};

use coworking_analytics::reports::rollup::{self, Portion, Position, Progress};
use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::support::{
    Backend, PATIENCE, TestDatabase, TestGateway,
    database::{copy_of_postgres_database, create_postgres_database},
    on_postgres, rounds,
};

/// A change to the tables.
struct Event {
    name: &'static str,
    sql: &'static str,
    /// Whether the triggers log the change. All other changes are found by the fingerprint.
    is_logged: bool,
}

const fn logged(name: &'static str, sql: &'static str) -> Event {
    Event { name, sql, is_logged: true }
}

const fn past_the_triggers(name: &'static str, sql: &'static str) -> Event {
    Event { name, sql, is_logged: false }
}

/// Changes to the two tables as the coworking service creates them.
const PLAIN: [Event; 16] = [
    logged(
        "writes",
        "INSERT INTO tokens (user_id, token, created_at, used_at) SELECT id, '------', '2024-03-05 10:00', '2024-03-05 11:00' FROM users WHERE id < 40",
    ),
    logged(
        "a replica's session",
        "BEGIN; SET LOCAL session_replication_role = replica; \
        UPDATE tokens SET used_at = created_at + INTERVAL '2 hours', user_id = 7 WHERE user_id < 20; DELETE FROM tokens WHERE user_id = 30; \
        INSERT INTO tokens (user_id, token, created_at) VALUES (3, '------', '2024-02-02'); COMMIT",
    ),
    logged(
        "users of a replica",
        "BEGIN; SET LOCAL session_replication_role = replica; \
        UPDATE users SET first_name = 'Other', joined_at = joined_at - INTERVAL '60 days', is_active = NOT is_active; COMMIT",
    ),
    logged("TRUNCATE by a replica", "BEGIN; SET LOCAL session_replication_role = replica; TRUNCATE tokens; COMMIT"),
    logged(
        "many rows of a replica, some of them rolled back",
        "BEGIN; SET LOCAL session_replication_role = replica; \
        INSERT INTO tokens (user_id, token, created_at) SELECT 1 + n % 50, '------', TIMESTAMP '2023-01-01' + n * INTERVAL '1 hour' FROM generate_series(1, 9000) AS n; \
        SAVEPOINT here; INSERT INTO tokens (user_id, token, created_at) SELECT 1, '------', '2022-01-01' FROM generate_series(1, 3000); ROLLBACK TO here; \
        INSERT INTO tokens (user_id, token, created_at) SELECT 1 + n % 50, '------', TIMESTAMP '2022-01-01' + n * INTERVAL '1 hour' FROM generate_series(1, 3000) AS n; COMMIT",
    ),
    past_the_triggers(
        "a trigger off and on",
        "ALTER TABLE tokens DISABLE TRIGGER rollup_tokens_updated; \
        UPDATE tokens SET used_at = created_at WHERE user_id < 50; ALTER TABLE tokens ENABLE TRIGGER rollup_tokens_updated",
    ),
    past_the_triggers(
        "a trigger off",
        "ALTER TABLE tokens DISABLE TRIGGER rollup_tokens_deleted; DELETE FROM tokens WHERE user_id < 50",
    ),
    past_the_triggers(
        "all triggers off and on, as pg_restore has it",
        "ALTER TABLE tokens DISABLE TRIGGER ALL; \
        INSERT INTO tokens (user_id, token, created_at) VALUES (1, '------', '2024-03-05 10:00'); ALTER TABLE tokens ENABLE TRIGGER ALL",
    ),
    past_the_triggers(
        "a trigger dropped",
        "DROP TRIGGER rollup_tokens_inserted ON tokens; \
        INSERT INTO tokens (user_id, token, created_at) VALUES (1, '------', '2024-03-05 10:00')",
    ),
    past_the_triggers(
        "a trigger of users dropped",
        "DROP TRIGGER rollup_users_changed ON users; UPDATE users SET first_name = 'Other'",
    ),
    past_the_triggers(
        "the table swapped",
        "CREATE TABLE new_tokens (LIKE tokens INCLUDING ALL); \
        INSERT INTO new_tokens SELECT * FROM tokens WHERE user_id < 40; ALTER TABLE tokens RENAME TO old_tokens; ALTER TABLE new_tokens RENAME TO tokens",
    ),
    past_the_triggers(
        "another type",
        "ALTER TABLE tokens ALTER used_at TYPE TIMESTAMP USING used_at + INTERVAL '1 day'",
    ),
    past_the_triggers(
        "another precision",
        "ALTER TABLE tokens ALTER created_at TYPE TIMESTAMP(0) USING date_trunc('day', created_at)",
    ),
    past_the_triggers(
        "a column in another's place",
        "ALTER TABLE tokens RENAME used_at TO was_used_at; \
        ALTER TABLE tokens ADD used_at TIMESTAMP DEFAULT '2024-03-05 10:00'",
    ),
    past_the_triggers(
        "a child",
        "CREATE TABLE more_tokens () INHERITS (tokens); \
        INSERT INTO more_tokens (user_id, token, created_at, used_at) SELECT user_id, '------', created_at, used_at FROM tokens",
    ),
    past_the_triggers(
        "partitions, the usual way",
        "ALTER TABLE tokens RENAME TO tokens_2023; \
        CREATE TABLE tokens (LIKE tokens_2023 INCLUDING DEFAULTS) PARTITION BY RANGE (created_at); \
        ALTER TABLE tokens ATTACH PARTITION tokens_2023 FOR VALUES FROM (MINVALUE) TO ('2025-01-01'); \
        CREATE TABLE tokens_2025 PARTITION OF tokens FOR VALUES FROM ('2025-01-01') TO (MAXVALUE); \
        INSERT INTO tokens_2025 (id, user_id, token, created_at, used_at) SELECT 1000000 + id, user_id, token, created_at + INTERVAL '2 years', used_at FROM tokens_2023 WHERE user_id < 40",
    ),
];

/// Turns `tokens` into a partitioned table: by month of issue, with subpartitions by member.
const PARTITIONS: &str = "
ALTER TABLE tokens RENAME TO all_tokens;
CREATE TABLE tokens (LIKE all_tokens INCLUDING DEFAULTS) PARTITION BY RANGE (created_at);
CREATE TABLE tokens_old PARTITION OF tokens FOR VALUES FROM (MINVALUE) TO ('2024-03-01');
CREATE TABLE tokens_march PARTITION OF tokens FOR VALUES FROM ('2024-03-01') TO ('2024-04-01') PARTITION BY LIST ((user_id % 2));
CREATE TABLE tokens_march_even PARTITION OF tokens_march FOR VALUES IN (0);
CREATE TABLE tokens_march_odd PARTITION OF tokens_march FOR VALUES IN (1);
CREATE TABLE tokens_new PARTITION OF tokens FOR VALUES FROM ('2024-04-01') TO ('2030-01-01');
INSERT INTO tokens SELECT * FROM all_tokens";

const PARTITIONED: [Event; 10] = [
    logged(
        "rows into the whole",
        "INSERT INTO tokens (user_id, token, created_at, used_at) SELECT id, '------', '2024-03-05 10:00', '2024-03-05 11:00' FROM users WHERE id < 40",
    ),
    logged(
        "rows that move",
        "UPDATE tokens SET created_at = created_at + INTERVAL '20 days', user_id = user_id + 1 WHERE user_id < 100",
    ),
    logged(
        "rows into a part",
        "INSERT INTO tokens_march_odd (id, user_id, token, created_at) SELECT 1000000 + n, 1 + 2 * n, '------', '2024-03-05 10:00' FROM generate_series(1, 20) AS n; \
        UPDATE tokens_new SET used_at = created_at; DELETE FROM tokens_march WHERE user_id < 30",
    ),
    logged(
        "a part of a replica",
        "BEGIN; SET LOCAL session_replication_role = replica; DELETE FROM tokens_march_even; UPDATE tokens SET used_at = NULL WHERE user_id < 9; COMMIT",
    ),
    logged("TRUNCATE of a part", "TRUNCATE tokens_march_odd"),
    past_the_triggers("a part dropped", "DROP TABLE tokens_march_even"),
    past_the_triggers("a part detached", "ALTER TABLE tokens DETACH PARTITION tokens_march"),
    past_the_triggers(
        "a part attached",
        "CREATE TABLE tokens_later (LIKE tokens); \
        INSERT INTO tokens_later (id, user_id, token, created_at, used_at) SELECT 1000000 + id, user_id, token, created_at + INTERVAL '9 years', used_at FROM tokens WHERE user_id < 40; \
        ALTER TABLE tokens ATTACH PARTITION tokens_later FOR VALUES FROM ('2030-01-01') TO (MAXVALUE)",
    ),
    past_the_triggers(
        "a new part, and rows into it",
        "CREATE TABLE tokens_2030 PARTITION OF tokens FOR VALUES FROM ('2030-01-01') TO ('2031-01-01'); \
        INSERT INTO tokens_2030 (id, user_id, token, created_at, used_at) SELECT 1000000 + id, user_id, token, created_at - date_trunc('year', created_at) + TIMESTAMP '2030-01-01', used_at FROM tokens WHERE user_id < 40",
    ),
    past_the_triggers(
        "parts swapped within a transaction",
        "BEGIN; ALTER TABLE tokens DETACH PARTITION tokens_new; UPDATE tokens_new SET used_at = NULL; \
        ALTER TABLE tokens ATTACH PARTITION tokens_new FOR VALUES FROM ('2024-04-01') TO ('2030-01-01'); COMMIT",
    ),
];

on_postgres!(
    plain_tables_may_change_as_they_like,
    partitions_may_change_as_they_like,
    changes_one_after_the_other_stay_exact,
    each_schema_has_its_own_numbers,
    a_view_in_front_shows_its_own_numbers,
    a_rollup_goes_while_gateways_ask,
    without_the_fingerprint_they_would_not,
    rows_that_are_replicated_are_seen,
    backups_that_are_put_back_are_seen,
    rows_at_the_ends_of_time_are_seen,
    what_a_rollup_cannot_follow_is_refused,
    row_level_security_hides_what_it_hides,
    tables_of_another_server_are_never_kept,
    what_nobody_thought_of_is_found_by_comparing,
);

/// Two gateways on the same tables: one reads the rollup and caches answers, the other does neither.
struct Pair {
    kept: TestGateway,
    counted: TestGateway,
}

impl Pair {
    async fn on(database: TestDatabase) -> Self {
        let counted = TestGateway::on(database.again().await, &[("CACHE_BYTES", "0")]).await;
        let kept = TestGateway::on(database, &[]).await;
        Self { kept, counted }
    }

    /// A pair whose rollup is read and whose answers are all cached.
    async fn rolled_up(prepared: &'static str) -> Self {
        let pair = Self::on(TestDatabase::at(&rolled_up_database(prepared).await).await).await;
        pair.kept.reports.look_for_rollup().await.unwrap();
        assert!(pair.kept.reports.reads_rollup());
        pair.ask_everything().await;
        pair
    }

    async fn execute(&self, sql: &str) {
        self.kept.database.execute(sql).await;
    }

    /// Refreshes and verifies the rollup, as a gateway does regularly; returns why the rollup is not used, if it is
    /// not.
    async fn go_round(&self) -> Option<String> {
        let owner = &self.kept.database.owner;
        let status = self.kept.reports.look_for_rollup().await.unwrap()?;
        if status.trouble.is_none() {
            while let Progress::Underway { .. } = rollup::refresh(owner).await.unwrap() {}
            let mut position = Position::default();
            loop {
                assert_eq!(
                    rollup::verify(owner, &mut position, Portion::Large).await.unwrap(),
                    <[String; 0]>::default()
                );
                if position.is_at_an_end() {
                    break;
                }
            }
        }
        self.kept.reports.look_for_rollup().await.unwrap()?.trouble
    }

    /// The first question with different answers, and the answers.
    async fn difference(&self) -> Option<String> {
        for question in questions() {
            let kept = ask(&self.kept, &question).await;
            let counted = ask(&self.counted, &question).await;
            if kept != counted {
                return Some(format!("{question}\n{kept:.400}\n{counted:.400}"));
            }
        }
        None
    }

    async fn assert_same(&self, when: &str) {
        assert_eq!(self.difference().await, None, "{when}");
    }

    /// Asks all questions, so that the answers are cached.
    async fn ask_everything(&self) {
        for question in questions() {
            assert_ne!(ask(&self.kept, &question).await, "refused");
        }
    }
}

/// A copy of a prepared database, which is created once per preparation: the recorded data with an up-to-date rollup.
async fn rolled_up_database(prepared: &'static str) -> String {
    static TEMPLATES: LazyLock<Mutex<HashMap<&str, String>>> = LazyLock::new(Mutex::default);
    let mut templates = TEMPLATES.lock().await;
    if !templates.contains_key(prepared) {
        let database = TestDatabase::recorded(Backend::Postgres).await;
        // Views would prevent changes to the columns that they read.
        database.execute("DROP VIEW report_daily_usage, report_user_visits").await;
        database.execute(prepared).await;
        rollup::create(&database.owner, PATIENCE).await.unwrap();
        while rollup::refresh(&database.owner).await.unwrap() != Progress::Done {}
        // A template database must have no connections.
        database.owner.close().await.unwrap();
        templates.insert(prepared, database.url);
    }
    let template = templates[prepared].rsplit_once('/').unwrap().1;
    copy_of_postgres_database(template).await
}

/// Documents, and the paths of the legacy reports.
fn questions() -> Vec<String> {
    let series = "{ date visits tokensIssued tokensUnused uniqueVisitors }";
    let buckets = "{ buckets { start visits uniqueVisitors tokensIssued } totals { visits uniqueVisitors } }";
    let members = "{ totalCount totals { visits tokensIssued } nodes { userId visits tokensIssued tokensUnused firstVisitAt lastVisitAt } }";
    vec![
        format!("{{ dailyUsage {series} }}"),
        format!("{{ dailyUsage(timeZone: \"Asia/Kathmandu\", basis: USED_AT) {series} }}"),
        format!("{{ dailyUsage(filter: {{ from: \"2024-03-01\", to: \"2024-03-31\" }}) {series} }}"),
        format!("{{ usage(granularity: MONTH, timeZone: \"Europe/Berlin\") {buckets} }}"),
        "{ heatmap(basis: USED_AT, timeZone: \"America/St_Johns\", filter: { from: \"2023-01-01\" }) { visits cells { visits } } }"
            .to_owned(),
        "{ activeUsers(filter: { from: \"2024-01-01\", to: \"2024-04-10\" }) { date daily weekly monthly } }"
            .to_owned(),
        "{ retention(anchor: FIRST_VISIT, filter: { from: \"2023-06-01\" }) { label members periods { active } } }"
            .to_owned(),
        "{ retention(anchor: JOINED_AT, filter: { from: \"2023-06-01\" }) { label members periods { active } } }"
            .to_owned(),
        format!("{{ userVisits(first: 1000) {members} }}"),
        format!("{{ userVisits(first: 1000, filter: {{ from: \"2024-03-01\" }}) {members} }}"),
        "{ members(first: 100) { totalCount nodes { userId segment visits user { firstName } } } }".to_owned(),
        "/api/reports/daily_usage".to_owned(),
        "/api/reports/user_visits".to_owned(),
    ]
}

async fn ask(gateway: &TestGateway, question: &str) -> String {
    if question.starts_with('/') {
        let answer = gateway.get(question).await;
        return if answer.status == 200 { answer.body } else { "refused".to_owned() };
    }
    let answer = gateway.post(question, serde_json::json!({})).await.body;
    // A question without an answer can be refused with different errors.
    if answer.contains("\"errors\"") { "refused".to_owned() } else { answer }
}

/// Ordinary writes after a change.
const AFTERWARDS: &str = "INSERT INTO tokens (id, user_id, token, created_at, used_at) \
     SELECT 2000000 + 100 * (SELECT count(*) FROM tokens WHERE id > 2000000) + n, 1 + 2 * n, '------', '2024-04-09 10:00', '2024-04-10 11:00' FROM generate_series(1, 20) AS n; \
     UPDATE tokens SET used_at = created_at + INTERVAL '1 hour' WHERE user_id = 11; DELETE FROM tokens WHERE user_id = 12";

/// Runs all events. Each event that is not logged gets a fresh copy of the tables; those that are logged share one.
async fn all_hold(prepared: &'static str, events: &[Event]) {
    let mut pair = Pair::rolled_up(prepared).await;
    for event in events {
        if !event.is_logged {
            pair = Pair::rolled_up(prepared).await;
        }
        holds(&pair, event).await;
    }
}

async fn holds(pair: &Pair, event: &Event) {
    let owner = &pair.kept.database.owner;
    pair.execute(event.sql).await;
    pair.assert_same(event.name).await;
    let trouble = pair.go_round().await;
    pair.execute(AFTERWARDS).await;
    pair.assert_same(&format!("{}, and afterwards", event.name)).await;
    if let Some(trouble) = trouble {
        assert!(!event.is_logged && trouble.contains("rollup upgrade"), "{}: {trouble}", event.name);
        rollup::upgrade(owner, PATIENCE).await.unwrap();
    }
    assert_eq!(pair.go_round().await, None, "{}", event.name);
    assert!(pair.kept.reports.reads_rollup(), "{}", event.name);
    pair.assert_same(&format!("{}, and all in its place", event.name)).await;
    if !event.is_logged {
        rollup::drop_all(owner, Duration::ZERO).await.unwrap();
        assert_eq!(leftovers(pair).await, 0, "{}", event.name);
    }
}

/// A role whose search path begins with another schema reads that schema's tables, not the rollup of `public`.
async fn each_schema_has_its_own_numbers() {
    let public =
        Pair::rolled_up("CREATE SCHEMA tenant; CREATE TABLE tenant.tokens AS SELECT * FROM tokens WHERE user_id < 40")
            .await;
    let name = public.kept.database.url.rsplit_once('/').unwrap().1.to_owned();
    public.execute(&format!("ALTER DATABASE {name} SET search_path = tenant, public")).await;
    let tenant = Pair::on(public.kept.database.again().await).await;
    tenant.kept.reports.look_for_rollup().await.unwrap();
    assert!(!tenant.kept.reports.reads_rollup(), "another's");
    tenant.assert_same("without one").await;
    let owner = &tenant.kept.database.owner;
    assert_eq!(rollup::status(owner).await.unwrap(), None);
    // With a rollup of its own; the table of members is in another schema.
    rollup::create(owner, PATIENCE).await.unwrap();
    assert_eq!(tenant.go_round().await, None);
    assert!(tenant.kept.reports.reads_rollup());
    tenant.assert_same("with its own").await;
    tenant.execute("UPDATE tokens SET used_at = created_at WHERE user_id < 20").await;
    tenant.assert_same("with its own, written").await;
    rollup::drop_all(owner, Duration::ZERO).await.unwrap();
    let again = Pair::on(TestDatabase::at(&public.kept.database.url).await).await;
    again.assert_same("gone").await;
}

/// The rollup belongs to the table, and the view shows other rows.
async fn a_view_in_front_shows_its_own_numbers() {
    let pair = Pair::rolled_up("").await;
    pair.execute(
        "ALTER TABLE tokens RENAME TO all_tokens; CREATE VIEW tokens AS SELECT * FROM all_tokens WHERE user_id < 40",
    )
    .await;
    pair.assert_same("in front").await;
    assert!(pair.go_round().await.unwrap().contains("public.tokens is a view"));
    pair.execute("UPDATE all_tokens SET used_at = NULL WHERE user_id < 20").await;
    pair.assert_same("in front, and written behind").await;
    pair.execute("DROP VIEW tokens; ALTER TABLE all_tokens RENAME TO tokens").await;
    pair.assert_same("and back").await;
    assert_eq!(pair.go_round().await, None);
    pair.assert_same("and back, and a round").await;
}

/// The rollup is dropped while gateways read it. They notice before the waiting time is over.
async fn a_rollup_goes_while_gateways_ask() {
    let pair = Pair::rolled_up("").await;
    let owner = &pair.kept.database.again().await.owner;
    let asks = async {
        while pair.kept.reports.look_for_rollup().await.unwrap().is_some() {
            pair.assert_same("going").await;
        }
        pair.assert_same("gone").await;
    };
    let (dropped, ()) = tokio::join!(rollup::drop_all(owner, Duration::from_secs(5)), asks);
    dropped.unwrap();
    assert_eq!(leftovers(&pair).await, 0);
    pair.assert_same("without a rollup").await;
}

/// The number of objects that are left of a rollup.
async fn leftovers(pair: &Pair) -> i64 {
    let sql = "SELECT (SELECT count(*) FROM pg_class WHERE relname LIKE 'rollup%') + (SELECT count(*) FROM pg_proc WHERE proname LIKE 'rollup%') \
               + (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'rollup%') + (SELECT count(*) FROM pg_index WHERE NOT indisvalid) AS n";
    let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sql);
    pair.kept.database.owner.query_one_raw(statement).await.unwrap().unwrap().try_get("", "n").unwrap()
}

async fn plain_tables_may_change_as_they_like() {
    all_hold("", &PLAIN).await;
}

async fn partitions_may_change_as_they_like() {
    all_hold(PARTITIONS, &PARTITIONED).await;
}

/// Changes in random order, with writes, refreshes and upgrades in between.
async fn changes_one_after_the_other_stay_exact() {
    for (seed, prepared, events) in
        [(1, "", &PLAIN[..]), (2, PARTITIONS, &PARTITIONED[..]), (3, PARTITIONS, &PLAIN[..])]
    {
        let mut random = fastrand::Rng::with_seed(seed);
        let pair = Pair::rolled_up(prepared).await;
        let owner = &pair.kept.database.owner;
        let mut done = 0;
        let mut history = vec![format!("seed {seed}")];
        for _ in 0..rounds(8) {
            let event = &events[random.usize(..events.len())];
            // Some events cannot happen twice.
            match owner.execute_unprepared(event.sql).await {
                Ok(_) => done += 1,
                Err(_) => drop(owner.execute_unprepared("ROLLBACK").await.unwrap()),
            }
            history.push(event.name.to_owned());
            pair.assert_same(&history.join(", ")).await;
            let trouble = if random.bool() { pair.go_round().await } else { None };
            if trouble.is_some() && random.bool() {
                history.push("upgrade".to_owned());
                // An upgrade works after every event, because the tables are always plain or partitioned.
                rollup::upgrade(owner, PATIENCE).await.unwrap();
            }
            if random.bool() {
                let _ = owner.execute_unprepared(AFTERWARDS).await;
                history.push("writes".to_owned());
                pair.assert_same(&history.join(", ")).await;
            }
        }
        assert!(done >= 3, "{history:?}");
    }
}

/// Proves that the tests above can fail: without the fingerprint, the answers are wrong.
async fn without_the_fingerprint_they_would_not() {
    for event in PLAIN.iter().filter(|event| !event.is_logged) {
        let pair = Pair::rolled_up("").await;
        pair.execute(
            "CREATE OR REPLACE FUNCTION rollup_fingerprint(tokens REGCLASS, users REGCLASS) RETURNS TEXT \
            LANGUAGE sql STABLE AS $$ SELECT 'the same' $$; UPDATE rollup_state SET fingerprint = 'the same'",
        )
        .await;
        pair.ask_everything().await;
        pair.execute(event.sql).await;
        assert!(pair.difference().await.is_some(), "{}", event.name);
    }
}

async fn rows_that_are_replicated_are_seen() {
    let publisher = TestDatabase::recorded(Backend::Postgres).await;
    let pair = Pair::on(TestDatabase::empty(Backend::Postgres).await).await;
    rollup::create(&pair.kept.database.owner, PATIENCE).await.unwrap();
    pair.go_round().await;
    pair.assert_same("empty").await;
    publisher.execute("CREATE PUBLICATION everything FOR TABLE users, tokens").await;
    let slot = format!("slot_{}", uuid::Uuid::new_v4().simple());
    let (_, address) = publisher.url.rsplit_once('@').unwrap();
    let (host, name) = address.split_once('/').unwrap();
    let (host, port) = host.split_once(':').unwrap();
    publisher.execute(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")).await;
    pair.execute(&format!(
        "CREATE SUBSCRIPTION {slot} CONNECTION 'host={host} port={port} dbname={name} user=postgres' \
         PUBLICATION everything WITH (create_slot = false, slot_name = '{slot}')"
    ))
    .await;
    for change in [
        "SELECT",
        "INSERT INTO tokens (user_id, token, created_at, used_at) SELECT id, '------', '2024-03-05 10:00', '2024-03-05 11:00' FROM users",
        "UPDATE tokens SET used_at = created_at + INTERVAL '3 hours', user_id = 1 WHERE user_id < 40",
        "DELETE FROM tokens WHERE user_id > 200",
        "UPDATE users SET first_name = 'Other', is_active = FALSE WHERE id < 9",
        "TRUNCATE tokens",
    ] {
        publisher.execute(change).await;
        wait_until_alike(&publisher, &pair.kept.database).await;
        pair.assert_same(change).await;
        pair.go_round().await;
        assert!(pair.kept.reports.reads_rollup());
        pair.assert_same(change).await;
    }
    pair.execute(&format!("ALTER SUBSCRIPTION {slot} DISABLE")).await;
    pair.execute(&format!("ALTER SUBSCRIPTION {slot} SET (slot_name = NONE)")).await;
    pair.execute(&format!("DROP SUBSCRIPTION {slot}")).await;
}

/// Waits until both databases have the same rows.
async fn wait_until_alike(one: &TestDatabase, other: &TestDatabase) {
    let sql = "SELECT concat_ws(' ', (SELECT md5(string_agg(users::TEXT, '' ORDER BY id)) FROM users), \
               (SELECT md5(string_agg(tokens::TEXT, '' ORDER BY id)) FROM tokens)) AS rows";
    let rows = async |database: &TestDatabase| -> String {
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sql);
        database.owner.query_one_raw(statement).await.unwrap().unwrap().try_get("", "rows").unwrap()
    };
    let wanted = rows(one).await;
    for _ in 0..1_200 {
        if rows(other).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the rows do not come");
}

fn program(name: &str, arguments: &[&str]) {
    let done = Command::new(name).args(arguments).output();
    let done = done.unwrap_or_else(|error| panic!("{name}: {error}; it comes with PostgreSQL's client"));
    assert!(done.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

async fn backups_that_are_put_back_are_seen() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("backup");
    let file = file.to_str().unwrap();
    // Written after the backup, or logged while it is made.
    let later = "UPDATE tokens SET used_at = created_at + INTERVAL '5 hours' WHERE user_id < 90; \
                 UPDATE users SET first_name = 'Other' WHERE id < 9";
    for (how, dump, restore) in [
        ("whole", &[][..], &["--clean", "--if-exists"][..]),
        ("tokens alone", &[], &["--clean", "--if-exists", "--table=tokens"]),
        ("rows of tokens alone", &[], &["--data-only", "--disable-triggers", "--table=tokens"]),
        ("without the log", &["--exclude-table-data=rollup_log"], &["--clean", "--if-exists"]),
    ] {
        let pair = Pair::rolled_up("").await;
        let url = pair.kept.database.url.clone();
        pair.execute("UPDATE tokens SET used_at = NULL WHERE user_id > 100").await;
        pair.assert_same(how).await;
        let arguments: Vec<_> =
            ["--format=custom", "--file", file, &url].into_iter().chain(dump.iter().copied()).collect();
        program("pg_dump", &arguments);
        for _ in 0..2 {
            pair.execute(later).await;
            pair.go_round().await;
            pair.assert_same(how).await;
        }
        if restore.contains(&"--data-only") {
            pair.execute(
                "ALTER TABLE tokens DISABLE TRIGGER ALL; DELETE FROM tokens; ALTER TABLE tokens ENABLE TRIGGER ALL",
            )
            .await;
        }
        let arguments: Vec<_> = ["--dbname", &url, file].into_iter().chain(restore.iter().copied()).collect();
        program("pg_restore", &arguments);
        pair.assert_same(&format!("{how}: restored")).await;
        let trouble = pair.go_round().await;
        pair.assert_same(&format!("{how}: restored, and a round")).await;
        pair.execute(later).await;
        pair.assert_same(&format!("{how}: restored, and written")).await;
        if trouble.is_some() {
            rollup::upgrade(&pair.kept.database.owner, PATIENCE).await.unwrap();
        }
        assert_eq!(pair.go_round().await, None, "{how}");
        assert!(pair.kept.reports.reads_rollup(), "{how}");
        pair.assert_same(&format!("{how}: all in its place")).await;
        // The backup restored into a new database.
        if how == "without the log" {
            pair.execute(later).await;
            program("pg_dump", &["--format=custom", "--file", file, "--exclude-table-data=rollup_log", &url]);
            let elsewhere = create_postgres_database().await;
            program("pg_restore", &["--dbname", &elsewhere, file]);
            let other = Pair::on(TestDatabase::at(&elsewhere).await).await;
            other.kept.reports.look_for_rollup().await.unwrap();
            other.assert_same("elsewhere").await;
            assert_eq!(other.go_round().await, None);
            assert!(other.kept.reports.reads_rollup());
            other.assert_same("elsewhere, and a round").await;
        }
    }
}

async fn rows_at_the_ends_of_time_are_seen() {
    let pair = Pair::rolled_up("").await;
    let owner = &pair.kept.database.owner;
    for time in [
        "9999-12-31 23:59:59.999999",
        "0001-01-01",
        "10000-01-01",
        "0001-12-31 23:59:59 BC",
        "4713-01-01 BC",
        "294276-12-31 23:59:59.999999",
        "infinity",
        "-infinity",
    ] {
        for columns in ["created_at, used_at", "used_at, created_at"] {
            pair.execute(&format!(
                "INSERT INTO tokens (user_id, token, {columns}) VALUES (5, '------', '{time}', '2024-03-09 10:00')"
            ))
            .await;
            pair.assert_same(time).await;
            let mut steps = 0;
            while rollup::refresh(owner).await.unwrap() != Progress::Done {
                steps += 1;
                assert!(steps < 10, "work follows the rows that there are, not the time between them: {time}");
            }
        }
        pair.execute(&format!(
            "UPDATE tokens SET used_at = '{time}' WHERE id = (SELECT max(id) FROM tokens WHERE user_id = 6)"
        ))
        .await;
        // Later changes are not lost.
        pair.execute("UPDATE tokens SET used_at = created_at + INTERVAL '1 minute' WHERE user_id = 8").await;
        pair.assert_same(&format!("{time}, and afterwards")).await;
        // Questions with a range are answered despite the distant row.
        let march =
            ask(&pair.kept, "{ dailyUsage(filter: { from: \"2024-03-01\", to: \"2024-03-31\" }) { visits } }").await;
        assert!(march.contains("visits") && !march.contains("errors"), "{march}");
        pair.execute("DELETE FROM tokens WHERE NOT isfinite(created_at) OR created_at > '9000-01-01' OR created_at < '0002-01-01' \
                      OR used_at > '9000-01-01' OR used_at < '0002-01-01'").await;
        pair.go_round().await;
    }
    // A rebuild with distant rows: the number of steps depends on the periods with rows, not on their distance.
    pair.execute("INSERT INTO users (id, first_name, last_name, joined_at) VALUES (2147483647, 'First', 'Last', '2020-01-01'); \
         INSERT INTO tokens (user_id, token, created_at) VALUES (5, '------', '9999-12-31'), (2147483647, '------', '0001-01-01')").await;
    rollup::rebuild(owner).await.unwrap();
    let mut steps = 0;
    while rollup::refresh(owner).await.unwrap() != Progress::Done {
        steps += 1;
    }
    assert!(steps < 40, "{steps} steps");
    pair.assert_same("far away").await;
}

async fn what_a_rollup_cannot_follow_is_refused() {
    let tokens =
        "CREATE TABLE other (id INTEGER, user_id INTEGER, token TEXT, created_at TIMESTAMP, used_at TIMESTAMP)";
    for (sql, sentence) in [
        ("ALTER TABLE tokens ALTER created_at TYPE TIMESTAMPTZ".to_owned(), "public.tokens.created_at is timestamp with time zone, and has to be timestamp without time zone"),
        ("ALTER TABLE tokens ALTER user_id TYPE BIGINT".to_owned(), "public.tokens.user_id is bigint, and has to be integer"),
        ("ALTER TABLE tokens RENAME TO tokens_itself; CREATE VIEW tokens AS SELECT * FROM tokens_itself".to_owned(), "public.tokens is a view"),
        ("ALTER TABLE tokens SET UNLOGGED".to_owned(), "public.tokens is not logged"),
        ("ALTER TABLE tokens ENABLE ROW LEVEL SECURITY".to_owned(), "public.tokens has row-level security"),
        (format!("ALTER TABLE tokens RENAME TO tokens_itself; CREATE FOREIGN DATA WRAPPER nobody; CREATE SERVER nowhere FOREIGN DATA WRAPPER nobody; \
          CREATE FOREIGN {} SERVER nowhere", tokens.trim_start_matches("CREATE ").replace("other", "tokens")), "public.tokens is a foreign table"),
        ("SET allow_system_table_mods = on; CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid REGCLASS); RESET allow_system_table_mods".to_owned(), "one of Citus"),
        // An existing table of this name is used as the rollup's; its constraint fails when the first portion is
        // counted.
        ("CREATE TABLE rollup_users (user_id INTEGER PRIMARY KEY, issued INTEGER CHECK (issued < 0), used INTEGER, first_visit_at TIMESTAMP, last_visit_at TIMESTAMP)".to_owned(), "violates check constraint"),
    ] {
        let pair = Pair::on(TestDatabase::recorded(Backend::Postgres).await).await;
        pair.execute("DROP VIEW report_daily_usage, report_user_visits").await;
        pair.execute(&sql).await;
        let error = rollup::create(&pair.kept.database.owner, PATIENCE).await.unwrap_err().to_string();
        assert!(error.contains(sentence), "{error}");
        assert_eq!(leftovers(&pair).await, 0, "{sentence}");
        if !sentence.contains("foreign") {
            pair.execute("INSERT INTO tokens (id, user_id, token, created_at) VALUES (1000000, 1, '------', '2024-03-01')").await;
        }
    }
    // A transaction stays open: creating the rollup does not wait for it without end.
    let pair = Pair::on(TestDatabase::recorded(Backend::Postgres).await).await;
    let writer = pair.kept.database.again().await;
    writer.execute("BEGIN; INSERT INTO tokens (user_id, token, created_at) VALUES (1, '------', '2024-03-01')").await;
    let error = rollup::create(&pair.kept.database.owner, Duration::from_millis(300)).await.unwrap_err();
    assert!(error.to_string().contains("a transaction has been open for so long"), "{error}");
    writer.execute("COMMIT").await;
    // The invalid index that the failure left is created again.
    rollup::create(&pair.kept.database.owner, PATIENCE).await.unwrap();
    rollup::drop_all(&pair.kept.database.owner, Duration::ZERO).await.unwrap();
    pair.execute("UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'tokens_used_at_index'::REGCLASS").await;
    rollup::create(&pair.kept.database.owner, PATIENCE).await.unwrap();
    pair.go_round().await;
    assert!(pair.kept.reports.reads_rollup());
    pair.assert_same("made again").await;
}

async fn row_level_security_hides_what_it_hides() {
    let owner = Pair::rolled_up("").await;
    let role = format!("reader_{}", uuid::Uuid::new_v4().simple());
    owner
        .execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD '{role}'; GRANT SELECT ON users, tokens, rollup_days, rollup_users, rollup_log, rollup_state TO {role}"
        ))
        .await;
    let pair = Pair::on(owner.kept.database.seen_by(&role).await).await;
    pair.kept.reports.look_for_rollup().await.unwrap();
    assert!(pair.kept.reports.reads_rollup());
    pair.assert_same("without").await;
    pair.execute(&format!(
        "ALTER TABLE tokens ENABLE ROW LEVEL SECURITY; CREATE POLICY a_part ON tokens TO {role} USING (user_id < 20)"
    ))
    .await;
    pair.assert_same("with").await;
    assert!(pair.go_round().await.unwrap().contains("row-level security"));
    pair.assert_same("with, and a round").await;
    pair.execute("ALTER POLICY a_part ON tokens USING (user_id > 20)").await;
    pair.assert_same("another policy").await;
    pair.execute("ALTER TABLE tokens DISABLE ROW LEVEL SECURITY").await;
    assert_eq!(pair.go_round().await, None);
    pair.assert_same("without again").await;
}

/// Changes to tables of another server cannot be noticed, so their answers are not cached.
async fn tables_of_another_server_are_never_kept() {
    let somewhere = "CREATE FOREIGN DATA WRAPPER nobody; CREATE SERVER nowhere FOREIGN DATA WRAPPER nobody; \
                     CREATE FOREIGN TABLE elsewhere (id INTEGER, user_id INTEGER, token TEXT, created_at TIMESTAMP, used_at TIMESTAMP) SERVER nowhere";
    for sql in [
        "ALTER TABLE tokens RENAME TO t; ALTER TABLE elsewhere RENAME TO tokens",
        "ALTER TABLE tokens RENAME TO t; CREATE VIEW tokens AS SELECT id, user_id, created_at, used_at FROM t UNION ALL SELECT id, user_id, created_at, used_at FROM elsewhere",
        "ALTER TABLE tokens RENAME TO t; CREATE VIEW v AS SELECT * FROM elsewhere; CREATE VIEW tokens AS SELECT * FROM v",
        "CREATE FOREIGN TABLE part () INHERITS (tokens) SERVER nowhere",
        "CREATE FOREIGN TABLE part () INHERITS (users) SERVER nowhere",
        "SET allow_system_table_mods = on; CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid REGCLASS); RESET allow_system_table_mods",
    ] {
        let gateway = TestGateway::recorded(Backend::Postgres).await;
        gateway.database.execute(somewhere).await;
        assert!(gateway.reports.version().await.is_some());
        gateway.database.execute(sql).await;
        assert_eq!(gateway.reports.version().await, None, "{sql}");
    }
    // A view of local tables is fine.
    let gateway = TestGateway::recorded(Backend::Postgres).await;
    gateway.database.execute("ALTER TABLE tokens RENAME TO t; CREATE VIEW tokens AS SELECT * FROM t").await;
    assert!(gateway.reports.version().await.is_some());
}

async fn what_nobody_thought_of_is_found_by_comparing() {
    // Small and large portions by turns.
    let portions = [Portion::Small, Portion::Large].into_iter().cycle();
    let changes = [
        (
            "UPDATE rollup_days SET (counts, used, waits, unused, came) = \
             (SELECT counts, used, waits, unused, came FROM rollup_days ORDER BY length(used) DESC LIMIT 1) \
             WHERE day = (SELECT max(day) FROM rollup_days)",
            "rollup_days 2024-04",
        ),
        ("DELETE FROM rollup_days WHERE day = (SELECT min(day) FROM rollup_days)", "rollup_days 202"),
        (
            "INSERT INTO rollup_days SELECT '1999-09-09', counts, used, waits, unused, came FROM rollup_days LIMIT 1",
            "rollup_days 1999-09-09",
        ),
        ("UPDATE rollup_users SET last_visit_at = NULL WHERE user_id = 7", "rollup_users 7"),
        ("INSERT INTO rollup_users VALUES (-5, 1, 1)", "rollup_users -5"),
        // Writers continue when nothing can be logged any more.
        (
            "ALTER TABLE rollup_log ADD CONSTRAINT never CHECK (FALSE) NOT VALID; \
          UPDATE tokens SET used_at = created_at WHERE user_id = 9; ALTER TABLE rollup_log DROP CONSTRAINT never",
            "rollup_users 9",
        ),
    ];
    let first = Pair::rolled_up("").await;
    for ((sql, place), portion) in changes.into_iter().zip(portions) {
        first.execute(sql).await;
        // A new pair, without cached answers.
        let pair = Pair::on(first.kept.database.again().await).await;
        pair.kept.reports.look_for_rollup().await.unwrap();
        assert!(pair.difference().await.is_some(), "{sql}");
        let owner = &pair.kept.database.owner;
        let mut position = Position::default();
        let mut found = Vec::new();
        loop {
            found.extend(rollup::verify(owner, &mut position, portion).await.unwrap());
            if !found.is_empty() || position.is_at_an_end() {
                break;
            }
        }
        assert!(found.iter().any(|found| found.starts_with(place)), "{sql}: {found:?}");
        pair.assert_same(sql).await;
        pair.go_round().await;
        assert!(pair.kept.reports.reads_rollup());
        pair.assert_same(sql).await;
    }
    // While a column has another name, its writers still work.
    let pair = Pair::rolled_up("").await;
    pair.execute("ALTER TABLE tokens RENAME used_at TO opened_at; UPDATE tokens SET opened_at = created_at WHERE user_id = 9; \
                  INSERT INTO tokens (user_id, token, created_at) VALUES (1, '------', '2024-03-01'); DELETE FROM tokens WHERE user_id = 11; \
                  ALTER TABLE tokens RENAME opened_at TO used_at").await;
    pair.assert_same("renamed").await;
    pair.go_round().await;
    pair.assert_same("renamed, and a round").await;
}

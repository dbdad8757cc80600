//! The functions for SQL tools have the numbers of GraphQL, in every zone, with and without a rollup.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use chrono::{DateTime, Utc};
use coworking_analytics::{clock::Clock, reports::rollup};
use migration::Migration;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Map, Value, json};

use crate::{
    rollup::{connect, refresh_to_the_end},
    support::{Backend, PATIENCE, TestDatabase, TestGateway, on_postgres},
};

on_postgres!(
    functions_say_what_graphql_says,
    functions_are_exact_while_door_codes_are_written,
    arguments_that_make_no_sense_are_refused,
    what_is_no_rollup_is_not_read_by_functions,
    undoing_removes_the_functions_alone,
);

/// Whole hours, one with its own quarters of an hour, and one whose clocks went back across midnight until 2011.
const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"];

/// All; around a change of Berlin's clocks; around one of St. John's, at a minute past midnight; a day.
const RANGES: [[Option<&str>; 2]; 5] = [
    [None, None],
    [Some("2024-03-25"), Some("2024-04-05")],
    [Some("2024-03-31"), Some("2024-03-31")],
    [Some("2010-11-05"), Some("2010-11-08")],
    [Some("2024-02-10"), None],
];

/// Door codes at the edges of days, hours and years.
const ODD: &str = "INSERT INTO tokens (user_id, token, created_at, used_at) VALUES
    (1, '------', '2024-03-31 00:59:59.999999', '2024-03-31 01:00:00'), (2, '------', '2024-03-30 22:59:59', '2024-03-30 23:00:00'),
    (3, '------', '2024-03-31 21:59:59', '2024-03-31 22:00:00'), (4, '------', '2024-03-31 18:14:59', '2024-03-31 18:15:00'),
    (1, '------', '2010-11-07 02:30:30', '2010-11-07 02:30:40'), (2, '------', '2010-11-07 02:45:00', '2010-11-07 03:30:00'),
    (2, '------', '2010-11-07 02:29:59', '2010-11-07 02:31:00'), (3, '------', '2010-11-07 03:29:59', NULL),
    (5, '------', '2024-04-01 10:00:00', 'infinity'), (6, '------', '-infinity', '2024-04-01 10:00:00'),
    (7, '------', '10000-01-01', NULL), (8, '------', '2024-04-02 10:00:00', '2024-04-02 09:00:00.5')";

struct Question<'a> {
    zone: &'a str,
    basis: &'a str,
    range: [Option<&'a str>; 2],
}

impl Question<'_> {
    /// The arguments of a function.
    fn arguments(&self) -> String {
        format!("{}, {}, zone => '{}'", date(self.range[0]), date(self.range[1]), self.zone)
    }

    fn filter(&self) -> String {
        let end = |name, date: Option<&str>| date.map_or(String::new(), |date| format!("{name}: \"{date}\" "));
        format!("filter: {{ {}{} }}, timeZone: \"{}\"", end("from", self.range[0]), end("to", self.range[1]), self.zone)
    }
}

fn date(date: Option<&str>) -> String {
    date.map_or("NULL".to_owned(), |date| format!("'{date}'"))
}

async fn functions_say_what_graphql_says() {
    let gateway = TestGateway::recorded(Backend::Postgres).await;
    *gateway.now.lock().unwrap() = Clock::system().now();
    gateway.database.execute(ODD).await;
    // Functions and the gateway in three states: without a rollup, with one, and with one that is out of date in part.
    for state in 0..3 {
        if state == 1 {
            rollup::create(&gateway.database.owner, PATIENCE).await.unwrap();
            refresh_to_the_end(&gateway.database.owner).await;
            assert_eq!(value(&gateway.database.owner, "report_has_rollup()").await, json!(true));
        }
        if state == 2 {
            let late = "INSERT INTO tokens (user_id, token, created_at, used_at) VALUES
                (1, '------', '2024-03-31 05:00:00', '2024-03-31 06:00:00'), (9, '------', '2024-04-01 05:00:00', NULL);
                UPDATE tokens SET used_at = NULL WHERE id % 50 = 0; DELETE FROM tokens WHERE id % 70 = 0";
            gateway.database.execute(late).await;
        }
        for (which, zone) in ZONES.into_iter().enumerate() {
            // Each basis in turn: over the states, every zone and range has both.
            for (number, range) in RANGES.into_iter().enumerate() {
                let basis = ["ISSUED_AT", "USED_AT"][(which + number + state) % 2];
                compare(&gateway, &Question { zone, basis, range }, state).await;
            }
            let asked = format!(
                "new_within_days => 400, active_within_days => 950, lapsed_after_days => 970, zone => '{zone}'"
            );
            let told = format!(
                "{{ segments(newWithinDays: 400, activeWithinDays: 950, lapsedAfterDays: 970, timeZone: \"{zone}\") {{ segment members activeMembers }} }}"
            );
            let graphql = normal(&gateway.query(&told).await["segments"]);
            assert_eq!(rows(&gateway, &format!("report_segments({asked})")).await, graphql, "{zone} {state}");
        }
    }
}

/// Compares every function with its report.
async fn compare(gateway: &TestGateway, question: &Question<'_>, state: usize) {
    let Question { basis, zone, range } = question;
    let (arguments, filter) = (question.arguments(), question.filter());
    let place = format!("{zone} {basis} {range:?}, state {state}");
    let visits_filter = filter.replace(" }, ", ", ") + &format!(", basis: {basis} }}");
    let told = gateway
        .query(&format!(
            "{{
                daily: dailyUsage({filter}, basis: {basis}) {{ date startsAt visits tokensIssued tokensUnused conversionRate uniqueVisitors isPartial }}
                month: usage(granularity: MONTH, {filter}, basis: {basis}) {{ buckets {{ startsAt: start visits tokensIssued tokensUnused conversionRate uniqueVisitors isPartial }} }}
                week: usage(granularity: WEEK, {filter}, basis: {basis}) {{ buckets {{ startsAt: start visits tokensIssued tokensUnused conversionRate uniqueVisitors isPartial }} }}
                heatmap({filter}, basis: {basis}) {{ cells {{ weekday hour visits tokensIssued tokensUnused }} }}
                frequency({filter}, basis: {basis}) {{ visits members membersAtLeast }}
                tokenFunnel({filter}) {{ issued used unused conversionRate usedBeforeIssued timeToUse {{ count median p90 p99 }} }}
                userVisits({visits_filter}, orderBy: {{ field: USER_ID, direction: ASC }}, first: 1000) {{
                    nodes {{ userId visits tokensIssued tokensUnused firstVisitAt lastVisitAt joinedAt isActive }}
                }}
            }}"
        ))
        .await;
    let with = format!("{arguments}, basis => '{basis}'");
    same(
        &rows(gateway, &format!("report_daily_usage({with})")).await,
        &normal(&told["daily"]),
        &format!("daily {place}"),
    );
    let without = "(SELECT count(*) FILTER (WHERE unique_visitors IS NOT NULL) AS known, count(*) AS days FROM ";
    let without = format!("{without}report_daily_usage({with}, with_visitors => FALSE))");
    let days = told["daily"].as_array().unwrap().len();
    same(&rows(gateway, &without).await, &normal(&json!([{"known": 0, "days": days}])), &format!("without {place}"));
    for unit in ["month", "week"] {
        let columns = "starts_at, visits, tokens_issued, tokens_unused, conversion_rate, unique_visitors, is_partial";
        let sql = format!("(SELECT {columns} FROM report_usage('{}', {with}))", unit.to_uppercase());
        same(&rows(gateway, &sql).await, &normal(&told[unit]["buckets"]), &format!("{unit} {place}"));
    }
    let columns = "(ARRAY['MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY', 'SUNDAY'])[weekday] AS weekday, \
                   hour, visits, tokens_issued, tokens_unused";
    let sql = format!("(SELECT {columns} FROM report_heatmap({with}))");
    same(&rows(gateway, &sql).await, &normal(&told["heatmap"]["cells"]), &format!("heatmap {place}"));
    same(
        &rows(gateway, &format!("report_frequency({with})")).await,
        &normal(&told["frequency"]),
        &format!("frequency {place}"),
    );
    let visits = normal(&told["userVisits"]["nodes"]);
    same(&rows(gateway, &format!("report_user_visits({with})")).await, &visits, &format!("userVisits {place}"));
    let funnel = &told["tokenFunnel"];
    let mut flat = funnel.as_object().unwrap().clone();
    let times = flat.remove("timeToUse").unwrap();
    for (name, from) in [("timed", "count"), ("median", "median"), ("p90", "p90"), ("p99", "p99")] {
        flat.insert(name.to_owned(), times[from].clone());
    }
    same(
        &rows(gateway, &format!("report_token_funnel({arguments})")).await,
        &normal(&json!([flat])),
        &format!("funnel {place}"),
    );
    members(gateway, question, &place).await;
}

/// The reports that follow members; the gateway refuses some of them over all time.
async fn members(gateway: &TestGateway, question: &Question<'_>, place: &str) {
    let Question { basis, zone, range } = question;
    if range[0].is_none() || range[0] < Some("2024") {
        return;
    }
    let (with, filter) = (format!("{}, basis => '{basis}'", question.arguments()), question.filter());
    let told = gateway
        .query(&format!(
            "{{
                activeUsers({filter}, basis: {basis}) {{ date daily weekly monthly stickiness isPartial }}
                membership(granularity: MONTH, {filter}, basis: {basis}, stoppedAfterDays: 14) {{
                    startsAt: start joined active firstVisits returningMembers: returning stopped isPartial
                }}
                week: membership(granularity: WEEK, {filter}, basis: {basis}, stoppedAfterDays: 3) {{
                    startsAt: start joined active firstVisits returningMembers: returning stopped isPartial
                }}
                joined: retention(cohort: MONTH, periods: 3, anchor: JOINED_AT, {filter}, basis: {basis}) {{
                    start members periods {{ index start active rate isPartial }}
                }}
                first: retention(cohort: WEEK, periods: 4, anchor: FIRST_VISIT, {filter}, basis: {basis}) {{
                    start members periods {{ index start active rate isPartial }}
                }}
            }}"
        ))
        .await;
    let active = normal(&told["activeUsers"]);
    same(&rows(gateway, &format!("report_active_users({with})")).await, &active, &format!("active {place}"));
    for (name, unit, days) in [("membership", "MONTH", 14), ("week", "WEEK", 3)] {
        let columns = "starts_at, joined, active, first_visits, returning_members, stopped, is_partial";
        let sql = format!("(SELECT {columns} FROM report_membership('{unit}', {with}, stopped_after_days => {days}))");
        same(&rows(gateway, &sql).await, &normal(&told[name]), &format!("{name} {place} {zone}"));
    }
    for (name, unit, anchor, periods) in [("joined", "MONTH", "JOINED_AT", 3), ("first", "WEEK", "FIRST_VISIT", 4)] {
        let flat = told[name].as_array().unwrap().iter().flat_map(|cohort| {
            cohort["periods"].as_array().unwrap().iter().map(|period| {
                json!({
                    "date": cohort["start"], "members": cohort["members"], "period": period["index"], "periodDate": period["start"],
                    "active": period["active"], "rate": period["rate"], "isPartial": period["isPartial"],
                })
            })
        });
        let sql = format!("report_retention('{unit}', {with}, periods => {periods}, anchor => '{anchor}')");
        same(&rows(gateway, &sql).await, &normal(&flat.collect()), &format!("{name} {place}"));
    }
}

/// The rows of a function, as GraphQL writes them.
async fn rows(gateway: &TestGateway, from: &str) -> Value {
    normal(
        &value(&gateway.database.owner, &format!("(SELECT coalesce(json_agg(rows), '[]') FROM {from} AS rows)")).await,
    )
}

/// Fails with the first rows that differ.
fn same(rows: &Value, expected: &Value, place: &str) {
    if rows != expected {
        let (rows, expected) = (rows.as_array().unwrap(), expected.as_array().unwrap());
        let at = rows
            .iter()
            .zip(expected)
            .position(|(row, expected)| row != expected)
            .unwrap_or(rows.len().min(expected.len()));
        panic!("{place}: row {at} is {:?}, not {:?}", rows.get(at), expected.get(at));
    }
}

/// The value of an expression, as JSON.
async fn value(connection: &DatabaseConnection, expression: &str) -> Value {
    let sql = format!("SELECT to_json({expression})::TEXT AS value");
    let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), &sql)).await;
    let row = row.unwrap_or_else(|error| panic!("{error} in {sql}")).unwrap();
    serde_json::from_str(&row.try_get::<String>("", "value").unwrap()).unwrap()
}

/// One way to write names, instants and ratios.
fn normal(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(normal).collect(),
        Value::Object(row) => {
            row.iter().map(|(name, value)| (camel(name), normal(value))).collect::<Map<_, _>>().into()
        }
        Value::String(text) => DateTime::parse_from_rfc3339(text)
            .map_or_else(|_| value.clone(), |instant| json!(instant.with_timezone(&Utc).timestamp_micros())),
        // A ratio may be whole, and its last bit may differ.
        Value::Number(number) => json!(format!("{:.9}", number.as_f64().unwrap())),
        _ => value.clone(),
    }
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

async fn functions_are_exact_while_door_codes_are_written() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    rollup::create(&database.owner, PATIENCE).await.unwrap();
    refresh_to_the_end(&database.owner).await;
    let (writer, refresher) = (connect(&database).await, connect(&database).await);
    let is_over = Arc::new(AtomicBool::new(false));
    let over = || is_over.clone();
    let (done, stopped) = (over(), over());
    let writing = tokio::spawn(async move {
        let mut written = 0;
        while !done.load(Ordering::Relaxed) {
            let sql = "INSERT INTO tokens (user_id, token, created_at, used_at)
                       SELECT 1 + n % 9, '------', at, at + n * INTERVAL '1 hour'
                       FROM (SELECT n, TIMESTAMP '2024-03-25' + random() * INTERVAL '14 days' AS at FROM generate_series(1, 5) AS n) AS codes;
                       UPDATE tokens SET used_at = NULL WHERE id = (SELECT max(id) - 3 FROM tokens)";
            writer.execute_unprepared(sql).await.unwrap();
            written += 1;
        }
        written
    });
    let refreshing = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            refresh_to_the_end(&refresher).await;
        }
    });
    // In one statement, so in one snapshot; the views count from the door codes.
    let differing = "(SELECT count(*) FROM (
            (TABLE report_daily_usage EXCEPT SELECT * FROM report_daily_usage(zone => 'UTC'))
            UNION ALL (SELECT * FROM report_daily_usage(zone => 'UTC') EXCEPT TABLE report_daily_usage)
        ) AS days) + (SELECT count(*) FROM (
            (TABLE report_user_visits EXCEPT SELECT * FROM report_user_visits(zone => 'UTC'))
            UNION ALL (SELECT * FROM report_user_visits(zone => 'UTC') EXCEPT TABLE report_user_visits)
        ) AS members)";
    for _ in 0..40 {
        assert_eq!(value(&database.owner, differing).await, json!(0));
    }
    is_over.store(true, Ordering::Relaxed);
    assert!(writing.await.unwrap() > 10);
    refreshing.await.unwrap();
    assert_eq!(value(&database.owner, differing).await, json!(0));
}

async fn arguments_that_make_no_sense_are_refused() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    for (call, told) in [
        ("report_daily_usage(zone => 'Europe/Berlim')", "time zone \"Europe/Berlim\" not recognized"),
        ("report_daily_usage(zone => '+2')", "not the name of a time zone: write it like Europe/Berlin"),
        ("report_daily_usage(zone => NULL)", "the zone is null"),
        ("report_heatmap(basis => 'used')", "the basis is used: write ISSUED_AT or USED_AT"),
        ("report_frequency('2024-02-02', '2024-02-01')", "the first date, 2024-02-02, is after the last one"),
        ("report_usage('HOUR')", "the granularity is HOUR: write DAY, WEEK, MONTH, QUARTER or YEAR"),
        ("report_retention('DAY')", "the cohort is DAY"),
        ("report_retention(periods => 105)", "periods is 105: write 1 to 104"),
        ("report_membership(stopped_after_days => 0)", "stopped_after_days is 0: write 1 to 3650"),
        (
            "report_segments(lapsed_after_days => 9)",
            "lapsed_after_days is 9, which is less than active_within_days, 30",
        ),
    ] {
        let refused =
            database.owner.execute_unprepared(&format!("SELECT * FROM {call}")).await.expect_err(call).to_string();
        assert!(refused.contains(told), "{call}: {refused}");
    }
}

async fn what_is_no_rollup_is_not_read_by_functions() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    rollup::create(&database.owner, PATIENCE).await.unwrap();
    refresh_to_the_end(&database.owner).await;
    let expected =
        value(&database.owner, "(SELECT json_agg(days) FROM report_daily_usage(zone => 'UTC') AS days)").await;
    let role = format!("stranger_{}", uuid::Uuid::new_v4().simple());
    // Triggers that are off, and tables that somebody else put there.
    for trouble in [
        "ALTER TABLE tokens DISABLE TRIGGER rollup_tokens_inserted".to_owned(),
        format!(
            "ALTER TABLE tokens ENABLE TRIGGER rollup_tokens_inserted; CREATE ROLE {role}; ALTER TABLE rollup_days OWNER TO {role}"
        ),
        "DROP TABLE rollup_days".to_owned(),
    ] {
        database.execute(&trouble).await;
        assert_eq!(value(&database.owner, "report_has_rollup()").await, json!(false), "{trouble}");
        let days =
            value(&database.owner, "(SELECT json_agg(days) FROM report_daily_usage(zone => 'UTC') AS days)").await;
        assert_eq!(days, expected, "{trouble}");
    }
}

async fn undoing_removes_the_functions_alone() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let left = "(SELECT count(*) FROM pg_proc WHERE proname LIKE 'report\\_%')";
    let open = "(SELECT count(*) FROM pg_proc WHERE proname LIKE 'report\\_%' AND has_function_privilege('pg_monitor', oid, 'EXECUTE'))";
    assert_eq!(value(&database.owner, open).await, json!(0), "nobody may call them without a grant");
    let theirs = "CREATE FUNCTION report_segments(theirs TEXT) RETURNS TEXT LANGUAGE sql AS 'SELECT theirs'";
    database.execute(theirs).await;
    migration::down(&database.owner).await.unwrap();
    assert_eq!(value(&database.owner, left).await, json!(1), "only theirs");
    let applied = migration::status(&database.owner).await.unwrap();
    assert_eq!(applied.last(), Some(&(Migration::CreateReportFunctions, false)));
    migration::up(&database.owner).await.unwrap();
    // What has their name, and the same arguments, is never replaced.
    migration::down(&database.owner).await.unwrap();
    database
        .execute(
            "CREATE FUNCTION report_frequency(DATE, DATE, TEXT, TEXT) RETURNS TEXT LANGUAGE sql AS 'SELECT 1::TEXT'",
        )
        .await;
    let error = migration::up(&database.owner).await.unwrap_err().to_string();
    assert!(error.contains("nothing was replaced") && error.contains("report_frequency"), "{error}");
    assert_eq!(value(&database.owner, left).await, json!(2), "all or none");
}

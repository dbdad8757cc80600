//! Unusual rows, as real databases have them: times at the limits of the column type, values that are not times, and,
//! on SQLite, times in the formats of other programs. Each report answers, and counts these rows as the documentation
//! says.

use serde_json::{Value, json};

use crate::support::{Backend, TestDatabase, TestGateway, on_both_databases};

on_both_databases!(
    no_value_that_a_column_holds_breaks_a_report,
    a_time_that_cannot_be_told_is_none,
    the_last_day_of_the_calendar_counts,
);

const BUCKETS: &str = "{ buckets { start visits tokensIssued tokensUnused uniqueVisitors newVisitors rollingAverage cumulative } \
    totals { visits tokensIssued uniqueVisitors } }";
const MEMBERS: &str =
    "{ totalCount nodes { userId visits tokensIssued firstVisitAt lastVisitAt joinedAt user { firstName joinedAt } } }";

/// All reports, by both bases, for all time and for a range.
fn questions() -> Vec<String> {
    let mut questions = vec![
        "{ retention(anchor: JOINED_AT, filter: { from: \"2024-01-01\" }) { label members periods { active } } }".to_owned(),
        "{ frequency { visits members membersAtLeast } segments { segment members activeMembers } membership { label joined active firstVisits stopped } forecast { learnedFrom days { expected } } }".to_owned(),
        "{ tokenFunnel { issued used unused usedBeforeIssued timeToUse { count median p90 } } }".to_owned(),
        "{ members(first: 1000) { totalCount nodes { userId segment visits daysSinceLastVisit joinedAt user { firstName } } } }".to_owned(),
        format!("{{ userVisits(first: 1000, filter: {{ from: \"2024-03-01\" }}) {MEMBERS} }}"),
        format!("{{ userVisits(first: 1000, filter: {{ joinedFrom: \"2023-10-01\" }}) {MEMBERS} }}"),
    ];
    for basis in ["ISSUED_AT", "USED_AT"] {
        for filter in ["", ", filter: { from: \"2024-03-01\" }", ", filter: { to: \"2024-03-31\" }"] {
            questions.push(format!(
                "{{ usage(basis: {basis}, timeZone: \"Asia/Kathmandu\", granularity: MONTH{filter}) {BUCKETS} }}"
            ));
            if filter.contains("to") {
                continue;
            }
            questions.push(format!(
                "{{ dailyUsage(basis: {basis}{filter}) {{ date visits tokensIssued tokensUnused uniqueVisitors }} }}"
            ));
            // With a range, a zone with many changes of its clocks.
            let zone = if filter.contains("from") { "America/St_Johns" } else { "Asia/Kathmandu" };
            questions.push(format!(
                "{{ heatmap(basis: {basis}, timeZone: \"{zone}\"{filter}) {{ from to visits cells {{ visits }} }} }}"
            ));
        }
        questions
            .push(format!("{{ userVisits(first: 1000, filter: {{ basis: {basis}, to: \"2024-04-01\" }}) {MEMBERS} }}"));
        questions.push(format!("{{ activeUsers(basis: {basis}, filter: {{ from: \"2024-01-01\", to: \"2024-04-10\" }}) {{ date daily weekly monthly }} }}"));
        questions.push(format!("{{ retention(basis: {basis}, anchor: FIRST_VISIT, filter: {{ from: \"2023-06-01\" }}) {{ label members periods {{ active }} }} }}"));
    }
    for field in ["JOINED_AT", "FIRST_VISIT_AT", "LAST_VISIT_AT"] {
        questions
            .push(format!("{{ userVisits(first: 1000, orderBy: {{ field: {field}, direction: DESC }}) {MEMBERS} }}"));
    }
    questions
}

/// The answers to all questions; panics when a report fails.
async fn answers(gateway: &TestGateway, context: &str) -> Vec<Value> {
    let mut answers = Vec::new();
    for question in questions() {
        let answer = gateway.post(&question, json!({})).await;
        // Only an open range that a distant row makes too long may be refused.
        let is_refused = answer.body.contains("BAD_USER_INPUT");
        let is_answered = !answer.body.contains("\"errors\"");
        assert!(answer.status == 200 && (is_answered || is_refused), "{context}: {question}\n{}", answer.body);
        answers.push(answer.json());
    }
    for path in ["/api/reports/daily_usage", "/api/reports/user_visits", "/api/reports/user_visits?format=csv"] {
        let answer = gateway.get(path).await;
        assert_eq!(answer.status, 200, "{context}: {path}");
        answers.push(answer.body.into());
    }
    answers
}

/// The extreme values of the column type; on SQLite, any value.
fn extremes(backend: Backend) -> Vec<&'static str> {
    let dates = ["'0001-01-01'", "'9999-12-31 23:59:59.999999'", "'1900-01-01'", "'2999-12-31'"];
    let others: &[&str] = if backend == Backend::Postgres {
        &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 BC'",
            "'0001-12-31 BC'",
            "'10000-01-01'",
            "'294276-12-31 23:59:59.999999'",
        ]
    } else {
        &[
            "''",
            "'infinity'",
            "'no time'",
            "'10000-01-01 00:00:00'",
            "'-0044-03-15'",
            "'2024-13-45 10:00'",
            "0",
            "1e300",
            "-5",
            "x'00ff'",
            "'0000-00-00 00:00:00'",
        ]
    };
    dates.into_iter().chain(others.iter().copied()).collect()
}

/// Keeps only some of the recorded rows.
const FEW: &str = "DELETE FROM tokens WHERE user_id > 60; DELETE FROM users WHERE id > 60";

async fn no_value_that_a_column_holds_breaks_a_report(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    // Few rows, because there are many questions.
    gateway.database.execute(FEW).await;
    let sound = answers(&gateway, "at first").await;
    for value in extremes(backend) {
        for (table, column) in [("users", "joined_at"), ("tokens", "created_at"), ("tokens", "used_at")] {
            let context = format!("{column} {value}");
            let kept = if table == "users" { "id = 7" } else { "user_id = 7" };
            gateway
                .database
                .execute(&format!("CREATE TABLE before AS SELECT id, {column} FROM {table} WHERE {kept}"))
                .await;
            gateway.database.execute(&format!("UPDATE {table} SET {column} = {value} WHERE {kept}")).await;
            let odd = answers(&gateway, &context).await;
            assert_ne!(odd, sound, "{context}");
            gateway
                .database
                .execute(&format!(
                    "UPDATE {table} SET {column} = (SELECT {column} FROM before WHERE before.id = {table}.id) WHERE {kept}; DROP TABLE before"
                ))
                .await;
        }
    }
    assert_eq!(answers(&gateway, "and back").await, sound);
}

/// A door code used at a time that cannot be read is a visit by the time of issue, and is on no date by the time of
/// use.
async fn a_time_that_cannot_be_told_is_none(backend: Backend) {
    let gateway = TestGateway::empty(backend).await;
    gateway
        .database
        .execute(
            "INSERT INTO users (id, first_name, last_name, joined_at) VALUES \
        (1, 'First', 'Last', '2024-01-01 00:00:00'), (2, 'Second', 'Last', 'infinity')",
        )
        .await;
    gateway
        .database
        .execute(
            "INSERT INTO tokens (user_id, token, created_at, used_at) VALUES \
        (1, '------', '2024-03-01 10:00:00', 'infinity'), (1, '------', '2024-03-01 11:00:00', '2024-03-01 12:00:00'), \
        (2, '------', 'infinity', '2024-03-02 10:00:00'), (2, '------', '2024-03-03 10:00:00', NULL)",
        )
        .await;
    let answer = gateway
        .query(
            "{ issued: usage { totals { visits tokensIssued tokensUnused uniqueVisitors } }
               used: usage(basis: USED_AT) { totals { visits tokensIssued uniqueVisitors } }
               tokenFunnel { issued used unused timeToUse { count median } }
               userVisits { nodes { userId visits tokensIssued firstVisitAt lastVisitAt joinedAt user { joinedAt } } }
               active: userVisits(filter: { isActive: true }) { totalCount }
               late: userVisits(filter: { joinedFrom: \"2024-06-01\" }) { totalCount } }",
        )
        .await;
    let expected = json!({
        "issued": { "totals": { "visits": 2, "tokensIssued": 3, "tokensUnused": 1, "uniqueVisitors": 1 } },
        "used": { "totals": { "visits": 2, "tokensIssued": 3, "uniqueVisitors": 2 } },
        "tokenFunnel": { "issued": 3, "used": 2, "unused": 1, "timeToUse": { "count": 1, "median": 3600 } },
        "userVisits": { "nodes": [
            { "userId": 1, "visits": 2, "tokensIssued": 2, "firstVisitAt": "2024-03-01T12:00:00Z",
              "lastVisitAt": "2024-03-01T12:00:00Z", "joinedAt": "2024-01-01T00:00:00Z",
              "user": { "joinedAt": "2024-01-01T00:00:00Z" } },
            { "userId": 2, "visits": 1, "tokensIssued": 2, "firstVisitAt": "2024-03-02T10:00:00Z",
              "lastVisitAt": "2024-03-02T10:00:00Z", "joinedAt": null, "user": { "joinedAt": null } },
        ] },
        "active": { "totalCount": 2 },
        "late": { "totalCount": 0 },
    });
    assert_eq!(answer, expected, "{answer:#}");
}

async fn the_last_day_of_the_calendar_counts(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    gateway
        .database
        .execute("INSERT INTO tokens (user_id, token, created_at) VALUES (1, '------', '9999-12-31 10:00:00')")
        .await;
    for zone in ["UTC", "Pacific/Honolulu", "Pacific/Kiritimati"] {
        let totals = |to: &str| {
            format!("{{ usage(timeZone: \"{zone}\", filter: {{ to: \"{to}\" }}) {{ totals {{ tokensIssued }} }} }}")
        };
        let last = gateway.query(&totals("9999-12-31")).await["usage"]["totals"]["tokensIssued"].as_i64().unwrap();
        let before = gateway.query(&totals("9999-12-30")).await["usage"]["totals"]["tokensIssued"].as_i64().unwrap();
        let all = gateway.query(&format!("{{ usage(timeZone: \"{zone}\") {{ totals {{ tokensIssued }} }} }}")).await;
        assert_eq!(last, all["usage"]["totals"]["tokensIssued"].as_i64().unwrap(), "{zone}");
        // In the easternmost zone it is already the year 10000 then.
        assert_eq!(last - before, i64::from(zone != "Pacific/Kiritimati"), "{zone}");
        assert!(before > 500, "{before}");
    }
}

/// The same instants in all formats that other programs write.
#[tokio::test]
async fn sqlite_compares_instants_in_whatever_form() {
    let sound = TestGateway::recorded(Backend::Sqlite).await;
    // Some instants at midnight, which can be written as a date alone.
    let midnights = "UPDATE tokens SET created_at = substr(created_at, 1, 10) || ' 00:00:00' WHERE id % 9 = 0; \
                     UPDATE users SET joined_at = substr(joined_at, 1, 10) || ' 00:00:00' WHERE id % 3 = 0";
    sound.database.execute(FEW).await;
    sound.database.execute(midnights).await;
    let expected = answers(&sound, "canonical").await;
    let expected_pages = pages(&sound).await;
    for form in [
        "$ || CASE WHEN instr($, '.') THEN '' ELSE '.000000' END",
        "CASE WHEN instr($, '.') THEN rtrim($, '0') ELSE $ END",
        "replace($, ' ', 'T') || 'Z'",
        "replace($, ' ', 'T') || '+00:00'",
        "CASE WHEN $ LIKE '% 00:00:00' THEN substr($, 1, 10) ELSE $ || 'Z' END",
        "CASE id % 4 WHEN 0 THEN replace($, ' ', 'T') WHEN 1 THEN $ || 'Z' WHEN 2 THEN $ || '+00:00' ELSE $ END",
    ] {
        let gateway = TestGateway::on(TestDatabase::recorded(Backend::Sqlite).await, &[]).await;
        gateway.database.execute(FEW).await;
        gateway.database.execute(midnights).await;
        for (table, column) in [("users", "joined_at"), ("tokens", "created_at"), ("tokens", "used_at")] {
            gateway.database.execute(&format!("UPDATE {table} SET {column} = {}", form.replace('$', column))).await;
        }
        assert!(answers(&gateway, form).await == expected, "{form}");
        assert_eq!(pages(&gateway).await, expected_pages, "{form}");
    }
}

/// Texts that SQLite takes for an instant of another date than the one that they begin with, or that begin with none.
#[tokio::test]
async fn sqlite_finds_every_instant_in_its_range() {
    let gateway = TestGateway::empty(Backend::Sqlite).await;
    let member = "INSERT INTO users (id, first_name, last_name, joined_at) VALUES (1, 'First', 'Last', '2020-01-01')";
    gateway.database.execute(member).await;
    for text in [
        "2023-02-31 24:00:00",
        "2023-02-29",
        "2024-02-30T10:00:00Z",
        "2023-03-01 24:00",
        "2023-04-31 23:59:59.999999",
        "2023-03-03 00:00:00",
        "2023-03-04",
        "2460007.5",
        "12:00",
        "2023-12-31T23:59:59.5+00:00",
        "2024-01-01",
        " 2023-03-05 10:00:00",
        "9999-12-31 23:00:00",
        "0001-01-01 00:00:00",
        "now",
        "2023",
        "-4713-11-24 12:00:00",
        "20230305",
    ] {
        let row = format!(
            "INSERT INTO tokens (user_id, token, created_at, used_at) VALUES (1, '------', '{text}', '{text}')"
        );
        gateway.database.execute(&row).await;
    }
    for (basis, zone) in [("ISSUED_AT", "UTC"), ("USED_AT", "UTC"), ("USED_AT", "Pacific/Kiritimati")] {
        let days = async |filter: &str| {
            let question = format!(
                "{{ dailyUsage(basis: {basis}, timeZone: \"{zone}\"{filter}) {{ date visits tokensIssued }} }}"
            );
            gateway.query(&question).await["dailyUsage"].as_array().unwrap().clone()
        };
        let all = days("").await;
        assert!(all.len() > 7, "{all:?}");
        for day in &all {
            let date = day["date"].as_str().unwrap();
            let expected = std::slice::from_ref(day);
            assert_eq!(days(&format!(", filter: {{ from: \"{date}\", to: \"{date}\" }}")).await, expected);
            let since = days(&format!(", filter: {{ from: \"{date}\" }}")).await;
            assert_eq!(since.first(), Some(day), "since {date}");
            let until = days(&format!(", filter: {{ to: \"{date}\" }}")).await;
            assert_eq!(until.last(), Some(day), "until {date}");
            let members = format!(
                "{{ userVisits(filter: {{ from: \"{date}\", to: \"{date}\", basis: {basis}, timeZone: \"{zone}\" }}) {{ totals {{ visits tokensIssued }} }} }}"
            );
            let totals = gateway.query(&members).await["userVisits"]["totals"].take();
            assert_eq!(totals, json!({ "visits": day["visits"], "tokensIssued": day["tokensIssued"] }), "{date}");
        }
    }
}

/// The ids of a list, page by page, forwards and backwards, by two orders.
async fn pages(gateway: &TestGateway) -> Vec<i64> {
    let mut ids = Vec::new();
    for field in ["JOINED_AT", "LAST_VISIT_AT"] {
        for (first, after, forward) in [("first", "after", true), ("last", "before", false)] {
            let mut cursor = String::new();
            let mut listed = 0;
            loop {
                let page = gateway
                    .query(&format!(
                        "{{ userVisits({first}: 15{cursor}, orderBy: {{ field: {field} }}) {{ nodes {{ userId }} \
                         pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
                    ))
                    .await;
                let nodes = page["userVisits"]["nodes"].as_array().unwrap().clone();
                listed += nodes.len();
                ids.extend(nodes.iter().map(|node| node["userId"].as_i64().unwrap()));
                let info = &page["userVisits"]["pageInfo"];
                let (more, end) =
                    if forward { ("hasNextPage", "endCursor") } else { ("hasPreviousPage", "startCursor") };
                if !info[more].as_bool().unwrap() {
                    break;
                }
                assert!(listed < 1_000, "pages without end");
                cursor = format!(", {after}: {}", info[end]);
            }
            assert!(listed > 30, "{listed}");
        }
    }
    ids
}

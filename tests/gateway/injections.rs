//! SQL in values from clients is treated as text.

use coworking_analytics::database::{Access, Database};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::json;

use crate::support::{Backend, TestDatabase, TestGateway, config, on_postgres};

on_postgres!(nothing_that_is_sent_can_write);

/// Texts that would end a literal, begin a statement, or both.
const INJECTIONS: [&str; 8] = [
    "'; DROP TABLE tokens; --",
    "\"; DELETE FROM users; --",
    "2024-03-01'); UPDATE users SET is_active = false; --",
    "1) UNION SELECT token FROM tokens --",
    "UTC' AT TIME ZONE (SELECT token FROM tokens LIMIT 1)",
    "$1; TRUNCATE tokens",
    "\\'; COMMIT; INSERT INTO users (first_name) VALUES ('x'); --",
    "0x27; SET default_transaction_read_only = off",
];

/// The role may write here. The gateway's sessions are read-only anyway, and no text becomes a statement.
async fn nothing_that_is_sent_can_write() {
    let gateway = TestGateway::on(TestDatabase::recorded(Backend::Postgres).await, &[]).await;
    let database = Database::connect(&config(&gateway.database.url, &[]).database, Access::Report).await.unwrap();
    for statement in ["DELETE FROM tokens", "UPDATE users SET is_active = true", "CREATE TABLE mine (id INT)"] {
        let refused = database.connection().execute_unprepared(statement).await.unwrap_err().to_string();
        assert!(refused.contains("read-only transaction"), "{refused}");
    }
    let state = async || {
        let sql = "SELECT (SELECT md5(string_agg(tokens::text, ',' ORDER BY id)) FROM tokens) || \
                   (SELECT md5(string_agg(users::text, ',' ORDER BY id)) FROM users) || \
                   (SELECT count(*) FROM pg_class) AS state";
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = gateway.database.owner.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get::<String>("", "state").unwrap()
    };
    let before = state().await;
    for text in INJECTIONS {
        let document = "query($text: String, $date: Date, $zone: TimeZone!) {
            a: userVisits(after: $text) { totalCount } b: members(before: $text, last: 1) { totalCount }
            c: dailyUsage(filter: { from: $date }) { date } d: dailyUsage(filter: { joinedTo: $date }) { date }
            e: usage(timeZone: $zone, granularity: HOUR) { totals { visits } } f: heatmap(timeZone: $zone) { visits }
            g: userVisits(filter: { lastVisitBefore: $date }) { totalCount } }";
        let answer = gateway.post(document, json!({ "text": text, "date": text, "zone": text })).await.json();
        let errors = answer["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 7, "{answer}");
        assert!(errors.iter().all(|error| error["extensions"]["code"] == "BAD_USER_INPUT"), "{answer}");
        for parameter in [
            "from",
            "to",
            "range",
            "time_zone",
            "user_ids",
            "is_active",
            "joined_from",
            "basis",
            "order_by",
            "first",
            "other",
        ] {
            let query = serde_urlencoded::to_string([(parameter, text)]).unwrap();
            let answer = gateway.get(&format!("/api/reports/user_visits?{query}")).await;
            assert_eq!(answer.status, 400, "{parameter} {text}: {}", answer.body);
        }
    }
    assert_eq!(state().await, before);
}

//! The replacement of the legacy service, with the real binary: a database made by `psql` from the legacy statements,
//! the legacy variables, and a role that may only read, and not the column with the door codes.

use std::process::Command;

use axum::{body::Body, http::Request};
use coworking_analytics::access::{Scopes, keys::NewKey};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    database::{create_postgres_database, fixture, fixture_path, postgres_authority},
    on_postgres,
    process::{Service, get, send},
};

on_postgres!(the_legacy_environment_is_all_it_takes, connections_are_encrypted_and_the_server_is_checked,);

/// A password that would be misread in a URL without escaping.
const PASSWORD: &str = "p@ss/w%rd:#?&' \"";
/// The value of `tokens.token` in this test. It must appear in no answer and no log line.
const DOOR_CODE: &str = "QX7Z2K";

async fn the_legacy_environment_is_all_it_takes() {
    let url = create_postgres_database().await;
    let role = format!("reader_{}", Uuid::new_v4().simple());
    let (schema, data) = (fixture_path("schema.sql"), fixture_path("data.sql"));
    psql(&url, &["-f", schema.to_str().unwrap(), "-f", data.to_str().unwrap()]);
    psql(&url, &["-c", &format!("UPDATE tokens SET token = '{DOOR_CODE}'")]);
    create_reader(&url, &role);

    let (host, port, name) = parts(&url);
    let metrics = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let metrics_port = metrics.port().to_string();
    let key = NewKey::invent("members", Scopes::parse("members").unwrap(), None).unwrap();
    let service = Service::start(&[
        ("DB_USERNAME", &role),
        ("DB_PASSWORD", PASSWORD),
        ("DB_HOST", host),
        ("DB_PORT", port),
        ("DB_NAME", name),
        ("USAGE_LOG_INTERVAL", "1s"),
        ("LOG_FORMAT", "json"),
        ("LOG_LEVEL", "debug"),
        ("API_KEYS", &key.line),
        ("METRICS_PORT", &metrics_port),
    ])
    .await;

    let mut said = String::new();
    for path in ["/health_check", "/readiness_check"] {
        let answer = service.get(path).await;
        assert_eq!((answer.body.as_str(), answer.header("content-type")), ("ok", "text/html; charset=utf-8"));
    }
    for report in ["daily_usage", "user_visits"] {
        let answer = service.get(&format!("/api/reports/{report}")).await;
        assert_eq!(answer.body, fixture(&format!("{report}.json")), "{report}");
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
        said += &answer.body;
    }

    let daily = service.query("{ dailyUsage(timeZone: \"America/New_York\", basis: USED_AT) { date visits tokensIssued tokensUnused uniqueVisitors } }").await.unwrap();
    assert_eq!(daily.json()["data"]["dailyUsage"], rows(&url, DAILY_BY_HAND));
    // Names are new, so they need a scope.
    let name = service.query("{ userVisits(first: 1) { nodes { user { firstName } } } }").await.unwrap();
    assert_eq!(
        (name.status.as_u16(), name.json()["errors"][0]["extensions"]["scope"].as_str()),
        (401, Some("members"))
    );
    let document = "{ userVisits(first: 1000, orderBy: { field: VISITS, direction: DESC }) { nodes { userId visits tokensIssued tokensUnused isActive user { firstName } } } }";
    let body = json!({ "query": document }).to_string();
    let request = Request::post("/graphql").header("content-type", "application/json").header("x-api-key", &key.key);
    let members = send(service.address, request.body(body.into()).unwrap()).await.unwrap();
    assert_eq!(members.json()["data"]["userVisits"]["nodes"], rows(&url, MEMBERS_BY_HAND));
    said += &daily.body;
    said += &members.body;
    said += &service.query(INTROSPECTION).await.unwrap().body;
    said += &service.query("{ dailyUsage(filter: { from: \"x\" }) { date token } }").await.unwrap().body;

    // All reports, in all formats.
    for path in [
        "user_visits?format=csv",
        "user_visits?format=ndjson",
        "daily_usage?format=csv",
        "usage",
        "heatmap",
        "retention",
        "members",
        "active_users",
        "token_funnel",
        "frequency",
        "segments",
        "membership",
        "forecast",
    ] {
        let request = Request::get(format!("/api/reports/{path}")).header("x-api-key", &key.key);
        let answer = send(service.address, request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
        said += &answer.body;
    }
    for path in ["/api/openapi.json", "/api/status", "/api/reports/nothing", "/graphiql"] {
        said += &service.get(path).await.body;
    }
    said += &get(metrics, "/metrics").await.unwrap().body;

    // With its setting, the log has the legacy map.
    let legacy: Value = serde_json::from_str(&fixture("daily_usage.json")).unwrap();
    service.wait_for("/readiness_check", 200).await;
    let log = service.log();
    let map = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["message"] == "daily usage, day by day");
    let map = map.unwrap_or_else(|| panic!("no daily usage in {log}"));
    assert_eq!(serde_json::from_str::<Value>(map["daily_usage"].as_str().unwrap()).unwrap(), legacy);
    said += &log;
    assert!(!said.contains(DOOR_CODE), "a door code got out");
    assert!(!said.contains(PASSWORD), "the password got out");
}

/// The grants of `docs/postgresql.md`, without the column of door codes.
fn create_reader(url: &str, role: &str) {
    let password = PASSWORD.replace('\'', "''");
    let columns = "GRANT SELECT (id, first_name, last_name, joined_at, is_active) ON users TO";
    let times = "GRANT SELECT (id, user_id, created_at, used_at) ON tokens TO";
    psql(url, &["-c", &format!("CREATE ROLE {role} LOGIN PASSWORD '{password}'; {columns} {role}; {times} {role}")]);
}

async fn connections_are_encrypted_and_the_server_is_checked() {
    let url = create_postgres_database().await;
    let role = format!("reader_{}", Uuid::new_v4().simple());
    psql(&url, &["-f", fixture_path("schema.sql").to_str().unwrap()]);
    create_reader(&url, &role);
    let (host, port, name) = parts(&url);
    let authority = postgres_authority();
    let with = |certificate: &str, mode: &str| {
        Service::spawn(&[
            ("DB_USERNAME", &role),
            ("DB_PASSWORD", PASSWORD),
            ("DB_HOST", host),
            ("DB_PORT", port),
            ("DB_NAME", name),
            ("DB_SSLMODE", mode),
            ("DB_SSLROOTCERT", certificate),
        ])
    };
    let checked = with(&authority, "verify-full");
    checked.wait_for("/readiness_check", 200).await;
    let encrypted =
        format!("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = '{role}'");
    assert_eq!(psql(&url, &["-c", &encrypted]), "t\n");
    drop(checked);
    // The server's own certificate is not an authority.
    let stranger = authority.replace("authority.pem", "server.pem");
    let refused = with(&stranger, "verify-full");
    refused.wait_for("/health_check", 200).await;
    assert_eq!(refused.get("/readiness_check").await.status, 500);
    assert!(refused.log().contains("certificate"), "{}", refused.log());
}

/// Independent SQL, as an analyst would write it.
const DAILY_BY_HAND: &str = "
    SELECT to_char(day, 'YYYY-MM-DD') AS date,
           (SELECT count(*) FROM tokens WHERE (used_at AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York')::date = day) AS visits,
           (SELECT count(*) FROM tokens WHERE (created_at AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York')::date = day) AS \"tokensIssued\",
           (SELECT count(*) FROM tokens WHERE (created_at AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York')::date = day AND used_at IS NULL) AS \"tokensUnused\",
           (SELECT count(DISTINCT user_id) FROM tokens WHERE (used_at AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York')::date = day) AS \"uniqueVisitors\"
    FROM (SELECT (created_at AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York')::date FROM tokens
          UNION SELECT (used_at AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York')::date FROM tokens WHERE used_at IS NOT NULL) AS days (day)
    ORDER BY day";
const MEMBERS_BY_HAND: &str = "
    SELECT users.id AS \"userId\", count(used_at) AS visits, count(*) AS \"tokensIssued\",
           count(*) FILTER (WHERE used_at IS NULL) AS \"tokensUnused\", is_active AS \"isActive\",
           json_build_object('firstName', first_name) AS user
    FROM users JOIN tokens ON tokens.user_id = users.id GROUP BY users.id ORDER BY count(used_at) DESC, users.id";
const INTROSPECTION: &str =
    "{ __schema { types { name description fields { name description } inputFields { name } enumValues { name } } } }";

fn psql(url: &str, arguments: &[&str]) -> String {
    let output = Command::new("psql")
        .args([url, "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn rows(url: &str, select: &str) -> Value {
    let rows = psql(url, &["-c", &format!("SELECT coalesce(json_agg(rows), '[]') FROM ({select}) AS rows")]);
    let rows: Value = serde_json::from_str(&rows).unwrap();
    assert_ne!(rows, json!([]));
    rows
}

/// Host, port and database name of `postgres://USER@HOST:PORT/NAME`.
fn parts(url: &str) -> (&str, &str, &str) {
    let (_, address) = url.split_once('@').unwrap();
    let (host, rest) = address.split_once(':').unwrap();
    let (port, name) = rest.split_once('/').unwrap();
    (host, port, name)
}

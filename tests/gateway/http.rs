//! Routes, methods, media types, request ids.

use axum::{body::Body, http::Request};
use serde_json::json;

use crate::support::{Backend, TestGateway, on_both_databases, snapshot};

on_both_databases!(
    legacy_routes_answer_as_recorded,
    head_answers_like_get_without_a_body,
    other_methods_are_not_allowed,
    empty_tables_are_empty_objects,
    a_missing_member_is_none,
    without_tokens_readiness_and_reports_fail,
    draining_fails_readiness_only,
);

const LEGACY: [&str; 4] = ["/health_check", "/readiness_check", "/api/reports/daily_usage", "/api/reports/user_visits"];

async fn legacy_routes_answer_as_recorded(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    for path in ["/health_check", "/readiness_check"] {
        let answer = gateway.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "ok"), "{path}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    }
    for report in ["daily_usage", "user_visits"] {
        let answer = gateway.get(&format!("/api/reports/{report}")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.body, crate::support::database::fixture(&format!("{report}.json")));
    }
}

async fn head_answers_like_get_without_a_body(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    for path in LEGACY {
        let get = gateway.get(path).await;
        let head = gateway.send(Request::head(path).body(Body::empty()).unwrap()).await;
        assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
        assert_eq!(head.header("content-length"), get.body.len().to_string());
    }
}

async fn other_methods_are_not_allowed(backend: Backend) {
    let gateway = TestGateway::empty(backend).await;
    for path in LEGACY {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = gateway.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), "GET,HEAD");
            assert_eq!(answer.json()["errors"][0]["extensions"]["code"], "METHOD_NOT_ALLOWED");
        }
    }
}

async fn empty_tables_are_empty_objects(backend: Backend) {
    let gateway = TestGateway::empty(backend).await;
    for report in ["daily_usage", "user_visits"] {
        assert_eq!(gateway.get(&format!("/api/reports/{report}")).await.body, "{}\n");
    }
}

async fn a_missing_member_is_none(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let orphan = match backend {
        Backend::Postgres => "ALTER TABLE tokens DROP CONSTRAINT tokens_users_id_fk; DELETE FROM users WHERE id = 2",
        Backend::Sqlite => "PRAGMA foreign_keys = OFF; DELETE FROM users WHERE id = 2",
    };
    gateway.database.execute(orphan).await;
    let visits = gateway.get("/api/reports/user_visits").await.json();
    assert_eq!(visits["2"], json!({ "joined_at": "None", "visits": 8 }));
    let node =
        "{ userVisits(filter: { userIds: [2] }) { nodes { userId tokensIssued joinedAt isActive user { id } } } }";
    let expected = json!([{ "userId": 2, "tokensIssued": 8, "joinedAt": null, "isActive": null, "user": null }]);
    assert_eq!(gateway.query(node).await["userVisits"]["nodes"], expected);
}

async fn without_tokens_readiness_and_reports_fail(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    gateway.database.execute("DROP VIEW report_daily_usage; DROP VIEW report_user_visits; DROP TABLE tokens").await;
    let ready = gateway.get("/readiness_check").await;
    assert_eq!((ready.status.as_u16(), ready.body.as_str()), (500, "failed"));
    assert_eq!(ready.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(gateway.get("/api/reports/daily_usage").await.status, 500);
    assert_eq!(gateway.get("/api/reports/user_visits").await.status, 500);
    assert_eq!(gateway.get("/health_check").await.status, 200);
    let answer = gateway.answer("{ dailyUsage { date } }").await;
    snapshot("error_internal", &answer);
    assert!(!answer.to_string().contains("tokens"), "the database's words reached a client: {answer}");
}

async fn draining_fails_readiness_only(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    gateway.ending.draining.cancel();
    assert_eq!(gateway.get("/readiness_check").await.status, 500);
    assert_eq!(gateway.get("/health_check").await.status, 200);
    assert_eq!(gateway.get("/api/reports/daily_usage").await.status, 200);
}

#[tokio::test]
async fn unknown_paths_are_not_found() {
    let gateway = TestGateway::empty(Backend::Sqlite).await;
    for path in
        ["/nothing", "/health_check/", "/graphiql/nothing.js", "/dashboard/start.js", "/api/reports/daily_usage/"]
    {
        let answer = gateway.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["errors"][0]["extensions"]["code"], "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_request_id_is_taken_or_made() {
    let gateway = TestGateway::empty(Backend::Sqlite).await;
    let with = async |id: &str| {
        gateway.send(Request::get("/health_check").header("x-request-id", id).body(Body::empty()).unwrap()).await
    };
    assert_eq!(with("from-the-ingress_1").await.header("x-request-id"), "from-the-ingress_1");
    for unfit in ["", "two words", &"x".repeat(129)] {
        let made = with(unfit).await;
        assert_eq!(made.header("x-request-id").len(), 36, "{unfit}");
    }
}

#[tokio::test]
async fn graphql_is_executed_by_post_and_get() {
    let gateway = TestGateway::recorded(Backend::Sqlite).await;
    let document =
        "query A($n: Int) { dailyUsage(first: $n) { date visits } } query B { userVisits(first: 1) { totalCount } }";
    let body = json!({ "query": document, "operationName": "A", "variables": { "n": 1 } }).to_string();
    let post = Request::post("/graphql").header("content-type", "application/json; charset=utf-8").body(body.into());
    let post = gateway.send(post.unwrap()).await;
    assert_eq!((post.status.as_u16(), post.header("content-type")), (200, "application/json; charset=utf-8"));
    assert_eq!(post.json(), json!({ "data": { "dailyUsage": [{ "date": "2024-03-01", "visits": 18 }] } }));

    let query =
        serde_urlencoded::to_string([("query", document), ("operationName", "A"), ("variables", "{\"n\":1}")]).unwrap();
    let get = Request::get(format!("/graphql?{query}")).header("accept", "application/graphql-response+json");
    let get = gateway.send(get.body(Body::empty()).unwrap()).await;
    assert_eq!(get.header("content-type"), "application/graphql-response+json; charset=utf-8");
    assert_eq!(get.body, post.body);
}

#[tokio::test]
async fn the_dashboard_has_the_name_and_the_desks_of_the_space() {
    let settings = [
        ("SPACE_NAME", "Süd <b>&\"'"),
        ("CAPACITY", "40"),
        ("DEFAULT_TIME_ZONE", "Pacific/Auckland"),
        ("DEFAULT_BASIS", "ISSUED_AT"),
    ];
    let named = TestGateway::configured(&settings).await.get("/").await;
    let other = TestGateway::configured(&[]).await.get("/").await;
    assert_eq!(named.body.matches(">Süd &lt;b&gt;&amp;\"'<").count(), 2, "the title and the heading");
    assert!(
        named
            .body
            .contains("<html lang=\"en\" data-capacity=\"40\" data-zone=\"Pacific/Auckland\" data-basis=\"ISSUED_AT\"")
            && !named.body.contains("Coworking analytics")
    );
    assert!(other.body.contains(">Coworking analytics<") && other.body.contains("<html lang=\"en\">"));
    let policy = named.header("content-security-policy");
    assert_eq!(policy, other.header("content-security-policy"));
    assert!(policy.contains("style-src 'sha256-"), "{policy}");
}

#[tokio::test]
async fn browsers_are_shown_the_page_and_its_files() {
    let gateway = TestGateway::empty(Backend::Sqlite).await;
    let browser = Request::get("/graphql").header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let answer = gateway.send(browser.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (307, "/graphiql"));
    let dashboard = gateway.get("/").await;
    assert!(dashboard.body.contains("dashboard.js"));
    let policy = dashboard.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let script = gateway.get("/dashboard/dashboard.js").await;
    assert_eq!((script.status.as_u16(), script.header("content-encoding")), (200, "gzip"));
    let again = Request::get("/dashboard/dashboard.js").header("if-none-match", script.header("etag"));
    assert_eq!(gateway.send(again.body(Body::empty()).unwrap()).await.status.as_u16(), 304);
    let page = gateway.get("/graphiql").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    let script = gateway.get("/graphiql/graphiql.min.js").await;
    assert_eq!((script.status.as_u16(), script.header("content-encoding")), (200, "gzip"));
    assert_eq!(gateway.get("/graphiql/start.js").await.header("content-type"), "text/javascript; charset=utf-8");
    assert!(page.body.contains("start.js"));
    for page in [page, dashboard] {
        assert!(!page.body.contains("https://"), "the pages must not need the internet");
    }
}

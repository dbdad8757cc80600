//! The cache of answers: valid exactly as long as the data does not change.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::json;

use crate::support::{
    Answer, Backend, PATIENCE, TestDatabase, TestGateway,
    database::waits_for_a_lock,
    on_both_databases, on_postgres,
    process::{Service, get, query},
};

on_both_databases!(
    what_is_committed_is_in_the_next_answer,
    the_same_question_is_computed_once_while_nothing_changes,
    clients_may_keep_answers_as_well,
);

on_postgres!(a_client_that_gives_up_does_not_cancel_the_others,);

const COUNT: &str = "{ dailyUsage(filter: { from: \"2030-01-01\" }) { tokensIssued } }";
const ONE_MORE: &str = "INSERT INTO tokens (user_id, token, created_at) VALUES (1, '------', '2030-01-01 12:00:00')";

async fn issued(gateway: &TestGateway) -> i64 {
    gateway.query(COUNT).await["dailyUsage"][0]["tokensIssued"].as_i64().unwrap_or_default()
}

async fn what_is_committed_is_in_the_next_answer(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    for expected in 0..50 {
        assert_eq!(issued(&gateway).await, expected);
        assert_eq!(issued(&gateway).await, expected);
        gateway.database.execute(ONE_MORE).await;
    }
    gateway.database.execute("UPDATE users SET first_name = 'Renamed' WHERE id = 1").await;
    let name = "{ userVisits(filter: { userIds: [1] }) { nodes { user { firstName } } } }";
    assert_eq!(gateway.query(name).await["userVisits"]["nodes"][0]["user"]["firstName"], "Renamed");
    gateway.database.execute("UPDATE users SET first_name = 'Again' WHERE id = 1").await;
    assert_eq!(gateway.query(name).await["userVisits"]["nodes"][0]["user"]["firstName"], "Again");
}

async fn asked(gateway: &TestGateway, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    gateway.send(request.body(Body::empty()).unwrap()).await
}

/// The header `Age` shows whether an answer is from the cache.
async fn the_same_question_is_computed_once_while_nothing_changes(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    // Every test has its own database, but on PostgreSQL without a rollup, a change in any database of the cluster
    // counts as a change.
    if backend == Backend::Postgres {
        coworking_analytics::reports::rollup::create(&gateway.database.owner, PATIENCE).await.unwrap();
        while coworking_analytics::reports::rollup::refresh(&gateway.database.owner).await.unwrap()
            != coworking_analytics::reports::rollup::Progress::Done
        {}
        gateway.reports.look_for_rollup().await.unwrap();
    }
    let day = "/graphql?query=%7BdailyUsage(first:1)%7Bvisits%7D%7D";
    let first = asked(&gateway, day, &[]).await;
    assert_eq!(first.json()["data"]["dailyUsage"][0]["visits"], 18);
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let second = asked(&gateway, day, &[]).await;
    assert_eq!(second.body, first.body);
    assert_ne!(second.header("age"), "0", "it was kept");
    assert_eq!(asked(&gateway, day, &[("cache-control", "no-cache")]).await.header("age"), "0", "it was computed anew");
    // Other variables, another operation and another media type make another question.
    for (body, expected) in [
        (json!({ "query": "query($n: Int) { dailyUsage(first: $n) { visits } }", "variables": { "n": 1 } }), 1),
        (json!({ "query": "query($n: Int) { dailyUsage(first: $n) { visits } }", "variables": { "n": 2 } }), 2),
        (
            json!({ "query": "query A { dailyUsage(first: 3) { visits } } query B { dailyUsage(first: 4) { visits } }", "operationName": "A" }),
            3,
        ),
        (
            json!({ "query": "query A { dailyUsage(first: 3) { visits } } query B { dailyUsage(first: 4) { visits } }", "operationName": "B" }),
            4,
        ),
    ] {
        for accept in ["application/json", "application/graphql-response+json"] {
            let request = Request::post("/graphql").header("content-type", "application/json").header("accept", accept);
            let answer = gateway.send(request.body(Body::from(body.to_string())).unwrap()).await;
            assert_eq!(answer.json()["data"]["dailyUsage"].as_array().unwrap().len(), expected);
            assert!(answer.header("content-type").starts_with(accept));
        }
    }
    // Failures are not cached.
    let failing = "{ dailyUsage(first: 0) { date } }";
    assert_eq!(gateway.post(failing, json!({})).await.header("age"), "0");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(gateway.post(failing, json!({})).await.header("age"), "0");
}

async fn clients_may_keep_answers_as_well(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    for path in
        ["/api/reports/daily_usage", "/api/reports/user_visits", "/graphql?query=%7BdailyUsage%7BtokensIssued%7D%7D"]
    {
        let first = asked(&gateway, path, &[]).await;
        let tag = first.header("etag").to_owned();
        assert!(tag.len() > 30 && tag.starts_with('"'), "{path}: {tag}");
        for matching in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let unchanged = asked(&gateway, path, &[("if-none-match", &matching)]).await;
            assert_eq!((unchanged.status.as_u16(), unchanged.body.as_str()), (304, ""), "{path} {matching}");
            assert_eq!(unchanged.header("etag"), tag);
        }
        assert_eq!(asked(&gateway, path, &[("if-none-match", "\"other\"")]).await.body, first.body);
        gateway.database.execute(ONE_MORE).await;
        let changed = asked(&gateway, path, &[("if-none-match", &tag)]).await;
        // The new door code was not used, so the legacy report of visits is unchanged.
        assert_eq!(changed.status, if path.ends_with("daily_usage") { 304 } else { 200 }, "{path}");
    }
}

#[tokio::test]
async fn many_who_ask_at_once_cost_the_database_little() {
    let database = TestDatabase::recorded(Backend::Sqlite).await;
    let metrics = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = metrics.port().to_string();
    let service =
        Service::start(&[("DATABASE_URL", &database.url), ("USAGE_LOG_INTERVAL", "off"), ("METRICS_PORT", &port)])
            .await;
    let counted = async || {
        let text = get(metrics, "/metrics").await.unwrap().body;
        [
            "coworking_report_executions_total{report=\"daily_usage\",outcome=\"ok\"}",
            "coworking_answer_cache_requests_total{outcome=\"miss\"}",
            "coworking_answer_cache_requests_total{outcome=\"hit\"}",
            "coworking_answer_cache_requests_total{outcome=\"bypass\"}",
            "coworking_version_checks_total{outcome=\"ok\"}",
            "coworking_answer_cache_bytes",
        ]
        .map(|name| {
            text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).unwrap_or_default()
        })
    };
    for (round, crowd) in [400, 200, 100, 50, 50, 50, 50, 50].into_iter().enumerate() {
        let before = counted().await;
        let document = format!("{{ dailyUsage(first: {}) {{ date visits uniqueVisitors }} }}", 100 + round);
        let answers = futures_util::future::join_all((0..crowd).map(|_| query(service.address, &document))).await;
        let after = counted().await;
        let [executed, missed, hit, bypassed, checked, _] = std::array::from_fn(|at| after[at] - before[at]);
        // Requests that continued without a version check may exceed the limit on concurrent requests.
        let is_busy = |status: StatusCode| {
            (status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS) && bypassed > 0
        };
        let answers = answers.into_iter().map(Result::unwrap).filter(|answer| !is_busy(answer.status));
        let bodies: BTreeSet<_> = answers.map(|answer| answer.body).collect();
        assert_eq!(bodies.len(), 1, "{bodies:?}");
        // On a busy machine a version check can time out; its waiters then compute the answer themselves. Repeat with
        // fewer requests.
        if bypassed > 0 {
            continue;
        }
        assert_eq!((executed, missed, hit), (1, 1, crowd - 1));
        assert!((1..crowd).contains(&checked), "checks are shared: {checked}");
        assert!(after[5] > 0, "answers are kept");
        return;
    }
    panic!("checks of the version always take too long");
}

async fn a_client_that_gives_up_does_not_cancel_the_others() {
    let gateway = std::sync::Arc::new(TestGateway::recorded(Backend::Postgres).await);
    let lock = gateway.database.owner.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let ask = || {
        let gateway = std::sync::Arc::clone(&gateway);
        tokio::spawn(async move { gateway.query("{ dailyUsage(first: 1) { visits } }").await })
    };
    let (first, others) = (ask(), [ask(), ask(), ask()]);
    waits_for_a_lock(&lock).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    lock.commit().await.unwrap();
    for other in others {
        assert_eq!(other.await.unwrap()["dailyUsage"][0]["visits"], 18);
    }
}

//! Errors have a code and a sentence that names the argument, and nothing is computed.

use std::fmt::Write as _;

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::support::{Answer, Backend, TestDatabase, TestGateway, snapshot, snapshot_text};

/// Documents whose only error is an argument's value.
const BAD_INPUT: [(&str, &str); 20] = [
    ("from_after_to", "{ dailyUsage(filter: { from: \"2024-03-02\", to: \"2024-03-01\" }) { date } }"),
    (
        "joined_from_after_to",
        "{ dailyUsage(filter: { joinedFrom: \"2024-03-02\", joinedTo: \"2024-03-01\" }) { date } }",
    ),
    ("no_such_date", "{ dailyUsage(filter: { from: \"2023-02-29\" }) { date } }"),
    ("date_in_another_form", "{ dailyUsage(filter: { to: \"1.3.2024\" }) { date } }"),
    ("date_with_time", "{ dailyUsage(filter: { to: \"2024-03-01T00:00:00Z\" }) { date } }"),
    ("unknown_zone", "{ dailyUsage(timeZone: \"Mars/Olympus\") { date } }"),
    ("unknown_zone_in_filter", "{ userVisits(filter: { timeZone: \"europe/berlin\" }) { totalCount } }"),
    ("first_0", "{ dailyUsage(first: 0) { date } }"),
    ("first_negative", "{ userVisits(first: -1) { totalCount } }"),
    ("first_over_the_limit", "{ userVisits(first: 1001) { totalCount } }"),
    ("last_over_the_limit", "{ userVisits(last: 1001) { totalCount } }"),
    ("first_with_last", "{ userVisits(first: 1, last: 1) { totalCount } }"),
    ("broken_cursor", "{ userVisits(after: \"bm9uc2Vuc2U\") { totalCount } }"),
    ("cursor_that_is_no_base64", "{ userVisits(before: \"%%%\") { totalCount } }"),
    (
        "cursor_of_another_order",
        "{ userVisits(after: \"djE6dXNlcl9pZDphc2M6Mjoy\", orderBy: { field: VISITS }) { totalCount } }",
    ),
    ("negative_visits", "{ userVisits(filter: { minVisits: -1 }) { totalCount } }"),
    ("more_min_than_max_visits", "{ userVisits(filter: { minVisits: 3, maxVisits: 2 }) { totalCount } }"),
    ("last_visit_before_no_date", "{ userVisits(filter: { lastVisitBefore: \"yesterday\" }) { totalCount } }"),
    (
        "too_many_days_to_fill",
        "{ dailyUsage(filter: { from: \"1990-01-01\", to: \"2024-01-01\" }, gaps: ZERO) { date } }",
    ),
    ("year_zero", "{ dailyUsage(filter: { from: \"0000-01-01\" }) { date } }"),
];

/// The same for the other reports. `extensions.argument` tells the errors apart.
const BAD_QUESTIONS: [&str; 32] = [
    "{ dailyUsage(filter: { range: TODAY, from: \"2024-03-01\" }) { date } }",
    "{ userVisits(filter: { range: TODAY, to: \"2024-03-01\" }) { totalCount } }",
    "{ dailyUsage(filter: { from: 999999999999999999 }) { date } }",
    "{ dailyUsage { rollingAverage(days: 0) } }",
    "{ dailyUsage { rollingAverage(days: 367) } }",
    "{ usage { buckets { rollingAverage(buckets: -1) } } }",
    "{ usage(weekStart: SUNDAY) { totals { visits } } }",
    "{ usage(granularity: HOUR, gaps: ZERO, filter: { from: \"2023-01-01\", to: \"2024-04-30\" }) { buckets { label } } }",
    "{ usage(granularity: WEEK, gaps: NULL, filter: { from: \"1800-01-01\" }) { buckets { label } } }",
    "{ usage { previous { from } } }",
    "{ userVisits { nodes { previous { rank } } } }",
    "{ heatmap(filter: {from: \"2001-01-01\"}) { months { label } } }",
    "{ usage(filter: { to: \"2024-03-01\" }) { previous(compareTo: PREVIOUS_YEAR) { totals { visits } } } }",
    "{ heatmap(timeZone: \"Moon\") { visits } }",
    "{ activeUsers(filter: { from: \"2020-01-01\", to: \"2024-01-01\" }) { date } }",
    "{ retention(periods: 0) { label } }",
    "{ retention(periods: 105) { label } }",
    "{ retention(cohort: WEEK, filter: { from: \"2020-01-01\" }) { label } }",
    "{ retention(weekStart: SUNDAY) { label } }",
    "{ retention(filter: { range: THIS_YEAR, from: \"2024-01-01\" }) { label } }",
    "{ members(segment: NEW, newWithinDays: 0) { totalCount } }",
    "{ members(activeWithinDays: 3651) { totalCount } }",
    "{ members(activeWithinDays: 91) { totalCount } }",
    "{ members(first: 1, last: 1) { totalCount } }",
    "{ members(after: \"bm9uc2Vuc2U\") { totalCount } }",
    "{ members(filter: { joinedFrom: \"2024-03-02\", joinedTo: \"2024-03-01\" }) { totalCount } }",
    "{ members(filter: { nameContains: \"\" }) { totalCount } }",
    "{ members(filter: { nameContains: \"a\\u0000\" }) { totalCount } }",
    "{ userVisits(filter: { nameContains: \"a\\nb\" }) { totalCount } }",
    "{ forecast(days: 93) { learnedTo } }",
    "{ tokenFunnel(filter: { from: \"2024-03-02\", to: \"2024-03-01\" }) { issued } }",
    "{ tokenFunnel(filter: { userIds: [], joinedTo: \"2024-02-30\" }) { issued } }",
];

/// A gateway whose tables are gone: a query of the database would give another error.
async fn without_tables() -> TestGateway {
    let gateway = TestGateway::empty(Backend::Sqlite).await;
    gateway.database.execute("DROP TABLE tokens; DROP TABLE users").await;
    gateway
}

#[tokio::test]
async fn bad_input_is_named_and_nothing_is_computed() {
    let gateway = without_tables().await;
    for (name, document) in BAD_INPUT {
        let answer = gateway.post(document, json!({})).await;
        assert_eq!(answer.status, 200, "{name}");
        let answer = answer.json();
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{name}: {answer}");
        snapshot(&format!("bad_input_{name}"), &answer);
    }
    let ids: Vec<i32> = (0..2_000).collect();
    let query = "query($ids: [Int!]) { userVisits(filter: { userIds: $ids }) { totalCount } }";
    snapshot("bad_input_2000_user_ids", &gateway.post(query, json!({ "ids": ids })).await.json());
}

#[tokio::test]
async fn bad_questions_are_told_apart_by_name() {
    let gateway = without_tables().await;
    let mut said = String::new();
    for document in BAD_QUESTIONS {
        let answer = gateway.answer(document).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{document}: {answer}");
        let (argument, message) = (error["extensions"]["argument"].as_str(), error["message"].as_str());
        writeln!(said, "{document}\n  {}: {}", argument.unwrap(), message.unwrap()).unwrap();
    }
    snapshot_text("bad_questions", &said);
    // Without an end of the range, the number of hours is only known after they were counted.
    let gateway = TestGateway::empty(Backend::Sqlite).await;
    gateway.database.execute(&hourly_tokens(9_000)).await;
    let answer = gateway.answer("{ usage(granularity: HOUR) { buckets { label } } }").await;
    assert_eq!(answer["errors"][0]["extensions"]["argument"], "granularity", "{answer}");
}

fn hourly_tokens(count: usize) -> String {
    let token = |n| format!("(1, '------', datetime('2020-01-01', '{n} hours'))");
    let tokens: Vec<_> = (0..count).map(token).collect();
    format!(
        "INSERT INTO users VALUES (1, 'First', 'Last', '2020-01-01', true);
         INSERT INTO tokens (user_id, token, created_at) VALUES {}",
        tokens.join(", ")
    )
}

#[tokio::test]
async fn one_bad_field_leaves_its_siblings_alone() {
    let gateway = TestGateway::recorded(Backend::Sqlite).await;
    let query = "{ bad: dailyUsage(first: 0) { date } good: dailyUsage(first: 1) { date } }";
    snapshot("one_bad_field", &gateway.answer(query).await);
}

#[tokio::test]
async fn documents_that_do_not_fit_are_refused() {
    let gateway = without_tables().await;
    let list = "userVisits(first: 1000) { nodes { userId visits user { id firstName lastName joinedAt isActive } } }";
    let too_complex: Vec<_> = (0..20).map(|i| format!("list{i}: {list}")).collect();
    let too_complex = format!("{{ {} }}", too_complex.join(" "));
    let cases = [
        ("no_graphql", "{ dailyUsage", json!({})),
        ("unknown_field", "{ dailyUsage { dat } }", json!({})),
        ("unknown_argument", "{ dailyUsage(form: \"2024-03-01\") { date } }", json!({})),
        ("wrong_type", "{ dailyUsage(first: \"ten\") { date } }", json!({})),
        ("unknown_enum_value", "{ dailyUsage(gaps: FILL) { date } }", json!({})),
        ("variable_missing", "query($to: Date!) { dailyUsage(filter: { to: $to }) { date } }", json!({})),
        ("variable_of_wrong_type", "query($n: Int) { dailyUsage(first: $n) { date } }", json!({ "n": "ten" })),
        ("too_complex", &too_complex, json!({})),
        ("mutation", "mutation { dailyUsage { date } }", json!({})),
    ];
    for (name, document, variables) in cases {
        let answer = gateway.post(document, variables).await.json();
        snapshot(&format!("refused_{name}"), &answer);
    }
}

#[tokio::test]
async fn what_a_client_sent_is_not_sent_back_at_length() {
    let gateway = without_tables().await;
    let (quoted, unknown) = (format!("{{ a(b: \"{}\" }}", "x".repeat(90_000)), format!("{{ {} }}", "x".repeat(90_000)));
    for document in [quoted, unknown] {
        let answer = gateway.post(&document, json!({})).await;
        assert!(answer.body.len() < 1_000, "{} bytes", answer.body.len());
        assert!(answer.json()["errors"][0]["extensions"]["code"].as_str().unwrap().starts_with("GRAPHQL_"));
    }
}

/// Unknown names are limited in their bytes, and clients add the name of the type to each selection.
#[tokio::test]
async fn names_of_types_are_not_unknown_names() {
    let gateway = TestGateway::recorded(Backend::Sqlite).await;
    let query = format!("{{ heatmap {{ {} visits }} }}", "__typename ".repeat(450));
    let answer = gateway.post(&query, json!({})).await.json();
    assert!(answer["data"]["heatmap"]["visits"].is_number(), "{answer}");
}

#[tokio::test]
async fn fragments_that_expand_without_end_are_refused() {
    let gateway = without_tables().await;
    // Each fragment uses the next one twice: 2^40 selections in two kilobytes.
    let bomb: Vec<_> = (0..40).map(|i| format!("fragment F{i} on Query {{ ...F{} ...F{} }}", i + 1, i + 1)).collect();
    let bomb = format!("{{ ...F0 }} {} fragment F40 on Query {{ __typename }}", bomb.join(" "));
    // Shallow enough for the limit on depth, and ten billion fields wide.
    let wide: Vec<_> =
        (0..10).map(|i| format!("fragment W{i} on Query {{ {} }}", format!("...W{} ", i + 1).repeat(10))).collect();
    let wide = format!("{{ ...W0 }} {} fragment W10 on Query {{ __typename }}", wide.join(" "));
    // Five hundred fragments in a chain, and three in a cycle.
    let chain: Vec<_> = (0..500).map(|i| format!("fragment C{i} on Query {{ ...C{} }}", i + 1)).collect();
    let chain = format!("{{ ...C0 }} {} fragment C500 on Query {{ __typename }}", chain.join(" "));
    let circle = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...C } fragment C on Query { ...A }";
    for (name, document) in [("bomb", bomb.as_str()), ("wide", &wide), ("chain", &chain), ("circle", circle)] {
        let answer = gateway.post(document, json!({})).await.json();
        snapshot(&format!("fragments_{name}"), &answer);
    }
}

#[tokio::test]
async fn requests_that_are_no_graphql_are_refused() {
    let gateway = TestGateway::on(TestDatabase::empty(Backend::Sqlite).await, &[("MAX_BODY_BYTES", "1024")]).await;
    let post = async |media_type: &str, body: &str| {
        let request = Request::post("/graphql").header("content-type", media_type).body(Body::from(body.to_owned()));
        described(&gateway.send(request.unwrap()).await)
    };
    snapshot("http_no_json", &post("application/json", "{").await);
    snapshot("http_no_query", &post("application/json", "{}").await);
    snapshot("http_batch", &post("application/json", "[{\"query\":\"{__typename}\"}]").await);
    snapshot(
        "http_variables_no_object",
        &post("application/json", "{\"query\":\"{__typename}\",\"variables\":[]}").await,
    );
    snapshot("http_form", &post("application/x-www-form-urlencoded", "query=%7B__typename%7D").await);
    snapshot("http_text", &post("text/plain", "{\"query\":\"{__typename}\"}").await);
    snapshot("http_too_large", &post("application/json", &" ".repeat(1_025)).await);
    let get = async |path: &str| described(&gateway.get(path).await);
    snapshot("http_get_variables_no_json", &get("/graphql?query=%7B__typename%7D&variables=x").await);
    snapshot("http_get_nothing", &get("/graphql").await);
    snapshot("http_not_found", &get("/nothing").await);
}

#[tokio::test]
async fn refused_documents_are_bad_requests_to_those_who_accept_graphql_json() {
    let gateway = without_tables().await;
    let status = async |document: &str| {
        let request = Request::post("/graphql")
            .header("content-type", "application/json")
            .header("accept", "application/graphql-response+json");
        gateway.send(request.body(json!({ "query": document }).to_string().into()).unwrap()).await.status.as_u16()
    };
    assert_eq!(status("{ dailyUsage").await, 400);
    assert_eq!(status("{ dailyUsage { dat } }").await, 400);
    assert_eq!(status("{ dailyUsage(first: 0) { date } }").await, 200);
}

fn described(answer: &Answer) -> Value {
    json!({ "status": answer.status.as_u16(), "contentType": answer.header("content-type"), "body": answer.json() })
}

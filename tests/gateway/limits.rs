//! Every limit on requests and answers has a code, a name and a sentence; requests within it are answered.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::support::{Backend, TestDatabase, TestGateway, repeated, snapshot};

async fn limited(variable: &str, value: &str) -> TestGateway {
    TestGateway::on(TestDatabase::recorded(Backend::Sqlite).await, &[(variable, value)]).await
}

/// The error of a request that exceeds a limit; checks that there is no data.
fn exceeded(answer: &Value) -> &Value {
    assert_eq!(answer.get("data"), None, "{answer}");
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"]["code"], "LIMIT_EXCEEDED", "{answer}");
    &error["extensions"]
}

#[tokio::test]
async fn documents_keep_to_the_limits() {
    let wide = |count: usize| format!("{{ {} }}", "__typename ".repeat(count));
    let aliased = |count| format!("{{ {} }}", repeated(count, |i| format!("a{i}: __typename ")));
    let deep = |inner: &str| format!("{{ userVisits(first: 1) {{ nodes {{ {inner} }} }} }}");
    let including = |count: usize| format!("{{ {} }}", "__typename @include(if: true) ".repeat(count));
    let doubled =
        |count: usize| deep("...Row ...Row") + "fragment Row on UserVisits {" + &" userId".repeat(count) + " }";
    let costly = |rows: usize| format!("{{ dailyUsage(first: {rows}) {{ date visits }} }}");
    let listed = |count: usize| format!("{{ userVisits(filter: {{ userIds: {} }}) {{ totalCount }} }}", nested(count));
    for (variable, value, limit, within, beyond) in [
        ("MAX_DOCUMENT_BYTES", 1_024, "documentBytes", "#".repeat(1_000) + "\n{ __typename }", "#".repeat(1_025)),
        ("MAX_DOCUMENT_TOKENS", 100, "documentTokens", deep(&"userId ".repeat(87)), wide(99)),
        ("MAX_DEPTH", 3, "depth", deep("... { userId }"), deep("... { user { id } }")),
        ("MAX_SELECTIONS", 100, "selections", doubled(49), doubled(50)),
        ("MAX_ROOT_FIELDS", 2, "rootFields", wide(2), "{ __typename ... { __typename __typename } }".to_owned()),
        ("MAX_ALIASES", 3, "aliases", aliased(3), aliased(4)),
        ("MAX_DIRECTIVES", 2, "directives", including(2), including(3)),
        ("MAX_COMPLEXITY", 2_000, "complexity", costly(500), costly(501)),
        ("MAX_ERRORS", 64, "nesting", wide(1), listed(80)),
    ] {
        let gateway = limited(variable, &value.to_string()).await;
        let answer = gateway.answer(&within).await;
        assert_eq!(answer.get("errors"), None, "{variable}: {within}");
        let answer = gateway.answer(&beyond).await;
        assert_eq!(exceeded(&answer)["limit"], limit, "{variable}: {answer}");
        assert_eq!(exceeded(&answer)["maximum"], value, "{variable}: {answer}");
        snapshot(&format!("limit_{limit}"), &answer);
    }
}

#[tokio::test]
async fn requests_of_a_batch_have_their_own_limits() {
    let gateway = TestGateway::configured(&[("BATCH_MAX", "4"), ("MAX_ALIASES", "1"), ("RATE_LIMIT", "3700")]).await;
    let send = async |requests: Value| {
        let request = Request::post("/graphql").header("content-type", "application/json");
        gateway.send(request.body(Body::from(requests.to_string())).unwrap()).await
    };
    let one = json!({ "query": "{ __typename }" });
    let answer = send(json!([
        one,
        { "query": "{ a: __typename b: __typename }" },
        { "query": 1 },
        { "query": "subscription { heatmap { visits } }" },
    ]))
    .await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json; charset=utf-8"));
    let answers = answer.json();
    assert_eq!(answers[0], json!({ "data": { "__typename": "Query" } }));
    let codes = [1, 2, 3].map(|at| answers[at]["errors"][0]["extensions"]["code"].clone());
    assert_eq!(codes, ["LIMIT_EXCEEDED", "BAD_REQUEST", "NOT_ACCEPTABLE"]);
    assert_eq!(send(json!([])).await.status, 400);
    let many = send(json!(vec![one.clone(); 5])).await;
    assert_eq!((many.status.as_u16(), exceeded(&many.json())["limit"].clone()), (413, json!("batch")));
    // Each costs what it would cost alone.
    let paid = async |list: Vec<Value>| send(json!(list)).await.json().as_array().map_or(0, Vec::len);
    let mut answered = 0;
    while answered < 100 && paid(vec![one.clone(); 4]).await == 4 {
        answered += 4;
    }
    assert!((8..=36).contains(&answered), "{answered}");
}

fn nested(count: usize) -> String {
    "[".repeat(count) + &"]".repeat(count)
}

#[tokio::test]
async fn costs_count_what_variables_ask_for() {
    let gateway = limited("MAX_COMPLEXITY", "2000").await;
    let document = "query($n: Int = 1) { dailyUsage(first: $n) { date } }";
    assert_eq!(gateway.post(document, json!({})).await.json().get("errors"), None);
    assert_eq!(exceeded(&gateway.post(document, json!({ "n": 1_001 })).await.json())["limit"], "complexity");
    let document = "query($n: Int) { a: userVisits(first: $n) { nodes { userId } } b: userVisits(first: $n) { nodes { userId } } }";
    let answer = gateway.post(document, json!({ "n": i32::MAX })).await.json();
    assert_eq!(exceeded(&answer)["limit"], "complexity");
}

#[tokio::test]
async fn a_page_without_a_size_costs_as_much_as_the_configured_one() {
    let page = "nodes { userId tokensIssued joinedAt }";
    for (size, fits) in [("100", true), ("1000", false)] {
        let variables = [("MAX_COMPLEXITY", "3000"), ("PAGE_SIZE_DEFAULT", size)];
        let gateway = TestGateway::configured(&variables).await;
        for document in [
            format!("{{ userVisits {{ {page} }} }}"),
            format!("{{ userVisits(first: null) {{ {page} }} }}"),
            format!("query($n: Int) {{ userVisits(first: $n) {{ {page} }} }}"),
            format!("{{ ... {{ userVisits {{ {page} }} }} }}"),
            format!("{{ ...Page }} fragment Page on Query {{ userVisits {{ {page} }} }}"),
        ] {
            let answer = gateway.answer(&document).await;
            if fits {
                assert_eq!(answer.get("errors"), None, "{document}");
            } else {
                assert_eq!(exceeded(&answer)["limit"], "complexity", "{document}");
            }
        }
        // A size that is given is the one that counts.
        let given = format!("{{ userVisits(last: 10) {{ {page} }} }}");
        assert_eq!(gateway.answer(&given).await.get("errors"), None);
    }
}

#[tokio::test]
async fn requests_keep_to_the_limits_before_their_document_is_read() {
    let gateway = limited("MAX_BODY_BYTES", "1024").await;
    let post = async |gateway: &TestGateway, body: String| {
        let request = Request::post("/graphql").header("content-type", "application/json");
        gateway.send(request.body(Body::from(body)).unwrap()).await
    };
    let body = |padding: usize| json!({ "query": "{ __typename }" }).to_string() + &" ".repeat(padding);
    assert_eq!(post(&gateway, body(900)).await.status, 200);
    let answer = post(&gateway, body(1_024)).await;
    assert_eq!(answer.status, 413);
    snapshot("limit_bodyBytes", &answer.json());
    // A body without `Content-Length`.
    let chunks = (0..100).map(|_| Ok::<_, std::io::Error>(" ".repeat(100)));
    let chunked = Body::from_stream(futures_util::stream::iter(chunks));
    let request = Request::post("/graphql").header("content-type", "application/json").body(chunked).unwrap();
    assert_eq!(gateway.send(request).await.status, 413);

    let gateway = limited("MAX_INPUT_VALUES", "100").await;
    // Four values are the body, its document, the variables and the list.
    let listing = |count: usize| json!({ "query": "query($ids: [Int!]) { userVisits(filter: { userIds: $ids }) { totalCount } }", "variables": { "ids": vec![1; count] } });
    assert_eq!(post(&gateway, listing(95).to_string()).await.json().get("errors"), None);
    let answer = post(&gateway, listing(97).to_string()).await;
    assert_eq!(answer.status, 413);
    snapshot("limit_inputValues", &answer.json());
    let nested = format!("{{ \"query\": \"{{ __typename }}\", \"variables\": {{ \"a\": {} }} }}", nested(100_000));
    assert_eq!(
        post(&limited("MAX_ERRORS", "1").await, nested).await.json()["errors"][0]["extensions"]["code"],
        "BAD_REQUEST"
    );
}

#[tokio::test]
async fn answers_keep_to_the_limits() {
    let gateway = limited("MAX_RESPONSE_BYTES", "1024").await;
    assert_eq!(gateway.answer("{ dailyUsage(first: 5) { date } }").await.get("errors"), None);
    let answer = gateway.post("{ dailyUsage { date visits tokensIssued tokensUnused } }", json!({})).await;
    assert!(answer.body.len() < 1_024);
    snapshot("limit_responseBytes", &answer.json());

    let gateway = limited("MAX_ERRORS", "2").await;
    let answer = gateway.answer("{ a: dailyUsage(first: 0) { date } b: dailyUsage(first: 0) { date } }").await;
    assert_eq!(answer["errors"].as_array().unwrap().len(), 2);
    let answer = gateway.answer("{ dailyUsage { a b c d e } }").await;
    assert_eq!(answer["errors"].as_array().unwrap().len(), 3);
    snapshot("limit_errors", &answer);
}

#[tokio::test]
async fn tools_of_today_stay_within_the_limits() {
    // The introspection query of GraphiQL, graphql-js and Apollo's tools: types nested nine deep, deprecated fields,
    // one-of inputs.
    let introspection =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/introspection.graphql"));
    let gateway = TestGateway::empty(Backend::Sqlite).await;
    let schema = gateway.query(&introspection.unwrap()).await;
    assert_eq!(schema["__schema"]["queryType"]["name"], "Query");
}

#[tokio::test]
async fn introspection_can_be_off() {
    let gateway = limited("INTROSPECTION", "off").await;
    for document in
        ["{ __schema { queryType { name } } }", "{ ...F } fragment F on Query { __type(name: \"Query\") { name } }"]
    {
        let answer = gateway.answer(document).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED", "{answer}");
        snapshot("introspection_off", &answer);
    }
    assert_eq!(gateway.query("{ __typename }").await["__typename"], "Query");
    let typo = "{ dailyUsag { date } }";
    assert!(!gateway.answer(typo).await.to_string().contains("dailyUsage"), "no hints at what there is");
    assert!(limited("INTROSPECTION", "on").await.answer(typo).await.to_string().contains("dailyUsage"));
}

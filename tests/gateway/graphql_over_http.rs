//! GraphQL over HTTP, beyond the official audits: negotiation, the statuses of the published edition, requests from
//! other sites, and checks of values against their types.

use std::collections::BTreeSet;

use axum::{body::Body, http::Request};
use coworking_analytics::{codes, graphql::limits::Limit};
use serde_json::{Value, json};

use crate::support::{Answer, TestGateway, snapshot};

/// The headers that answers depend on.
const VARY: &str = "Accept, Accept-Encoding, Authorization, X-Api-Key";
const GRAPHQL_JSON: &str = "application/graphql-response+json";

async fn post(gateway: &TestGateway, headers: &[(&str, &str)], body: &str) -> Answer {
    let request =
        headers.iter().fold(Request::post("/graphql"), |request, (name, value)| request.header(*name, *value));
    gateway.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn get(gateway: &TestGateway, headers: &[(&str, &str)], query: &str) -> Answer {
    let path = format!("/graphql?{}", serde_urlencoded::to_string([("query", query)]).unwrap());
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    gateway.send(request.body(Body::empty()).unwrap()).await
}

fn code(answer: &Answer) -> Value {
    answer.json()["errors"][0]["extensions"]["code"].clone()
}

const JSON: (&str, &str) = ("content-type", "application/json");
const TYPENAME: &str = r#"{"query":"{ __typename }"}"#;

#[tokio::test]
async fn what_cannot_be_served_is_said_before_anything_is_read() {
    let gateway = TestGateway::configured(&[]).await;
    for accept in ["text/html", "application/xml, image/*", "application/json; charset=utf-16", "*/*;q=0"] {
        for answer in [
            post(&gateway, &[JSON, ("accept", accept)], TYPENAME).await,
            get(&gateway, &[("accept", accept)], "{ a }").await,
        ] {
            assert_eq!((answer.status.as_u16(), code(&answer)), (406, json!("NOT_ACCEPTABLE")), "{accept}");
            assert_eq!(answer.header("vary"), VARY);
        }
    }
    for content_type in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=a",
        "application/graphql",
        "application/json; charset=latin1",
    ] {
        let answer = post(&gateway, &[("content-type", content_type)], TYPENAME).await;
        assert_eq!((answer.status.as_u16(), code(&answer)), (415, json!("UNSUPPORTED_MEDIA_TYPE")), "{content_type}");
    }
    assert_eq!(post(&gateway, &[JSON, ("content-encoding", "gzip")], TYPENAME).await.status, 415);
    assert_eq!(post(&gateway, &[("content-type", "application/json;charset=\"UTF-8\"")], TYPENAME).await.status, 200);
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = gateway.send(Request::builder().method(method).uri("/graphql").body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET,HEAD,POST"), "{method}");
        assert_eq!(code(&answer), "METHOD_NOT_ALLOWED");
    }
    let mutation = get(&gateway, &[], "mutation { a }").await;
    assert_eq!((mutation.status.as_u16(), mutation.header("allow")), (405, "POST"));
    let invalid_utf8 = Request::post("/graphql").header("content-type", "application/json");
    let answer = gateway.send(invalid_utf8.body(Body::from(b"{\"query\":\"\xff\"}".to_vec())).unwrap()).await;
    assert_eq!((answer.status.as_u16(), code(&answer)), (400, json!("BAD_REQUEST")));
}

#[tokio::test]
async fn answers_are_in_the_preferred_media_type() {
    let gateway = TestGateway::configured(&[]).await;
    for (accept, expected) in [
        ("*/*", "application/json; charset=utf-8"),
        (
            "application/graphql-response+json, application/json;q=0.9",
            "application/graphql-response+json; charset=utf-8",
        ),
        ("application/graphql-response+json;q=0.1, application/json", "application/json; charset=utf-8"),
    ] {
        for body in [TYPENAME, r#"{"query":"{"}"#, "nonsense"] {
            let answer = post(&gateway, &[JSON, ("accept", accept)], body).await;
            assert_eq!((answer.header("content-type"), answer.header("vary")), (expected, VARY), "{accept} {body}");
        }
    }
}

#[tokio::test]
async fn statuses_are_those_of_the_chosen_edition() {
    let editions =
        [TestGateway::configured(&[]).await, TestGateway::configured(&[("GRAPHQL_HTTP_EDITION", "2026-09")]).await];
    // The statuses for application/graphql-response+json and application/json: first by the audits, then by the
    // edition.
    for (body, expected) in [
        (r#"{"query":"{ dailyUsage { date } }"}"#, [200, 200, 200, 200]),
        (r#"{"query":"{ __typename dailyUsage(first: 0) { date } }"}"#, [200, 200, 294, 294]),
        (r#"{"query":"{ dailyUsage(first: 0) { date } }"}"#, [200, 200, 294, 294]),
        ("nonsense", [400; 4]),
        ("[]", [400, 400, 422, 422]),
        (r#"{"qeury":"{ __typename }"}"#, [400, 400, 422, 422]),
        (r#"{"query":"{ __typename }","variables":[7]}"#, [400, 400, 422, 422]),
        (r#"{"query":"{"}"#, [400, 200, 400, 400]),
        (r#"{"query":"{ nothing }"}"#, [400, 200, 422, 422]),
        (r#"{"query":"query A { __typename } query B { __typename }"}"#, [400, 200, 422, 422]),
        (r#"{"query":"{ __typename }","operationName":"A"}"#, [400, 200, 422, 422]),
        (r#"{"query":"query($n: Int!) { dailyUsage(first: $n) { date } }"}"#, [400, 200, 422, 422]),
        (r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"0"}}}"#, [400, 200, 422, 422]),
    ] {
        let mut found = Vec::new();
        for gateway in &editions {
            for accept in [GRAPHQL_JSON, "application/json"] {
                let answer = post(gateway, &[JSON, ("accept", accept)], body).await;
                let is_legacy = found.len() < 2 || answer.status.is_success();
                let media_type = format!("{}; charset=utf-8", if is_legacy { accept } else { GRAPHQL_JSON });
                assert_eq!(answer.header("content-type"), media_type, "{body}");
                assert_eq!(answer.json().get("errors").is_none(), body.contains("{ dailyUsage { date } }"), "{body}");
                found.push(answer.status.as_u16());
            }
        }
        assert_eq!(found, expected, "{body}");
    }
}

#[tokio::test]
async fn values_that_do_not_fit_fail_the_request() {
    let gateway = TestGateway::configured(&[]).await;
    let document = "query($n: Int, $ids: [Int!], $filter: DailyUsageFilterInput, $gaps: GapFill = OMIT) {
        userVisits(filter: { userIds: $ids }) { totalCount } dailyUsage(first: $n, filter: $filter, gaps: $gaps) { date } }";
    for (name, variables) in [
        ("int_too_large", json!({ "n": 2_147_483_648_i64 })),
        ("int_too_small", json!({ "n": -2_147_483_649_i64 })),
        ("fraction", json!({ "n": 1.5 })),
        ("text_for_a_number", json!({ "n": "1" })),
        ("int_too_large_in_a_list", json!({ "ids": [1, 4_000_000_000_i64] })),
        ("null_in_a_list", json!({ "ids": [1, null] })),
        ("unknown_field", json!({ "filter": { "form": "2024-03-01" } })),
        ("number_for_a_date", json!({ "filter": { "from": 20_240_301 } })),
        ("list_for_an_object", json!({ "filter": ["2024-03-01"] })),
        ("unknown_name_of_an_enum", json!({ "gaps": "FILL" })),
        ("number_for_an_enum", json!({ "gaps": 1 })),
    ] {
        let answer = gateway.post(document, variables).await.json();
        assert_eq!(
            (answer.get("data"), &answer["errors"][0]["extensions"]["code"]),
            (None, &json!("BAD_USER_INPUT")),
            "{name}"
        );
        snapshot(&format!("variable_{name}"), &answer);
    }
    let fitting =
        json!({ "n": null, "ids": 1, "filter": { "from": "2024-03-01", "to": null }, "gaps": "ZERO", "unknown": 1 });
    assert_eq!(gateway.post(document, fitting).await.json().get("errors"), None);
    for literal in [
        "dailyUsage(first: 2147483648) { date }",
        "dailyUsage(gaps: \"ZERO\") { date }",
        "userVisits(filter: { userIds: [1, 99999999999] }) { totalCount }",
        "dailyUsage(filter: { from: 20240301 }) { date }",
        "... @include(if: 1) { __typename }",
    ] {
        let answer = gateway.answer(&format!("{{ {literal} }}")).await;
        assert_eq!(
            (answer.get("data"), &answer["errors"][0]["extensions"]["code"]),
            (None, &json!("GRAPHQL_VALIDATION_FAILED")),
            "{literal}"
        );
    }
}

#[tokio::test]
async fn pages_of_other_sites_cannot_make_a_browser_ask() {
    let gateway = TestGateway::configured(&[("CORS_ORIGINS", "https://dashboard.example")]).await;
    let form = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let answer = get(&gateway, &form, "{ __typename }").await;
    assert_eq!(answer.status, 403);
    snapshot("cross_site_request", &answer.json());
    let script = [("sec-fetch-site", "cross-site"), ("accept", GRAPHQL_JSON)];
    assert_eq!(code(&get(&gateway, &script, "{ __typename }").await), "CROSS_SITE_REQUEST");
    for fine in [
        &[("accept", "text/html"), ("apollo-require-preflight", "1"), ("accept", "*/*")][..],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://dashboard.example")],
        &[("sec-fetch-site", "none"), ("accept", "text/html, */*;q=0.8")],
        &[],
    ] {
        assert_eq!(get(&gateway, fine, "{ __typename }").await.json()["data"]["__typename"], "Query", "{fine:?}");
    }
}

#[tokio::test]
async fn pages_of_listed_origins_may_read_answers() {
    let allows = async |gateway: &TestGateway, origin: &str| {
        let answer = post(gateway, &[JSON, ("origin", origin)], TYPENAME).await;
        assert!(answer.headers.get_all("vary").iter().any(|value| value == VARY));
        answer.header("access-control-allow-origin").to_owned()
    };
    let preflight = async |gateway: &TestGateway, origin: &str| {
        let request = Request::options("/graphql")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        let answer = gateway.send(request.body(Body::empty()).unwrap()).await;
        answer.header("access-control-allow-origin").to_owned()
    };
    let closed = TestGateway::configured(&[]).await;
    assert_eq!(allows(&closed, "https://dashboard.example").await, "");
    assert_eq!(preflight(&closed, "https://dashboard.example").await, "");
    let listed = TestGateway::configured(&[("CORS_ORIGINS", "https://dashboard.example, http://localhost:3000")]).await;
    assert_eq!(allows(&listed, "http://localhost:3000").await, "http://localhost:3000");
    assert_eq!(preflight(&listed, "https://dashboard.example").await, "https://dashboard.example");
    assert_eq!(allows(&listed, "https://other.example").await, "");
    assert_eq!(preflight(&listed, "https://other.example").await, "");
    assert_eq!(allows(&TestGateway::configured(&[("CORS_ORIGINS", "*")]).await, "https://other.example").await, "*");
}

#[tokio::test]
async fn caches_may_keep_whole_answers_alone() {
    let gateway = TestGateway::configured(&[]).await;
    let ask = |document: &str| format!("/graphql?{}", serde_urlencoded::to_string([("query", document)]).unwrap());
    for path in
        [ask("{ userVisits { totalCount } }"), "/api/reports/usage".to_owned(), "/api/reports/daily_usage".to_owned()]
    {
        assert_eq!(gateway.get(&path).await.header("cache-control"), "private, no-cache", "{path}");
    }
    let unknown = "{\"persistedQuery\":{\"version\":1,\"sha256Hash\":\"0000\"}}";
    for path in [
        ask("{ nothing }"),
        ask("{ userVisits { totalCount } dailyUsage(filter: { from: \"never\" }) { date } }"),
        format!("/graphql?{}", serde_urlencoded::to_string([("extensions", unknown)]).unwrap()),
        "/api/reports/usage?from=never".to_owned(),
        "/api/reports/nothing".to_owned(),
        "/readiness_check".to_owned(),
    ] {
        assert_eq!(gateway.get(&path).await.header("cache-control"), "no-store", "{path}");
    }
}

#[tokio::test]
async fn bodies_are_read_as_clients_write_them() {
    let gateway = TestGateway::configured(&[]).await;
    let json = [("content-type", "application/json")];
    for body in [
        "\u{feff}{\"query\":\"{ __typename }\"}",
        "{\"query\":\"{ __typename }\",\"operationName\":\"\"}",
        "{\"query\":\"query A { __typename }\",\"operationName\":\"\",\"variables\":null}",
    ] {
        let answer = post(&gateway, &json, body).await;
        assert_eq!(answer.json(), json!({ "data": { "__typename": "Query" } }), "{body}");
    }
}

#[test]
fn the_documentation_names_every_code_and_limit() {
    let read = |name| std::fs::read_to_string(format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (errors, limits) = (read("errors.md"), read("graphql.md"));
    let listed = errors.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(listed.collect::<BTreeSet<_>>(), codes::ALL.iter().copied().collect());
    for limit in Limit::ALL {
        assert!(limits.contains(&format!("| `{}` |", limit.name())), "{limit:?}");
    }
}

/// JSON knows one type of number, so that `1.0` is an `Int`; not every number is one.
#[tokio::test]
async fn whole_numbers_are_read_however_they_are_written() {
    let gateway = TestGateway::configured(&[]).await;
    let json = [("content-type", "application/json")];
    let document =
        "query Q($n: Int, $o: UserVisitsFilterInput) { userVisits(first: $n, filter: $o) { nodes { userId } } }";
    let body = |variables: &str| format!("{{\"query\":\"{document}\",\"variables\":{variables}}}");
    let three = post(&gateway, &json, &body("{\"n\":3,\"o\":{\"minVisits\":0,\"userIds\":[1,2,3,4]}}")).await.json();
    assert_eq!(three["data"]["userVisits"]["nodes"].as_array().unwrap().len(), 3, "{three}");
    for variables in [
        "{\"n\":3.0,\"o\":{\"minVisits\":-0,\"userIds\":[1.0,2,3,4]}}",
        "{\"n\":3e0,\"o\":{\"minVisits\":-0.0,\"userIds\":[1,2,3,0.4e1]}}",
        "{\"n\":30E-1,\"o\":{\"minVisits\":0.0,\"userIds\":[1,2,3,4]}}",
    ] {
        assert_eq!(post(&gateway, &json, &body(variables)).await.json(), three, "{variables}");
        let query = [("query", document), ("variables", variables)];
        let path = format!("/graphql?{}", serde_urlencoded::to_string(query).unwrap());
        assert_eq!(gateway.get(&path).await.json(), three, "{variables}");
    }
    let literal = gateway
        .answer("{ userVisits(first: 3, filter: { minVisits: -0, userIds: [1, 2, 3, 4] }) { nodes { userId } } }");
    assert_eq!(literal.await, three);
    for variables in ["{\"n\":1.5}", "{\"n\":2147483648.0}", "{\"n\":1e300}", "{\"n\":\"3.0\"}"] {
        let refused = post(&gateway, &json, &body(variables)).await.json();
        assert_eq!(refused["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{variables}: {refused}");
    }
    let refused = gateway.answer("{ userVisits(first: 3.0) { totalCount } }").await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED", "{refused}");
}

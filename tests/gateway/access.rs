//! Access control: scopes and API keys.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use axum::{body::Body, http::Request};
use coworking_analytics::access::{Scopes, keys::NewKey};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::support::{
    Answer, TestGateway,
    process::{PATIENCE, Service, run, send},
    requests::{ask, in_snake_case, post, refusal, until},
};

/// For each aggregate report, a query that needs the scope `reports` only.
const AGGREGATES: [(&str, &str); 12] = [
    ("dailyUsage", "dailyUsage(filter: { from: \"2024-03-01\" }) { date visits }"),
    (
        "usage",
        "usage(granularity: MONTH, filter: { from: \"2024-03-01\" }) { totals { visits } previous { totals { visits } } }",
    ),
    ("heatmap", "heatmap { visits }"),
    ("activeUsers", "activeUsers(filter: { from: \"2024-03-01\", to: \"2024-03-02\" }) { daily }"),
    ("retention", "retention { label members }"),
    ("tokenFunnel", "tokenFunnel(filter: { isActive: true }) { issued }"),
    ("frequency", "frequency { visits members }"),
    ("segments", "segments(filter: { isActive: true }) { segment members }"),
    ("membership", "membership(filter: { from: \"2024-03-01\" }) { joined stopped }"),
    ("forecast", "forecast { days { expected } }"),
    ("notes", "notes(filter: { from: \"2024-03-01\" }) { text }"),
    ("userVisits", "userVisits { totalCount totals { visits } nodes { userId tokensIssued joinedAt } }"),
];

/// Queries that need the scope `members`, because they tell more about individual members than the legacy reports did.
const PERSONAL: [(&str, &str); 21] = [
    ("members", "members { totalCount }"),
    ("dailyUsage", "dailyUsage(filter: { userIds: [1] }) { date }"),
    ("dailyUsage", "dailyUsage(filter: { joinedFrom: \"2024-01-01\" }) { date }"),
    ("usage", "usage(filter: { joinedTo: \"2024-01-01\" }) { totals { visits } }"),
    ("heatmap", "heatmap(filter: { userIds: [1] }) { visits }"),
    ("activeUsers", "activeUsers(filter: { userIds: [1], from: \"2024-03-01\", to: \"2024-03-02\" }) { daily }"),
    ("retention", "retention(filter: { userIds: [1] }) { label }"),
    ("tokenFunnel", "tokenFunnel(filter: { userIds: [1] }) { issued }"),
    ("frequency", "frequency(filter: { userIds: [1] }) { members }"),
    ("membership", "membership(filter: { userIds: [1], from: \"2024-03-01\" }) { joined }"),
    ("segments", "segments(filter: { joinedFrom: \"2024-01-01\" }) { members }"),
    ("segments", "segments(filter: { nameContains: \"a\" }) { members }"),
    ("userVisits", "userVisits(filter: { nameContains: \"a\" }) { totals { visits } }"),
    ("forecast", "forecast(filter: { userIds: [1] }) { learnedTo }"),
    ("userVisits", "userVisits(filter: { from: \"2024-03-01\" }) { nodes { previous { rank } } }"),
    ("userVisits", "userVisits { nodes { userId visits } }"),
    ("userVisits", "userVisits { edges { node { ... on UserVisits { lastVisitAt } } } }"),
    ("userVisits", "userVisits(filter: { from: \"2024-03-01\" }) { nodes { userId } }"),
    ("userVisits", "userVisits(filter: { userIds: [1] }) { totals { visits } }"),
    ("userVisits", "userVisits(orderBy: { field: LAST_VISIT_AT }) { nodes { userId } }"),
    ("userVisits", "userVisits(first: 1) { others { visits } }"),
];

async fn get_as(gateway: &TestGateway, path: &str, key: Option<&str>) -> Answer {
    let mut request = Request::get(path);
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    gateway.send(request.body(Body::empty()).unwrap()).await
}

fn invent(name: &str, scopes: &str) -> NewKey {
    NewKey::invent(name, Scopes::parse(scopes).unwrap(), None).unwrap()
}

#[tokio::test]
async fn every_root_of_the_schema_needs_a_scope() {
    let gateway = TestGateway::configured(&[("ANONYMOUS_SCOPES", "none")]).await;
    let schema = ask(&gateway, "{ __schema { queryType { fields { name } } } }", &[]).await.json();
    let fields = schema["data"]["__schema"]["queryType"]["fields"].as_array().unwrap();
    let roots: Vec<_> = fields.iter().map(|field| field["name"].as_str().unwrap()).collect();
    for name in &roots {
        let document = format!("{name} {{ __typename }}");
        let scope = if *name == "members" { "members" } else { "reports" };
        let answer = ask(&gateway, &format!("{{ {document} }}"), &[]).await;
        assert_eq!(refusal(&answer), (401, "UNAUTHENTICATED".into(), scope.into(), json!([name])), "{document}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"coworking-analytics\"");
        assert_eq!(answer.json().get("data"), None);
        // The same as an event stream, which ends after the error.
        let followed = post(&format!("subscription {{ {document} }}"), &[("accept", "text/event-stream")]);
        let followed = gateway.send(followed).await.body;
        assert!(followed.contains("UNAUTHENTICATED") && followed.contains("event: complete"), "{followed}");
    }
    for report in roots.into_iter().map(in_snake_case) {
        let needed = if report == "members" { "members" } else { "reports" };
        for query in ["", "?format=csv"] {
            let answer = gateway.get(&format!("/api/reports/{report}{query}")).await;
            let (status, code, scope, _) = refusal(&answer);
            let (code, scope) = (code.as_str(), scope.as_str());
            assert_eq!((status, code, scope), (401, "UNAUTHENTICATED", needed), "{report}{query}");
        }
    }
    let refused = gateway.get("/api/reports").await;
    assert_eq!(refusal(&refused), (401, "UNAUTHENTICATED".into(), "reports".into(), Value::Null));
    for path in ["/health_check", "/readiness_check"] {
        assert_eq!(gateway.get(path).await.body, "ok");
    }
}

#[tokio::test]
async fn reports_are_for_all_and_members_for_those_who_may() {
    let (reporter, member) = (invent("reporter", "reports"), invent("member", "members"));
    let keys = format!("{};{}", reporter.line, member.line);
    let gateway = TestGateway::configured(&[("ANONYMOUS_SCOPES", "reports"), ("API_KEYS", &keys)]).await;
    for (name, document) in AGGREGATES {
        let answer = ask(&gateway, &format!("{{ {document} }}"), &[]).await;
        assert_eq!((answer.status.as_u16(), answer.json().get("errors")), (200, None), "{name}");
    }
    for (name, document) in PERSONAL {
        let document = format!("{{ {document} }}");
        let anonymous = ask(&gateway, &document, &[]).await;
        assert_eq!(refusal(&anonymous), (401, "UNAUTHENTICATED".into(), "members".into(), json!([name])), "{document}");
        let forbidden = ask(&gateway, &document, &[("x-api-key", &reporter.key)]).await;
        assert_eq!(refusal(&forbidden), (403, "FORBIDDEN".into(), "members".into(), json!([name])), "{document}");
        assert_eq!(forbidden.header("www-authenticate"), "Bearer error=\"insufficient_scope\"");
        let bearer = format!("Bearer {}", member.key);
        let allowed = ask(&gateway, &document, &[("authorization", &bearer)]).await;
        assert_eq!((allowed.status.as_u16(), allowed.json().get("errors")), (200, None), "{document}");
    }
    // Variables do not circumvent the check, and other fields are answered.
    let document = "query($ids: [Int!], $filter: DailyUsageFilterInput) {
        one: dailyUsage(filter: { userIds: $ids }) { date } other: dailyUsage(filter: $filter) { date } heatmap { visits }
        userVisits(first: 2) { nodes { userId user { firstName } } } }";
    let variables = json!({ "ids": [1], "filter": { "userIds": [1] } });
    let answer = gateway.post(document, variables).await;
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    let paths: Vec<_> = answer["errors"].as_array().unwrap().iter().map(|error| error["path"].to_string()).collect();
    assert_eq!(paths, ["[\"one\"]", "[\"other\"]", "[\"userVisits\"]"]);
    assert_eq!((&answer["data"]["one"], &answer["data"]["userVisits"]), (&Value::Null, &Value::Null));
    assert!(answer["data"]["heatmap"]["visits"].as_i64() > Some(0));
    // A filter that is null counts as no filter.
    let answer = gateway.post(document, json!({ "ids": null, "filter": null })).await.json();
    assert_eq!(answer["errors"].as_array().unwrap().len(), 1, "{answer}");
}

#[tokio::test]
async fn the_routes_of_reports_follow_the_same_rules() {
    let (reporter, member) = (invent("reporter", "reports"), invent("member", "members"));
    let keys = format!("{}\n{}", reporter.line, member.line);
    let gateway = TestGateway::configured(&[("ANONYMOUS_SCOPES", "reports"), ("API_KEYS", &keys)]).await;
    for path in [
        "daily_usage",
        "user_visits",
        "daily_usage?from=2024-03-01",
        "usage?format=csv",
        "heatmap",
        "retention",
        "active_users?from=2024-03-01&to=2024-03-02",
        "token_funnel?format=excel",
    ] {
        assert_eq!(gateway.get(&format!("/api/reports/{path}")).await.status, 200, "{path}");
    }
    for path in [
        "user_visits?format=csv",
        "user_visits?from=2024-03-01",
        "daily_usage?user_ids=1",
        "usage?joined_from=2024-01-01",
        "heatmap?joined_to=2024-01-01",
        "retention?user_ids=1",
        "members",
        "members?format=excel",
        "active_users?user_ids=1",
        "token_funnel?joined_from=2024-01-01",
    ] {
        let path = format!("/api/reports/{path}");
        assert_eq!(get_as(&gateway, &path, None).await.status, 401, "{path}");
        assert_eq!(get_as(&gateway, &path, Some(&reporter.key)).await.status, 403, "{path}");
        assert_eq!(get_as(&gateway, &path, Some(&member.key)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn kept_answers_are_kept_apart_by_scope() {
    let member = invent("member", "members");
    let gateway = TestGateway::configured(&[("ANONYMOUS_SCOPES", "reports"), ("API_KEYS", &member.line)]).await;
    let document = "{ heatmap { visits } userVisits(first: 1) { nodes { userId user { firstName } } } }";
    let path = format!("/graphql?{}", serde_urlencoded::to_string([("query", document)]).unwrap());
    for _ in 0..3 {
        let named = get_as(&gateway, &path, Some(&member.key)).await;
        assert!(named.body.contains("firstName") && named.json().get("errors").is_none(), "{}", named.body);
        assert_eq!(named.header("vary"), "Accept, Accept-Encoding, Authorization, X-Api-Key");
        assert!(named.header("cache-control").starts_with("private"));
        let anonymous = get_as(&gateway, &path, None).await;
        assert!(!anonymous.body.contains("firstName\""), "{}", anonymous.body);
        let tag = named.header("etag").to_owned();
        let request = Request::get(&path).header("if-none-match", tag).body(Body::empty()).unwrap();
        assert_eq!(gateway.send(request).await.status, 200, "another's tag says nothing");
    }
}

#[tokio::test]
async fn only_operators_see_the_state_and_the_schema_where_it_is_off() {
    let operator = invent("operator", "admin");
    let gateway = TestGateway::configured(&[("INTROSPECTION", "off"), ("API_KEYS", &operator.line)]).await;
    assert_eq!(refusal(&gateway.get("/api/status").await).0, 401);
    let state = get_as(&gateway, "/api/status", Some(&operator.key)).await.json();
    assert_eq!(state["apiKeys"][0], json!({ "name": "operator", "scopes": "admin", "expires": null, "isLive": true }));
    assert!(state["database"]["maximum"].as_u64() > Some(0) && !state.to_string().contains(&operator.key), "{state}");
    let introspection = "{ __schema { queryType { name } } }";
    assert_eq!(
        ask(&gateway, introspection, &[]).await.json()["errors"][0]["extensions"]["code"],
        "GRAPHQL_VALIDATION_FAILED"
    );
    let answer = ask(&gateway, introspection, &[("x-api-key", &operator.key)]).await.json();
    assert_eq!(answer["data"]["__schema"]["queryType"]["name"], "Query");
    // Suggestions would reveal names of the schema.
    let answer = ask(&gateway, "{ dailyUsag { date } }", &[]).await;
    assert!(!answer.body.contains("dailyUsage"), "{}", answer.body);
}

#[tokio::test]
async fn credentials_that_are_no_good_are_refused_whatever_is_asked() {
    let old = NewKey::invent("old", Scopes::parse("members").unwrap(), Some("2024-04-13".parse().unwrap())).unwrap();
    let last = NewKey::invent("last", Scopes::parse("members").unwrap(), Some("2024-04-14".parse().unwrap())).unwrap();
    let keys = format!("{};{}", old.line, last.line);
    let gateway = TestGateway::configured(&[("API_KEYS", &keys), ("ANONYMOUS_SCOPES", "reports")]).await;
    let (one, both) = (format!("Bearer {}", last.key), "send one".to_owned());
    for (headers, message) in [
        (vec![("x-api-key", "cwa_unknown")], "not known"),
        (vec![("x-api-key", "")], "not known"),
        (vec![("authorization", "Bearer not.a.token")], "not known"),
        (vec![("x-api-key", old.key.as_str())], "has expired"),
        (vec![("x-api-key", last.key.as_str()), ("authorization", one.as_str())], both.as_str()),
    ] {
        let answer = ask(&gateway, "{ heatmap { visits } }", &headers).await;
        assert_eq!(refusal(&answer).0, 401, "{headers:?}");
        assert!(answer.body.to_lowercase().contains(message), "{}", answer.body);
        assert!(!answer.body.contains("cwa_"), "{}", answer.body);
    }
    assert_eq!(ask(&gateway, "{ members { totalCount } }", &[("x-api-key", &last.key)]).await.status, 200);
    // Other authentication schemes are ignored.
    assert_eq!(ask(&gateway, "{ heatmap { visits } }", &[("authorization", "Basic eDp5")]).await.status, 200);
}

#[tokio::test]
async fn keys_come_and_go_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (code, key, told) =
        run(folder.path(), &[], &["key", "new", "board", "--scopes", "reports,members", "--until", "never"]);
    let line = told.lines().last().unwrap().to_owned();
    let key = key.trim().to_owned();
    assert!(code == 0 && key.starts_with("cwa_") && line.starts_with("board reports,members never "), "{told}");
    let file = folder.path().join("keys");
    std::fs::write(&file, "# none yet\n").unwrap();
    let path = file.to_str().unwrap().to_owned();
    let service = Service::start(&[("API_KEYS_FILE", &path), ("USAGE_LOG_INTERVAL", "off")]).await;
    let asked = async |key: &str| {
        let request = post("{ members { totalCount } }", &[("x-api-key", key)]);
        send(service.address, request).await.unwrap().status.as_u16()
    };
    let becomes = async |status: u16, key: &str| until(async || asked(key).await == status).await;
    becomes(401, &key).await;
    std::fs::write(&file, &line).unwrap();
    becomes(200, &key).await;
    // Two keys are valid at once, so that keys can be exchanged without an interruption.
    let next = invent("board", "members");
    std::fs::write(&file, format!("{line}\n{}\n", next.line)).unwrap();
    becomes(200, &next.key).await;
    assert_eq!(asked(&key).await, 200);
    // After an error in the file, the old keys stay valid.
    std::fs::write(&file, format!("nonsense\n{}\n", next.line)).unwrap();
    until(async || service.log().contains("API keys not read again")).await;
    assert_eq!(asked(&key).await, 200);
    std::fs::write(&file, &next.line).unwrap();
    becomes(401, &key).await;
    assert_eq!(asked(&next.key).await, 200);
}

#[tokio::test]
async fn streams_end_with_the_key_that_began_them() {
    let key = NewKey::invent("board", Scopes::parse("members").unwrap(), Some("2024-04-14".parse().unwrap())).unwrap();
    let gateway = TestGateway::configured(&[("API_KEYS", &key.line), ("SUBSCRIPTION_INTERVAL", "20ms")]).await;
    let headers = [("accept", "text/event-stream"), ("x-api-key", key.key.as_str())];
    let request = post("subscription { members(first: 1) { totalCount } }", &headers);
    let response = tower::ServiceExt::oneshot(gateway.router.clone(), request).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let first = tokio::time::timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap().into_data().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("totalCount"), "{first:?}");
    // After the key's last day, no further change is sent.
    *gateway.now.lock().unwrap() = "2024-04-15T00:00:01Z".parse().unwrap();
    gateway
        .database
        .execute("INSERT INTO users (first_name, last_name, joined_at) VALUES ('First', 'Last', '2024-04-14 00:00:00')")
        .await;
    let rest = tokio::time::timeout(PATIENCE, body.collect()).await.unwrap().unwrap().to_bytes();
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.contains("UNAUTHENTICATED") && rest.matches("event:").count() <= 2, "{rest}");
}

/// Asks for members over a WebSocket; returns the messages of the server, up to its close.
async fn over_websocket(service: &Service, payload: Value) -> Vec<String> {
    let mut request = format!("ws://{}/graphql/ws", service.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let stream = TcpStream::connect(service.address).await.unwrap();
    let (mut socket, _) = client_async(request, stream).await.unwrap();
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": "{ members { totalCount } }" } });
    for message in [json!({ "type": "connection_init", "payload": payload }), subscribe] {
        let _ = socket.send(Message::text(message.to_string())).await;
    }
    let mut said = Vec::new();
    while let Ok(Some(Ok(message))) = timeout(PATIENCE, socket.next()).await {
        match message {
            Message::Text(text) => said.push(text.to_string()),
            Message::Close(Some(frame)) => said.push(format!("{} {}", u16::from(frame.code), frame.reason)),
            _ => {}
        }
        if said.last().is_some_and(|last| ["next", "\"error\"", "4403"].iter().any(|end| last.contains(end))) {
            break;
        }
    }
    said
}

#[tokio::test]
async fn sockets_say_who_asks_when_they_begin() {
    let key = NewKey::invent("board", Scopes::parse("members").unwrap(), None).unwrap();
    let variables = [("ANONYMOUS_SCOPES", "reports"), ("API_KEYS", key.line.as_str()), ("USAGE_LOG_INTERVAL", "off")];
    let service = Service::start(&variables).await;
    for payload in
        [json!({ "x-api-key": key.key }), json!({ "headers": { "Authorization": format!("Bearer {}", key.key) } })]
    {
        let said = over_websocket(&service, payload).await;
        assert!(said.last().unwrap().contains("totalCount"), "{said:?}");
    }
    let said = over_websocket(&service, Value::Null).await;
    assert!(said.last().unwrap().contains("UNAUTHENTICATED"), "{said:?}");
    let said = over_websocket(&service, json!({ "authorization": "Bearer cwa_unknown" })).await;
    assert!(said.last().unwrap().starts_with("4403 Forbidden"), "{said:?}");
    assert!(!service.log().contains(&key.key[4..]), "a key is in the log");
}

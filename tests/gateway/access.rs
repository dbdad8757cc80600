//! Who may see what: scopes, API keys, tokens of an identity provider.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{Request, StatusCode},
    response::{IntoResponse as _, Response},
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use coworking_analytics::{
    access::{Scopes, keys::NewKey},
    database::{Access, Database},
};
use http_body_util::BodyExt as _;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};

use crate::support::{
    Answer, Backend, TestDatabase, TestGateway, config, on_postgres,
    process::{PATIENCE, Service, run, send},
};

on_postgres!(nothing_that_is_sent_can_write,);

/// A question to each report that says nothing of single members.
const AGGREGATES: [(&str, &str); 7] = [
    ("dailyUsage", "dailyUsage(filter: { from: \"2024-03-01\" }) { date visits }"),
    (
        "usage",
        "usage(granularity: MONTH, filter: { from: \"2024-03-01\" }) { totals { visits } previous { totals { visits } } }",
    ),
    ("heatmap", "heatmap { visits }"),
    ("activeUsers", "activeUsers(filter: { from: \"2024-03-01\", to: \"2024-03-02\" }) { daily }"),
    ("retention", "retention { label members }"),
    ("tokenFunnel", "tokenFunnel(filter: { isActive: true }) { issued }"),
    ("userVisits", "userVisits { totalCount totals { visits } nodes { userId tokensIssued joinedAt } }"),
];

/// Questions that say more of single members than the legacy report did.
const PERSONAL: [(&str, &str); 14] = [
    ("members", "members { totalCount }"),
    ("dailyUsage", "dailyUsage(filter: { userIds: [1] }) { date }"),
    ("dailyUsage", "dailyUsage(filter: { joinedFrom: \"2024-01-01\" }) { date }"),
    ("usage", "usage(filter: { joinedTo: \"2024-01-01\" }) { totals { visits } }"),
    ("heatmap", "heatmap(filter: { userIds: [1] }) { visits }"),
    ("activeUsers", "activeUsers(filter: { userIds: [1], from: \"2024-03-01\", to: \"2024-03-02\" }) { daily }"),
    ("retention", "retention(filter: { userIds: [1] }) { label }"),
    ("tokenFunnel", "tokenFunnel(filter: { userIds: [1] }) { issued }"),
    ("userVisits", "userVisits { nodes { userId visits } }"),
    ("userVisits", "userVisits { edges { node { ...Row } } }"),
    ("userVisits", "userVisits(filter: { from: \"2024-03-01\" }) { nodes { userId } }"),
    ("userVisits", "userVisits(filter: { userIds: [1] }) { totals { visits } }"),
    ("userVisits", "userVisits(orderBy: { field: LAST_VISIT_AT }) { nodes { userId } }"),
    ("userVisits", "userVisits(first: 1) { others { visits } }"),
];

async fn gateway(variables: &[(&str, &str)]) -> TestGateway {
    TestGateway::on(TestDatabase::recorded(Backend::Sqlite).await, variables).await
}

fn post(document: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let fragment = if document.contains("...Row") { " fragment Row on UserVisits { lastVisitAt }" } else { "" };
    let body = json!({ "query": format!("{document}{fragment}") }).to_string();
    let mut request = Request::post("/graphql").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

async fn ask(gateway: &TestGateway, document: &str, headers: &[(&str, &str)]) -> Answer {
    gateway.send(post(document, headers)).await
}

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

/// The one error of an answer without data, as it is told: status, code, scope, path.
fn refusal(answer: &Answer) -> (u16, String, String, Value) {
    let body = answer.json();
    let error = &body["errors"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let extensions = &error["extensions"];
    (answer.status.as_u16(), text(&extensions["code"]), text(&extensions["scope"]), error["path"].clone())
}

#[tokio::test]
async fn every_root_of_the_schema_needs_a_scope() {
    let gateway = gateway(&[("ANONYMOUS_SCOPES", "none")]).await;
    let schema = ask(&gateway, "{ __schema { queryType { fields { name } } } }", &[]).await.json();
    let fields = schema["data"]["__schema"]["queryType"]["fields"].as_array().unwrap();
    let roots: Vec<_> = fields.iter().map(|field| field["name"].as_str().unwrap()).collect();
    assert_eq!(roots.len(), 8, "{roots:?}");
    for name in roots {
        let (_, document) = AGGREGATES.iter().chain(&PERSONAL).find(|(known, _)| *known == name).unwrap();
        let scope = if name == "members" { "members" } else { "reports" };
        let answer = ask(&gateway, &format!("{{ {document} }}"), &[]).await;
        assert_eq!(refusal(&answer), (401, "UNAUTHENTICATED".into(), scope.into(), json!([name])), "{document}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"coworking-analytics\"");
        assert_eq!(answer.json().get("data"), None);
        // The same as a stream, which ends.
        let followed = post(&format!("subscription {{ {document} }}"), &[("accept", "text/event-stream")]);
        let followed = gateway.send(followed).await.body;
        assert!(followed.contains("UNAUTHENTICATED") && followed.contains("event: complete"), "{followed}");
    }
    for report in
        ["daily_usage", "user_visits", "usage", "heatmap", "retention", "members", "active_users", "token_funnel"]
    {
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
    let gateway = gateway(&[("ANONYMOUS_SCOPES", "reports"), ("API_KEYS", &keys)]).await;
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
    // Variables are no way around, and siblings are answered.
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
    // What is given as null is not given.
    let answer = gateway.post(document, json!({ "ids": null, "filter": null })).await.json();
    assert_eq!(answer["errors"].as_array().unwrap().len(), 1, "{answer}");
}

#[tokio::test]
async fn the_routes_of_reports_follow_the_same_rules() {
    let (reporter, member) = (invent("reporter", "reports"), invent("member", "members"));
    let keys = format!("{}\n{}", reporter.line, member.line);
    let gateway = gateway(&[("ANONYMOUS_SCOPES", "reports"), ("API_KEYS", &keys)]).await;
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
    let gateway = gateway(&[("ANONYMOUS_SCOPES", "reports"), ("API_KEYS", &member.line)]).await;
    let document = "{ heatmap { visits } userVisits(first: 1) { nodes { userId user { firstName } } } }";
    let path = format!("/graphql?{}", serde_urlencoded::to_string([("query", document)]).unwrap());
    for _ in 0..3 {
        let named = get_as(&gateway, &path, Some(&member.key)).await;
        assert!(named.body.contains("firstName") && named.json().get("errors").is_none(), "{}", named.body);
        assert_eq!(named.header("vary"), "Accept, Authorization, X-Api-Key");
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
    let gateway = gateway(&[("INTROSPECTION", "off"), ("API_KEYS", &operator.line)]).await;
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
    // Suggestions would give names away.
    let answer = ask(&gateway, "{ dailyUsag { date } }", &[]).await;
    assert!(!answer.body.contains("dailyUsage"), "{}", answer.body);
}

#[tokio::test]
async fn credentials_that_are_no_good_are_refused_whatever_is_asked() {
    let old = NewKey::invent("old", Scopes::parse("members").unwrap(), Some("2024-04-13".parse().unwrap())).unwrap();
    let last = NewKey::invent("last", Scopes::parse("members").unwrap(), Some("2024-04-14".parse().unwrap())).unwrap();
    let keys = format!("{};{}", old.line, last.line);
    let gateway = gateway(&[("API_KEYS", &keys), ("ANONYMOUS_SCOPES", "reports")]).await;
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
    // Other schemes are not ours to judge.
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
    // Two at once: nobody is left without while keys are handed over.
    let next = invent("board", "members");
    std::fs::write(&file, format!("{line}\n{}\n", next.line)).unwrap();
    becomes(200, &next.key).await;
    assert_eq!(asked(&key).await, 200);
    // A mistake in the file takes nobody's key away.
    std::fs::write(&file, format!("nonsense\n{}\n", next.line)).unwrap();
    until(async || service.log().contains("API keys not read again")).await;
    assert_eq!(asked(&key).await, 200);
    std::fs::write(&file, &next.line).unwrap();
    becomes(401, &key).await;
    assert_eq!(asked(&next.key).await, 200);
}

/// Waits until it is so.
async fn until(is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never came about");
}

#[tokio::test]
async fn streams_end_with_the_key_that_began_them() {
    let key = NewKey::invent("board", Scopes::parse("members").unwrap(), Some("2024-04-14".parse().unwrap())).unwrap();
    let gateway = gateway(&[("API_KEYS", &key.line), ("SUBSCRIPTION_INTERVAL", "20ms")]).await;
    let headers = [("accept", "text/event-stream"), ("x-api-key", key.key.as_str())];
    let request = post("subscription { members(first: 1) { totalCount } }", &headers);
    let response = tower::ServiceExt::oneshot(gateway.router.clone(), request).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let first = tokio::time::timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap().into_data().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("totalCount"), "{first:?}");
    // The key's last day ends; the next change is told to nobody any more.
    *gateway.now.lock().unwrap() = "2024-04-15T00:00:01Z".parse().unwrap();
    gateway
        .database
        .execute("INSERT INTO users (first_name, last_name, joined_at) VALUES ('First', 'Last', '2024-04-14 00:00:00')")
        .await;
    let rest = tokio::time::timeout(PATIENCE, body.collect()).await.unwrap().unwrap().to_bytes();
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.contains("UNAUTHENTICATED") && rest.matches("event:").count() <= 2, "{rest}");
}

/// An identity provider: what it publishes, and how often it was asked.
#[derive(Clone, Default)]
struct Provider(Arc<Published>);

#[derive(Default)]
struct Published {
    address: Mutex<Option<SocketAddr>>,
    keys: Mutex<Vec<Value>>,
    fetched: AtomicUsize,
}

impl Provider {
    async fn start() -> Self {
        let provider = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        *provider.0.address.lock().unwrap() = Some(listener.local_addr().unwrap());
        let configuration = |State(provider): State<Provider>| async move {
            Json(json!({ "issuer": provider.issuer(), "jwks_uri": format!("{}/keys", provider.issuer()) }))
        };
        let keys = |State(provider): State<Provider>| async move { provider.publish() };
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .with_state(provider.clone());
        tokio::spawn(axum::serve(listener, routes).into_future());
        provider
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.0.address.lock().unwrap().unwrap())
    }

    fn publish(&self) -> Response {
        self.0.fetched.fetch_add(1, Ordering::SeqCst);
        let keys = self.0.keys.lock().unwrap().clone();
        if keys.is_empty() {
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        } else {
            Json(json!({ "keys": keys })).into_response()
        }
    }

    /// A new pair of keys, whose public one is published from now on.
    fn invent(&self, id: &str) -> Signer {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pair.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref().to_vec();
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        self.0.keys.lock().unwrap().push(json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "kid": id, "x": text(&point[1..33]), "y": text(&point[33..]),
        }));
        Signer { id: id.to_owned(), pair, point }
    }
}

struct Signer {
    id: String,
    pair: EcdsaKeyPair,
    point: Vec<u8>,
}

impl Signer {
    fn sign(&self, claims: &Value) -> String {
        let text = unsigned(&json!({ "alg": "ES256", "typ": "JWT", "kid": self.id }), claims);
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// The library judges tokens by the machine's clock.
#[expect(clippy::disallowed_methods, reason = "the machine's clock is what tokens are judged by")]
fn seconds() -> i64 {
    chrono::Utc::now().timestamp()
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn tokens_of_the_identity_provider_are_checked() {
    let provider = Provider::start().await;
    let issuer = provider.issuer();
    let variables = [
        ("ANONYMOUS_SCOPES", "none"),
        ("OIDC_ISSUER", issuer.as_str()),
        ("OIDC_AUDIENCE", "analytics"),
        ("OIDC_CLAIM", "groups"),
        ("OIDC_GRANTS", "analyst=reports, board=reports+members"),
    ];
    let (early, gateway) = (gateway(&variables).await, gateway(&variables).await);
    let ask_with = async |gateway: &TestGateway, document: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        ask(gateway, document, &[("authorization", &bearer)]).await
    };
    let asked = async |document: &str, token: &str| ask_with(&gateway, document, token).await;
    let heatmap = "{ heatmap { visits } }";
    let claims = json!({ "iss": issuer, "aud": ["other", "analytics"], "sub": "ada", "exp": seconds() + 600, "groups": ["analyst"] });

    // Who has no keys to check with says so, and does not let anybody in.
    let unpublished = Provider::default();
    let signer = unpublished.invent("first");
    let answer = ask_with(&early, heatmap, &signer.sign(&claims)).await;
    assert_eq!(
        (refusal(&answer).0, refusal(&answer).1.as_str(), answer.header("retry-after")),
        (503, "SERVICE_UNAVAILABLE", "1")
    );
    provider.0.keys.lock().unwrap().clone_from(&unpublished.0.keys.lock().unwrap());

    assert_eq!(asked(heatmap, &signer.sign(&claims)).await.status, 200);
    let forbidden = asked("{ members { totalCount } }", &signer.sign(&claims)).await;
    assert_eq!((refusal(&forbidden).0, refusal(&forbidden).1.as_str()), (403, "FORBIDDEN"));
    let board = with(claims.clone(), "groups", json!("board other"));
    assert_eq!(asked("{ members { totalCount } }", &signer.sign(&board)).await.status, 200);
    let nobody = with(claims.clone(), "groups", json!(["reports"]));
    assert_eq!(asked(heatmap, &signer.sign(&nobody)).await.status, 403, "only what is granted counts");

    let unsigned_none = format!("{}.", unsigned(&json!({ "alg": "none" }), &claims));
    let hmac = {
        let text = unsigned(&json!({ "alg": "HS256", "kid": "first" }), &claims);
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &signer.point);
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, text.as_bytes())))
    };
    let valid = signer.sign(&claims);
    let tampered = {
        let parts: Vec<_> = valid.split('.').collect();
        let stolen = unsigned(&json!({}), &with(claims.clone(), "groups", json!("board")));
        format!("{}.{}.{}", parts[0], stolen.split('.').nth(1).unwrap(), parts[2])
    };
    let another = Provider::default().invent("first");
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    for (what, token) in [
        ("expired", signer.sign(&with(claims.clone(), "exp", json!(seconds() - 60)))),
        ("not valid yet", signer.sign(&with(claims.clone(), "nbf", json!(seconds() + 60)))),
        ("another issuer", signer.sign(&with(claims.clone(), "iss", json!("https://other.example")))),
        ("another audience", signer.sign(&with(claims.clone(), "aud", json!("other")))),
        ("lacks one", signer.sign(&without("exp"))),
        ("lacks one", signer.sign(&without("aud"))),
        ("lacks one", signer.sign(&without("sub"))),
        ("lacks one", signer.sign(&with(claims.clone(), "exp", json!("never")))),
        ("shared secret", hmac),
        ("no jwt", unsigned_none),
        ("not valid", tampered),
        ("not valid", another.sign(&claims)),
        ("no jwt", "a.b.c".to_owned()),
    ] {
        let answer = asked(heatmap, &token).await;
        assert_eq!(refusal(&answer).0, 401, "{what}: {}", answer.body);
        assert!(answer.body.to_lowercase().contains(what), "{what}: {}", answer.body);
        assert!(!answer.body.contains(&token), "{}", answer.body);
    }
    // A little leeway, for clocks that differ.
    assert_eq!(asked(heatmap, &signer.sign(&with(claims.clone(), "exp", json!(seconds() - 10)))).await.status, 200);

    // Who had no keys asks the provider again.
    until(async || ask_with(&early, heatmap, &signer.sign(&claims)).await.status == 200).await;
    // A key that is not known has it asked as well, though not for everybody who names one: once in five seconds.
    let second = provider.invent("second");
    let (before, begun) = (provider.0.fetched.load(Ordering::SeqCst), Instant::now());
    until(async || asked(heatmap, &second.sign(&claims)).await.status == 200).await;
    let unknown = Provider::default().invent("third");
    for _ in 0..10 {
        assert_eq!(asked(heatmap, &unknown.sign(&claims)).await.status, 401);
    }
    let fetched = provider.0.fetched.load(Ordering::SeqCst) - before;
    let pauses = usize::try_from(begun.elapsed().as_secs() / 5).unwrap();
    assert!((1..=1 + pauses).contains(&fetched), "{fetched} times");
    assert_eq!(asked(heatmap, &signer.sign(&claims)).await.status, 200, "keys overlap");
}

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

/// Of a role that might: the sessions may not, whatever the role may do, and no text becomes a statement.
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

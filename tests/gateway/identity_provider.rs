//! Access tokens of an identity provider.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::support::{
    TestGateway,
    requests::{ask, refusal, until},
};

/// A test identity provider: its published keys, and how often they were fetched.
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

    /// Creates a key pair and publishes its public key.
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

/// The library compares expiry times with the machine's clock.
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
    let (early, gateway) = (TestGateway::configured(&variables).await, TestGateway::configured(&variables).await);
    let ask_with = async |gateway: &TestGateway, document: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        ask(gateway, document, &[("authorization", &bearer)]).await
    };
    let asked = async |document: &str, token: &str| ask_with(&gateway, document, token).await;
    let heatmap = "{ heatmap { visits } }";
    let claims = json!({ "iss": issuer, "aud": ["other", "analytics"], "sub": "ada", "exp": seconds() + 600, "groups": ["analyst"] });

    // A gateway without the provider's keys answers that it cannot check, and admits nobody.
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
    // A few seconds of leeway, because clocks differ.
    assert_eq!(asked(heatmap, &signer.sign(&with(claims.clone(), "exp", json!(seconds() - 10)))).await.status, 200);

    // A gateway without keys fetches them again.
    until(async || ask_with(&early, heatmap, &signer.sign(&claims)).await.status == 200).await;
    // An unknown key id also makes the gateway fetch the keys, but at most once in five seconds.
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

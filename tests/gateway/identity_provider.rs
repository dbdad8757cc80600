//! Access tokens of an identity provider.

use std::{
    net::SocketAddr,
    path::Path,
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
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::TcpStream,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use crate::support::{
    Answer, TestGateway, certify, now,
    process::{Service, run},
    requests::{ask, refusal, until},
};

/// A test identity provider: its published keys, and how often they were fetched.
#[derive(Clone, Default)]
struct Provider(Arc<Published>);

#[derive(Default)]
struct Published {
    address: Mutex<Option<SocketAddr>>,
    /// What its own address has at the end.
    slash: &'static str,
    keys: Mutex<Vec<Value>>,
    fetched: AtomicUsize,
}

impl Provider {
    async fn start() -> Self {
        Self::start_with("").await
    }

    async fn start_with(slash: &'static str) -> Self {
        let provider = Self(Arc::new(Published { slash, ..Published::default() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        *provider.0.address.lock().unwrap() = Some(listener.local_addr().unwrap());
        let configuration = |State(provider): State<Provider>| async move {
            let own = format!("{}{}", provider.issuer(), provider.0.slash);
            Json(json!({ "issuer": own, "jwks_uri": format!("{}/keys", provider.issuer()) }))
        };
        let keys = |State(provider): State<Provider>| async move { provider.publish() };
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .route("/moved", get(|| async { Redirect::permanent("/keys") }))
            .route("/again", get(|| async { Redirect::temporary("/again") }))
            .route("/plain", get(|| async { Redirect::temporary("http://keys.example/keys") }))
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
        self.sign_with(&json!({ "alg": "ES256", "typ": "JWT", "kid": self.id }), claims)
    }

    fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let text = unsigned(header, claims);
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// The time by the gateway's clock.
fn seconds() -> i64 {
    now().timestamp()
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
        ("not signed with rs256", unsigned_none),
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

/// A gateway for this provider, and claims that are good for it.
async fn gateway_of(provider: &Provider, variables: &[(&str, &str)]) -> (TestGateway, Value) {
    let issuer = provider.issuer();
    let usual = [("ANONYMOUS_SCOPES", "none"), ("OIDC_ISSUER", issuer.as_str()), ("OIDC_AUDIENCE", "analytics")];
    let gateway = TestGateway::configured(&[&usual, variables].concat()).await;
    let claims =
        json!({ "iss": issuer, "aud": "analytics", "sub": "ada", "exp": seconds() + 600, "scope": "reports openid" });
    (gateway, claims)
}

async fn asked(gateway: &TestGateway, token: &str) -> Answer {
    ask(gateway, "{ heatmap { visits } }", &[("authorization", &format!("Bearer {token}"))]).await
}

#[tokio::test]
async fn ed25519_is_known_by_both_names() {
    let provider = Provider::start().await;
    let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(pair.as_ref()).unwrap();
    let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    for (of_key, of_token) in
        [(None, "EdDSA"), (None, "Ed25519"), (Some("EdDSA"), "Ed25519"), (Some("Ed25519"), "EdDSA")]
    {
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "alg": of_key });
        *provider.0.keys.lock().unwrap() = vec![with(jwk, "kid", json!("ed"))];
        let (gateway, claims) = gateway_of(&provider, &[]).await;
        let text = unsigned(&json!({ "alg": of_token, "kid": "ed" }), &claims);
        let token = format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(pair.sign(text.as_bytes())));
        assert_eq!(asked(&gateway, &token).await.status, 200, "{of_key:?} {of_token}");
    }
}

#[tokio::test]
async fn keys_without_an_id_are_all_tried() {
    let provider = Provider::start().await;
    let signers = ["a", "b", "c"].map(|id| provider.invent(id));
    for key in provider.0.keys.lock().unwrap().iter_mut() {
        key.as_object_mut().unwrap().remove("kid");
    }
    // Of kinds that nobody knows here, or that do not sign.
    provider.0.keys.lock().unwrap().extend([
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" }),
        json!({ "kty": "oct", "k": "AA" }),
        json!({ "kty": 1 }),
    ]);
    let (gateway, claims) = gateway_of(&provider, &[]).await;
    for signer in &signers {
        for header in [json!({ "alg": "ES256" }), json!({ "alg": "ES256", "kid": "named" })] {
            assert_eq!(asked(&gateway, &signer.sign_with(&header, &claims)).await.status, 200);
        }
    }
    let stranger = Provider::default().invent("d");
    assert_eq!(asked(&gateway, &stranger.sign_with(&json!({ "alg": "ES256" }), &claims)).await.status, 401);
}

#[tokio::test]
async fn a_key_that_is_new_under_an_old_id_is_fetched() {
    let provider = Provider::start().await;
    let old = provider.invent("only");
    let (gateway, claims) = gateway_of(&provider, &[]).await;
    assert_eq!(asked(&gateway, &old.sign(&claims)).await.status, 200);
    provider.0.keys.lock().unwrap().clear();
    let new = provider.invent("only");
    until(async || asked(&gateway, &new.sign(&claims)).await.status == 200).await;
    assert_eq!(asked(&gateway, &old.sign(&claims)).await.status, 401, "the old one is withdrawn");
}

#[tokio::test]
async fn claims_are_read_as_providers_write_them() {
    let provider = Provider::start_with("/").await;
    let signer = provider.invent("key");
    let (gateway, claims) = gateway_of(&provider, &[("OIDC_CLAIM", "realm_access.roles")]).await;
    let roles = json!({ "roles": ["offline", "reports"] });
    let claims = with(claims, "realm_access", roles.clone());
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let now = seconds() as f64;
    let slash = format!("{}/", provider.issuer());
    for (expected, changed) in [
        (200, claims.clone()),
        (200, with(claims.clone(), "exp", json!(now + 600.75))),
        (200, with(claims.clone(), "exp", json!(1e300))),
        (200, with(claims.clone(), "nbf", json!(now - 0.5))),
        (200, with(claims.clone(), "iss", json!(slash))),
        (200, with(with(claims.clone(), "realm_access", json!(null)), "realm_access.roles", json!("reports"))),
        (401, with(claims.clone(), "exp", json!(now - 30.5))),
        (401, with(claims.clone(), "exp", json!(-1e300))),
        (401, with(claims.clone(), "nbf", json!(now + 30.5))),
        (401, with(claims.clone(), "nbf", json!("soon"))),
        (401, with(claims.clone(), "iss", json!(format!("{slash}/")))),
        (401, with(claims.clone(), "sub", json!(["ada"]))),
        (401, with(claims.clone(), "aud", json!([]))),
        (403, with(claims.clone(), "realm_access", json!({ "roles": { "reports": true } }))),
        (403, with(claims.clone(), "realm_access", json!("roles"))),
    ] {
        let answer = asked(&gateway, &signer.sign(&changed)).await;
        assert_eq!(answer.status, expected, "{changed}: {}", answer.body);
    }
    // What must be understood, and is not.
    let header = json!({ "alg": "ES256", "kid": "key", "crit": ["b64"], "b64": false });
    let answer = asked(&gateway, &signer.sign_with(&header, &claims)).await;
    assert!(refusal(&answer).0 == 401 && answer.body.contains("crit"), "{}", answer.body);
}

#[tokio::test]
async fn keys_are_found_where_redirects_lead() {
    let provider = Provider::start().await;
    let signer = provider.invent("key");
    for (path, expected) in [("/keys", 200), ("/moved", 200), ("/again", 503), ("/plain", 503), ("/nothing", 503)] {
        let address = format!("{}{path}", provider.issuer());
        let (gateway, claims) = gateway_of(&provider, &[("OIDC_JWKS_URL", &address)]).await;
        assert_eq!(asked(&gateway, &signer.sign(&claims)).await.status, expected, "{path}");
    }
}

/// A proxy that makes tunnels to the provider, whatever host is asked for, and notes the request.
async fn proxy(to: SocketAddr, heads: Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let heads = Arc::clone(&heads);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                heads.lock().unwrap().push(String::from_utf8(head).unwrap());
                let mut server = TcpStream::connect(to).await.unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

/// TLS in front of the provider, with a certificate for this host.
async fn encrypted(provider: SocketAddr, certificate: &Path, key: &Path) -> SocketAddr {
    let certificates = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let config = ServerConfig::builder_with_provider(default_provider().into());
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(certificates, key).unwrap()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(provider).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn keys_are_fetched_through_a_proxy() {
    let provider = Provider::start().await;
    let signer = provider.invent("key");
    let folder = TempDir::new().unwrap();
    certify(folder.path(), "login.example");
    let [certificate, key] = ["tls.crt", "tls.key"].map(|name| folder.path().join(name));
    let of_provider = provider.0.address.lock().unwrap().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let proxy = proxy(encrypted(of_provider, &certificate, &key).await, Arc::clone(&heads)).await;
    let proxy = format!("http://user:secret@{proxy}");
    let variables = [
        ("OIDC_JWKS_URL", "https://login.example/keys"),
        ("OIDC_CA_FILE", certificate.to_str().unwrap()),
        ("HTTPS_PROXY", proxy.as_str()),
    ];
    let (gateway, claims) = gateway_of(&provider, &variables).await;
    assert_eq!(asked(&gateway, &signer.sign(&claims)).await.status, 200);
    let head = heads.lock().unwrap().pop().unwrap().to_lowercase();
    assert!(head.starts_with("connect login.example:443 http/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: basic dxnlcjpzzwnyzxq="), "{head}");
    // Hosts that are not to go through it; this one is nowhere.
    let (gateway, claims) =
        gateway_of(&provider, &[&variables[..], &[("NO_PROXY", "other.example,.example")]].concat()).await;
    assert_eq!(asked(&gateway, &signer.sign(&claims)).await.status, 503);
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_service_fetches_the_keys_at_its_start_and_tells_a_slash() {
    let provider = Provider::start_with("/").await;
    provider.invent("key");
    let issuer = provider.issuer();
    let service = Service::start(&[("OIDC_ISSUER", &issuer), ("OIDC_AUDIENCE", "analytics")]).await;
    service.wait_for_log("keys of the identity provider read").await;
    service.wait_for_log("differs from OIDC_ISSUER by a slash").await;
    let (code, _, err) = run(
        TempDir::new().unwrap().path(),
        &[("OIDC_ISSUER", &issuer), ("OIDC_AUDIENCE", "x"), ("HTTPS_PROXY", "socks5://user:secret@proxy")],
        &["migrate"],
    );
    assert!(code == 2 && err.contains("HTTPS_PROXY") && !err.contains("secret"), "{err}");
}

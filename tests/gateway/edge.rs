//! The edge: budgets, what is done at once, connections and their clients' pace, TLS.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};

use axum::{body::Body, http::Request};
use coworking_analytics::{
    access::{Scopes, keys::NewKey},
    http::{Peer, Terms},
};
use futures_util::{SinkExt as _, StreamExt as _, future::join_all};
use http_body_util::BodyExt as _;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::{
    operations::waiting,
    support::{
        Answer, Backend, TestDatabase, TestGateway, on_postgres,
        process::{PATIENCE, Service, get, query, send},
    },
};

on_postgres!(what_is_beyond_is_refused_at_once_and_probes_are_not);

const HEATMAP: &str = "{ heatmap { visits } }";

async fn gateway(variables: &[(&str, &str)]) -> TestGateway {
    TestGateway::on(TestDatabase::recorded(Backend::Sqlite).await, variables).await
}

/// A request as it comes from an address.
fn from(address: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let address = SocketAddr::new(address.parse::<IpAddr>().unwrap(), 40_000);
    request.extension(Peer { address, terms: Terms::All }).body(Body::empty()).unwrap()
}

fn heatmap() -> String {
    format!("/graphql?{}", serde_urlencoded::to_string([("query", HEATMAP)]).unwrap())
}

/// Asks for more than the whole budget of a minute, which is answered, and once more: the refusal.
async fn exhaust(gateway: &TestGateway, address: &str, headers: &[(&str, &str)]) -> Answer {
    let document = "{ dailyUsage(first: 3700) { date visits tokensIssued } }";
    let path = format!("/graphql?{}", serde_urlencoded::to_string([("query", document)]).unwrap());
    // Kept answers cost next to nothing.
    let headers: Vec<_> = headers.iter().copied().chain([("cache-control", "no-cache")]).collect();
    assert_eq!(gateway.send(from(address, &path, &headers)).await.status, 200);
    gateway.send(from(address, &path, &headers)).await
}

#[tokio::test]
async fn each_caller_has_a_budget_of_cost() {
    let key = NewKey::invent("board", Scopes::parse("reports").unwrap(), None).unwrap();
    let gateway = gateway(&[("RATE_LIMIT", "6000"), ("API_KEYS", &key.line)]).await;
    let refused = exhaust(&gateway, "203.0.113.7", &[]).await;
    let error = &refused.json()["errors"][0];
    assert_eq!((refused.status.as_u16(), error["extensions"]["code"].as_str()), (429, Some("RATE_LIMITED")));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert_eq!(error["extensions"]["retryAfter"], wait);
    assert!((30..=61).contains(&wait), "{wait}");
    // On every route but the probes.
    for (path, status) in
        [("/api/reports/daily_usage", 429), ("/graphiql", 429), ("/health_check", 200), ("/readiness_check", 200)]
    {
        assert_eq!(gateway.send(from("203.0.113.7", path, &[])).await.status, status, "{path}");
    }
    // Others have theirs: another address, and a key, from whichever address.
    assert_eq!(gateway.send(from("203.0.113.8", &heatmap(), &[])).await.status, 200);
    let as_key = [("x-api-key", key.key.as_str())];
    assert_eq!(gateway.send(from("203.0.113.7", &heatmap(), &as_key)).await.status, 200);
    exhaust(&gateway, "203.0.113.9", &as_key).await;
    assert_eq!(gateway.send(from("203.0.113.10", &heatmap(), &as_key)).await.status, 429, "one key, one budget");
    assert_eq!(gateway.send(from("203.0.113.10", &heatmap(), &[])).await.status, 200);
    // What a stranger writes into X-Forwarded-For is not believed.
    let forged = [("x-forwarded-for", "198.51.100.1")];
    assert_eq!(gateway.send(from("203.0.113.7", &heatmap(), &forged)).await.status, 429);
}

#[tokio::test]
async fn work_costs_more_than_kept_answers() {
    let gateway = gateway(&[("RATE_LIMIT", "20000")]).await;
    let different = |n: usize| {
        let document = format!("{{ dailyUsage(first: {n}) {{ date visits }} }}");
        format!("/graphql?{}", serde_urlencoded::to_string([("query", document)]).unwrap())
    };
    let mut answered = 0;
    while gateway.send(from("203.0.113.7", &different(answered + 1), &[])).await.status == 200 {
        answered += 1;
    }
    assert!((10..40).contains(&answered), "{answered}");
}

#[tokio::test]
async fn proxies_that_are_trusted_say_who_asks() {
    let gateway = gateway(&[("RATE_LIMIT", "6000"), ("TRUSTED_PROXY_HOPS", "1")]).await;
    let client = [("x-forwarded-for", "198.51.100.1, 203.0.113.7")];
    assert_eq!(exhaust(&gateway, "10.0.0.1", &client).await.status, 429);
    let other = [("x-forwarded-for", "203.0.113.7, 203.0.113.8")];
    assert_eq!(gateway.send(from("10.0.0.1", &heatmap(), &other)).await.status, 200);
    let same = [("x-forwarded-for", "198.51.100.99, 203.0.113.7")];
    assert_eq!(gateway.send(from("10.0.0.2", &heatmap(), &same)).await.status, 429);
}

#[tokio::test]
async fn guessing_keys_is_slow() {
    let gateway = gateway(&[("RATE_LIMIT", "3000000")]).await;
    let guess = async |n: usize| {
        let key = format!("cwa_{n}");
        gateway.send(from("203.0.113.7", &heatmap(), &[("x-api-key", &key)])).await.status.as_u16()
    };
    let mut refused = Vec::new();
    for n in 0..100 {
        refused.push(guess(n).await);
    }
    let tried = refused.iter().filter(|status| **status == 401).count();
    assert!((60..80).contains(&tried), "{tried}");
    assert_eq!(refused.last(), Some(&429));
    // Who does not guess is not in the way of it.
    assert_eq!(gateway.send(from("203.0.113.7", &heatmap(), &[])).await.status, 200);
}

async fn what_is_beyond_is_refused_at_once_and_probes_are_not() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let gateway = TestGateway::on(database, &[("MAX_REQUESTS", "2"), ("DB_MAX_CONNECTIONS", "8")]).await;
    let lock = gateway.database.owner.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let document = |n: usize| format!("{{ members(first: {n}) {{ totalCount }} }}");
    let (first, second) = (document(1), document(2));
    let under_way = async { tokio::join!(gateway.post(&first, json!({})), gateway.post(&second, json!({}))) };
    let beside = async {
        while waiting(&lock).await < 2 {
            sleep(Duration::from_millis(20)).await;
        }
        let refused = gateway.post(HEATMAP, json!({})).await;
        let code = refused.json()["errors"][0]["extensions"]["code"].clone();
        assert_eq!(
            (refused.status.as_u16(), refused.header("retry-after"), code),
            (503, "1", json!("SERVICE_UNAVAILABLE"))
        );
        assert_eq!(gateway.get("/api/reports/usage").await.status, 503);
        for path in ["/health_check", "/readiness_check"] {
            assert_eq!(gateway.get(path).await.body, "ok");
        }
        lock.commit().await.unwrap();
    };
    let ((first, second), ()) = tokio::join!(under_way, beside);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
    assert_eq!(gateway.post(HEATMAP, json!({})).await.status, 200);
}

#[tokio::test]
async fn large_answers_are_counted_until_they_are_taken() {
    let gateway = gateway(&[("MAX_IN_FLIGHT_BYTES", "1048576"), ("CACHE_BYTES", "0")]).await;
    gateway.database.execute(
        "INSERT INTO users (id, first_name, last_name, joined_at) WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         SELECT i, 'First', 'Last', '2024-01-01 00:00:00' FROM n",
    ).await;
    let document = "{ members(first: 1000) { nodes { userId segment visits tokensIssued joinedAt isActive user { id firstName lastName joinedAt } } } }";
    let asked = || {
        let body = json!({ "query": document }).to_string();
        let request =
            Request::post("/graphql").header("content-type", "application/json").body(Body::from(body)).unwrap();
        tower::ServiceExt::oneshot(gateway.router.clone(), request)
    };
    let mut held = Vec::new();
    let refused = loop {
        let response = asked().await.unwrap();
        if response.status() != 200 {
            break response;
        }
        let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
        assert!(length > 100_000, "{length}");
        held.push(response);
        assert!(held.len() < 12, "nothing bounds what is on its way");
    };
    assert_eq!(refused.status(), 503);
    assert!(held.len() > 2, "{}", held.len());
    // Those that were begun are whole, and what was taken makes room.
    for response in held {
        let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), length);
    }
    assert_eq!(asked().await.unwrap().status(), 200);
}

/// Whether the other side ends the connection while it is given nothing more.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut bytes = vec![0; 1 << 16];
    let closed = async { while matches!(stream.read(&mut bytes).await, Ok(read) if read > 0) {} };
    timeout(PATIENCE, closed).await.is_ok()
}

const PATIENT: [(&str, &str); 5] = [
    ("HEADER_TIMEOUT", "1s"),
    ("BODY_TIMEOUT", "1s"),
    ("KEEP_ALIVE_TIMEOUT", "2s"),
    ("SEND_TIMEOUT", "1s"),
    ("USAGE_LOG_INTERVAL", "off"),
];

#[tokio::test]
async fn slow_and_idle_clients_are_let_go() {
    let service = Service::start(&PATIENT).await;
    let connect = async || TcpStream::connect(service.address).await.unwrap();
    let idle = async {
        let mut stream = connect().await;
        stream.write_all(b"GET /health_check HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(is_closed(&mut stream).await, "an idle connection stays");
    };
    let silent = async {
        assert!(is_closed(&mut connect().await).await, "a silent connection stays");
    };
    let drip = async {
        let (mut reader, mut writer) = connect().await.into_split();
        let dripping = async {
            writer.write_all(b"GET /health_check HTTP/1.1\r\nhost: a\r\nx-slow: ").await.unwrap();
            while writer.write_all(b"a").await.is_ok() {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let mut bytes = [0; 1024];
        let ended = async { while matches!(reader.read(&mut bytes).await, Ok(read) if read > 0) {} };
        timeout(PATIENCE, async {
            tokio::select! { () = dripping => {}, () = ended => {} }
        })
        .await
        .expect("a slow head stays");
    };
    let body = async {
        let mut stream = connect().await;
        let head =
            b"POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
        stream.write_all(head).await.unwrap();
        let mut answer = vec![0; 2048];
        let read = timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("REQUEST_TIMEOUT"), "{answer}");
    };
    tokio::join!(idle, silent, drip, body);
    assert_eq!(service.get("/health_check").await.body, "ok");
}

#[tokio::test]
async fn readers_that_stop_reading_are_let_go() {
    let metrics = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = metrics.port().to_string();
    let variables: Vec<_> = PATIENT.into_iter().chain([("METRICS_PORT", port.as_str())]).collect();
    let service = Service::start(&variables).await;
    let script = "GET /graphiql/graphiql.min.js HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    // More than the buffers in between hold; none of it is read.
    stream.write_all(script.repeat(200).as_bytes()).await.unwrap();
    let counted = async {
        while !get(metrics, "/metrics")
            .await
            .unwrap()
            .body
            .contains("coworking_http_refused_total{reason=\"slow_reader\"} 1")
        {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, counted).await.expect("a reader that stopped is waited for");
}

#[tokio::test]
async fn connections_are_bounded_and_probes_still_get_through() {
    let service = Service::start(&[("MAX_CONNECTIONS", "4"), ("USAGE_LOG_INTERVAL", "off")]).await;
    // Those of the readiness probe are gone in a moment.
    let mut held = Vec::new();
    let refused = loop {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(TcpStream::connect(service.address).await.unwrap())).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("/api/openapi.json").header("host", "a").body(Body::empty()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        if response.status() != 200 {
            break response;
        }
        response.into_body().collect().await.unwrap();
        held.push(sender);
        assert!(held.len() <= 4, "nothing bounds connections");
    };
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    for path in ["/health_check", "/readiness_check"] {
        assert_eq!(service.get(path).await.body, "ok");
    }
    drop(held);
    let again = async {
        while query(service.address, HEATMAP).await.unwrap().status != 200 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, again).await.expect("places are never free again");
}

#[tokio::test]
async fn heads_are_bounded() {
    let service = Service::start(&[("USAGE_LOG_INTERVAL", "off")]).await;
    let long = "a".repeat(100_000);
    let with_header = Request::get("/health_check").header("x-long", &long).body(Body::empty()).unwrap();
    let with_path = Request::get(format!("/{}", &long[..60_000])).body(Body::empty()).unwrap();
    for (request, status) in [(with_header, 431), (with_path, 404)] {
        assert_eq!(send(service.address, request).await.unwrap().status.as_u16(), status);
    }
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let _ = stream.write_all(format!("GET /graphql?query={long} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await;
    let mut answer = vec![0; 1024];
    let read = timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap_or_default();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 414") || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let mut many = Request::get("/health_check");
    for n in 0..200 {
        many = many.header(format!("x-{n}"), "a");
    }
    assert_eq!(send(service.address, many.body(Body::empty()).unwrap()).await.unwrap().status, 431);
}

/// Asks on a connection of HTTP/2 for the heatmap.
async fn ask_http2(sender: &mut http2::SendRequest<Body>, address: SocketAddr) -> hyper::Result<(u16, Value)> {
    let request = Request::get(format!("http://{address}{}", heatmap())).body(Body::empty()).unwrap();
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let bytes = body.collect().await?.to_bytes();
    Ok((parts.status.as_u16(), serde_json::from_slice(&bytes).unwrap()))
}

#[tokio::test]
async fn http2_is_spoken_and_floods_of_resets_end_their_connection_alone() {
    let service = Service::start(&[("USAGE_LOG_INTERVAL", "off"), ("HEADER_TIMEOUT", "1s")]).await;
    let stream = TokioIo::new(TcpStream::connect(service.address).await.unwrap());
    let (mut sender, connection) = http2::handshake::<_, _, Body>(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let (status, answer) = ask_http2(&mut sender, service.address).await.unwrap();
    assert_eq!((status, answer.get("errors")), (200, None));
    // What is sent between requests is not the head of one.
    sleep(Duration::from_secs(3)).await;
    let many = join_all((0..200).map(|_| {
        let mut sender = sender.clone();
        async move { ask_http2(&mut sender, service.address).await.unwrap().0 }
    }));
    assert!(many.await.into_iter().all(|status| status == 200));

    // As a hostile client does it: HEADERS and RST_STREAM, again and again.
    let mut flood = TcpStream::connect(service.address).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    // GET, http, /, and authority "a", by the static table and one literal.
    let block = [0x82, 0x86, 0x84, 0x41, 0x01, b'a'];
    for stream in (1..40_000_u32).step_by(2) {
        bytes.extend([0, 0, 6, 0x1, 0x5]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(block);
        bytes.extend([0, 0, 4, 0x3, 0]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend([0, 0, 0, 8]);
    }
    let _ = flood.write_all(&bytes).await;
    assert!(is_closed(&mut flood).await, "a flood of resets is endured");
    assert_eq!(ask_http2(&mut sender, service.address).await.unwrap().0, 200, "others go on");
}

/// A certificate for `localhost` that vouches for itself, with its key, in two files.
fn certify(folder: &Path) {
    let files = [folder.join("tls.crt"), folder.join("tls.key")];
    let [certificate, key] = files.each_ref().map(|file| file.to_str().unwrap());
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate])
        .output()
        .expect("openssl is not installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// A connection that trusts the certificate in the file, and the protocol that was agreed upon.
async fn connect_tls(
    address: SocketAddr,
    certificate: &Path,
    protocols: &[&[u8]],
) -> std::io::Result<(impl AsyncRead + AsyncWrite + Unpin + Send + use<>, Option<Vec<u8>>)> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(default_provider().into());
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    Ok((stream, agreed))
}

#[tokio::test]
async fn tls_is_spoken_and_its_certificate_renewed() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let variables = [
        ("TLS_CERT_FILE", certificate.to_str().unwrap()),
        ("TLS_KEY_FILE", key.to_str().unwrap()),
        ("USAGE_LOG_INTERVAL", "off"),
        ("HEADER_TIMEOUT", "1s"),
    ];
    // Its probes are plain, as Kubernetes' are.
    let service = Service::start(&variables).await;
    let plain = query(service.address, HEATMAP).await.unwrap();
    assert_eq!(
        (plain.status.as_u16(), plain.json()["errors"][0]["extensions"]["code"].clone()),
        (400, json!("TLS_REQUIRED"))
    );
    // Whoever begins a handshake and goes no further is not waited for.
    let mut silent = TcpStream::connect(service.address).await.unwrap();
    silent.write_all(b"\x16\x03\x01").await.unwrap();
    assert!(is_closed(&mut silent).await);

    let (stream, agreed) = connect_tls(service.address, &certificate, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(agreed.as_deref(), Some(b"h2".as_slice()));
    let (mut sender, connection) =
        http2::handshake::<_, _, Body>(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(ask_http2(&mut sender, service.address).await.unwrap().0, 200);

    let (stream, agreed) = connect_tls(service.address, &certificate, &[b"http/1.1"]).await.unwrap();
    assert_eq!(agreed.as_deref(), Some(b"http/1.1".as_slice()));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(heatmap()).header("host", "localhost").body(Body::empty()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["strict-transport-security"]),
        (200, &"max-age=15552000".parse().unwrap())
    );

    let old = folder.path().join("old.crt");
    std::fs::copy(&certificate, &old).unwrap();
    certify(folder.path());
    let renewed = async {
        while connect_tls(service.address, &certificate, &[]).await.is_err() {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(PATIENCE, renewed).await.expect("the new certificate is never used");
    assert!(connect_tls(service.address, &old, &[]).await.is_err());
}

/// Asks for members over a WebSocket: what the server said, up to its close.
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

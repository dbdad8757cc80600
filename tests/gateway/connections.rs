//! Limits on connections, on the pace of clients, and on concurrent work.

use std::time::Duration;

use axum::{body::Body, http::Request};
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use crate::support::{
    Backend, TestDatabase, TestGateway,
    database::waiting,
    on_postgres,
    process::{Kept, PATIENCE, Service, get, is_closed, query, run, send},
    read,
    requests::{HEATMAP, ask_http2, of, post, until},
};

const QUIET: (&str, &str) = ("USAGE_LOG_INTERVAL", "off");

on_postgres!(
    what_is_beyond_is_refused_at_once_and_probes_are_not,
    one_address_leaves_slots_to_others,
    light_requests_get_through_beside_heavy_ones,
);

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
    let gateway = TestGateway::configured(&[("MAX_IN_FLIGHT_BYTES", "1048576"), ("CACHE_BYTES", "0")]).await;
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
    // Answers that have begun arrive complete, and reading them frees memory.
    for response in held {
        let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), length);
    }
    assert_eq!(asked().await.unwrap().status(), 200);
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
    // More than the buffers in between hold; the test reads none of it.
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
async fn the_service_and_its_metrics_listen_for_both_versions_of_ip() {
    let metrics = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let service = Service::start(&[("METRICS_PORT", &metrics.to_string()), QUIET]).await;
    let port = service.address.port();
    let answers = async |host: &str, port: u16, path: &str| {
        get(format!("{host}:{port}").parse().unwrap(), path).await.is_ok_and(|answer| answer.status == 200)
    };
    // Machines without IPv6 are served by IPv4.
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    for (host, expected) in [("127.0.0.1", true), ("[::1]", has_ipv6)] {
        assert_eq!(answers(host, port, "/health_check").await, expected, "{host}");
        assert_eq!(answers(host, metrics, "/metrics").await, expected, "{host}");
    }
    let (code, _, err) = run(&std::env::temp_dir(), &[("APP_PORT", &port.to_string())], &["health", "--ready"]);
    assert_eq!(code, 0, "{err}");
    let alone = Service::start(&[("APP_HOST", "0.0.0.0"), QUIET]).await;
    assert!(!answers("[::1]", alone.address.port(), "/health_check").await);
}

/// The head of a request whose body does not come: its connection is busy for `BODY_TIMEOUT`.
const BUSY: &str = "POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\
     expect: 100-continue\r\n\r\n";
/// What the routes answer that are not for probes.
const DESCRIPTION: &str = "/api/openapi.json";
/// One address may have all there is.
const ALONE: (&str, &str) = ("MAX_ADDRESS_PERCENT", "100");

/// A connection that waits for an answer, unless it is refused.
async fn busy(service: &Service, from: &str) -> Option<Kept> {
    let mut kept = connect_from(service, from).await;
    kept.stream.write_all(BUSY.as_bytes()).await.unwrap();
    // Before `100 Continue`, the connection is idle, and might make room.
    let mut answer = [0; 64];
    let read = timeout(PATIENCE, kept.stream.read(&mut answer)).await.unwrap().unwrap_or_default();
    answer[..read].starts_with(b"HTTP/1.1 100").then_some(kept)
}

/// Connections that wait for an answer. Connections that have just ended may still have a place.
async fn occupied(service: &Service, from: &str, count: usize) -> Vec<Kept> {
    let mut held = Vec::new();
    while held.len() < count {
        held.extend(busy(service, from).await);
    }
    held
}

/// A connection from this address of this machine.
async fn connect_from(service: &Service, from: &str) -> Kept {
    let socket = TcpSocket::new_v4().unwrap();
    // Otherwise no service could listen on the port of this end.
    socket.set_reuseaddr(true).unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    Kept { stream: socket.connect(service.address).await.unwrap() }
}

#[tokio::test]
async fn connections_are_bounded_and_probes_still_get_through() {
    let service = Service::start(&[("MAX_CONNECTIONS", "4"), ALONE, QUIET]).await;
    let held = occupied(&service, "127.0.0.1", 4).await;
    let refused = service.get(DESCRIPTION).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    for path in ["/health_check", "/readiness_check"] {
        assert_eq!(service.get(path).await.body, "ok");
    }
    drop(held);
    // A connection that is for probes only may be closed before a slow request arrives on it.
    until(async || query(service.address, HEATMAP).await.is_ok_and(|answer| answer.status == 200)).await;
}

#[tokio::test]
async fn one_address_leaves_places_to_others() {
    let service = Service::start(&[("MAX_CONNECTIONS", "8"), QUIET]).await;
    // A quarter, and as many as it likes beyond.
    let _held = join_all((0..40).map(|_| busy(&service, "127.0.0.2"))).await;
    until(async || connect_from(&service, "127.0.0.2").await.get(DESCRIPTION).await.is_ok_and(|a| a.status == 503))
        .await;
    let mut other = connect_from(&service, "127.0.0.3").await;
    assert_eq!(other.get(DESCRIPTION).await.unwrap().status, 200);
    assert_eq!(other.get("/health_check").await.unwrap().body, "ok");
    // Proxies are not clients: with them, the limit is on what `X-Forwarded-For` says.
    let behind = Service::start(&[("MAX_CONNECTIONS", "8"), ("TRUSTED_PROXY_HOPS", "1"), QUIET]).await;
    let _held = occupied(&behind, "127.0.0.2", 6).await;
    assert_eq!(connect_from(&behind, "127.0.0.2").await.get(DESCRIPTION).await.unwrap().status, 200);
}

#[tokio::test]
async fn the_connection_that_was_idle_longest_makes_room() {
    let service = Service::start(&[("MAX_CONNECTIONS", "4"), ALONE, QUIET]).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut kept = connect_from(&service, "127.0.0.1").await;
        assert_eq!(kept.get(DESCRIPTION).await.unwrap().status, 200);
        held.push(kept);
        sleep(Duration::from_millis(20)).await;
    }
    let _busy = occupied(&service, "127.0.0.1", 1).await;
    // Silent from the beginning.
    sleep(Duration::from_millis(1_500)).await;
    let mut new = connect_from(&service, "127.0.0.4").await;
    assert_eq!(new.get(DESCRIPTION).await.unwrap().status, 200);
    assert!(is_closed(&mut held[0].stream).await);
    for kept in &mut held[1..] {
        assert_eq!(kept.get(DESCRIPTION).await.unwrap().status, 200);
    }
}

/// As many silent connections as files, and more, while files are few: a container's 1,024, but quicker.
#[tokio::test]
async fn silent_connections_take_no_files_from_others() {
    for variables in [vec![QUIET], vec![QUIET, ALONE]] {
        let service = Service::start_with_files(100, 200, &variables).await;
        let log = service.log();
        assert!(log.contains(r#""from":"100","to":"200""#), "{log}");
        assert!(log.contains("raise it (ulimit -n)") && log.contains("\"open_files\":200"), "{log}");
        let _silent: Vec<_> = join_all((0..240).map(|_| connect_from(&service, "127.0.0.2"))).await;
        for path in ["/health_check", "/readiness_check"] {
            assert_eq!(service.get(path).await.body, "ok");
        }
        sleep(Duration::from_millis(1_500)).await;
        assert_eq!(service.get(DESCRIPTION).await.status, 200);
        assert!(!service.log().contains("no connection can be accepted"), "{}", service.log());
    }
    let enough = Service::start_with_files(1_000, 4_200, &[QUIET]).await;
    assert!(!enough.log().contains("ulimit"), "{}", enough.log());
}

#[tokio::test]
async fn one_address_leaves_live_connections_to_others() {
    let gateway = TestGateway::configured(&[("MAX_LIVE_CONNECTIONS", "8"), ("TRUSTED_PROXY_HOPS", "1")]).await;
    let follow = async |address: &str| {
        let request = post("subscription { heatmap { visits } }", &[("accept", "text/event-stream")]);
        tower::ServiceExt::oneshot(gateway.router.clone(), of(address, request)).await.unwrap()
    };
    let held = [follow("203.0.113.1").await, follow("203.0.113.1").await];
    assert!(held.iter().all(|stream| stream.status() == 200));
    let refused = follow("203.0.113.1").await;
    assert_eq!(refused.status(), 429);
    let refused = read(refused).await;
    let expected = json!({ "code": "LIMIT_EXCEEDED", "limit": "connectionsPerAddress", "maximum": 2 });
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.json()["errors"][0]["extensions"], expected);
    assert_eq!(follow("203.0.113.2").await.status(), 200);
    drop(held);
    assert_eq!(follow("203.0.113.1").await.status(), 200);
}

async fn one_address_leaves_slots_to_others() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let variables = [("MAX_REQUESTS", "8"), ("DB_MAX_CONNECTIONS", "8"), ("TRUSTED_PROXY_HOPS", "1")];
    let gateway = TestGateway::on(database, &variables).await;
    let lock = gateway.database.owner.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let members = |n: usize| post(&format!("{{ members(first: {n}) {{ totalCount }} }}"), &[]);
    let ask = async |n| gateway.send(of("203.0.113.1", members(n))).await.status.as_u16();
    let beside = async {
        while waiting(&lock).await < 2 {
            sleep(Duration::from_millis(20)).await;
        }
        let refused = timeout(PATIENCE, gateway.send(of("203.0.113.1", members(3)))).await.expect("it waits as well");
        let expected = json!({ "code": "LIMIT_EXCEEDED", "limit": "requestsPerAddress", "maximum": 2 });
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "1"));
        assert_eq!(refused.json()["errors"][0]["extensions"], expected);
        let rest = Request::get("/api/reports/heatmap").body(Body::empty()).unwrap();
        assert_eq!(gateway.send(of("203.0.113.1", rest)).await.status, 429);
        assert_eq!(gateway.send(of("203.0.113.2", post(HEATMAP, &[]))).await.status, 200);
        lock.commit().await.unwrap();
    };
    assert_eq!(tokio::join!(ask(1), ask(2), beside), (200, 200, ()));
    assert_eq!(ask(3).await, 200);
}

/// Twice as many lists as may wait, all of which the database keeps waiting.
async fn light_requests_get_through_beside_heavy_ones() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let variables = [("DB_MAX_CONNECTIONS", "4"), ("DB_ACQUIRE_TIMEOUT", "2s"), ("CACHE_BYTES", "0")];
    let gateway = TestGateway::on(database, &variables).await;
    let lock = gateway.database.owner.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let lists = join_all((0..40).map(|n| {
        let fields = "userId segment visits tokensIssued joinedAt";
        let document = format!("{{ members(first: 1000) {{ nodes {{ n{n}: userId {fields} }} }} }}");
        let gateway = &gateway;
        async move {
            let answer = gateway.post(&document, json!({})).await;
            let code = answer.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or("OK").to_owned();
            (answer.status.as_u16(), code)
        }
    }));
    let beside = async {
        while waiting(&lock).await < 2 {
            sleep(Duration::from_millis(20)).await;
        }
        // Two of four connections are held, and no other list gets one.
        for _ in 0..20 {
            assert_eq!(gateway.post(HEATMAP, json!({})).await.status, 200);
            assert_eq!(gateway.get("/api/reports/heatmap").await.status, 200);
        }
        assert_eq!(waiting(&lock).await, 2);
        // Longer than a list waits for its connection.
        sleep(Duration::from_secs(3)).await;
        lock.commit().await.unwrap();
    };
    let (answers, ()) = tokio::join!(lists, beside);
    let counted = |status, code: &str| answers.iter().filter(|answer| **answer == (status, code.to_owned())).count();
    assert_eq!((counted(200, "OK"), counted(503, "DATABASE_BUSY")), (2, 38), "{answers:?}");
    assert_eq!(gateway.get("/api/reports/members").await.status, 200);
}

#[tokio::test]
async fn heads_are_bounded() {
    let service = Service::start(&[QUIET]).await;
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

#[tokio::test]
async fn http2_is_spoken_and_floods_of_resets_end_their_connection_alone() {
    let service = Service::start(&[QUIET, ("HEADER_TIMEOUT", "1s")]).await;
    let stream = TokioIo::new(TcpStream::connect(service.address).await.unwrap());
    let (mut sender, connection) = http2::handshake::<_, _, Body>(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let (status, answer) = ask_http2(&mut sender, service.address).await.unwrap();
    assert_eq!((status, answer.get("errors")), (200, None));
    // Data between requests, such as HTTP/2 control frames, does not count as the start of a request.
    sleep(Duration::from_secs(3)).await;
    let many = join_all((0..200).map(|_| {
        let mut sender = sender.clone();
        async move { ask_http2(&mut sender, service.address).await.unwrap().0 }
    }));
    assert!(many.await.into_iter().all(|status| status == 200));

    // The attack "rapid reset": HEADERS and RST_STREAM, again and again.
    let mut flood = TcpStream::connect(service.address).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    // GET, http, / and the authority "a", encoded with the static table and one literal.
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

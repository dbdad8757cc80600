//! Limits on connections, on the pace of clients, and on concurrent work.

use std::time::Duration;

use axum::{body::Body, http::Request};
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::support::{
    Backend, TestDatabase, TestGateway,
    database::waiting,
    on_postgres,
    process::{PATIENCE, Service, get, is_closed, query, send},
    requests::{HEATMAP, ask_http2},
};

on_postgres!(what_is_beyond_is_refused_at_once_and_probes_are_not);

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
async fn connections_are_bounded_and_probes_still_get_through() {
    let service = Service::start(&[("MAX_CONNECTIONS", "4"), ("USAGE_LOG_INTERVAL", "off")]).await;
    // The connections of the readiness probe close within a moment.
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

#[tokio::test]
async fn http2_is_spoken_and_floods_of_resets_end_their_connection_alone() {
    let service = Service::start(&[("USAGE_LOG_INTERVAL", "off"), ("HEADER_TIMEOUT", "1s")]).await;
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

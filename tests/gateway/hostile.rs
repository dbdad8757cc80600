//! Hostile requests to the real binary. Each is refused with a code, takes little processor time and memory, and does
//! not disturb other queries.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::body::{Body, Bytes};
use futures_util::stream;
use hyper::Request;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    process::{PATIENCE, Service, query, send},
    repeated,
};

/// How much the memory of the process may grow over all requests, in KiB.
const GROWTH: u64 = 32 * 1024;
/// The processor time that one request may take, in milliseconds. Wall-clock time would depend on other load of the
/// machine. Unoptimized code takes up to 610 ms for the most expensive request, including the honest queries beside it.
const BUSY: u64 = if cfg!(debug_assertions) { 1_200 } else { 100 };

const HONEST: &str = "{ dailyUsage(first: 3) { date visits } }";

#[tokio::test]
#[expect(clippy::print_stdout, reason = "what was measured, for who runs this with --nocapture")]
async fn what_strangers_send_hurts_nobody() {
    let variables = [("USAGE_LOG_INTERVAL", "off"), ("LOG_FORMAT", "json"), ("LOG_LEVEL", "warn")];
    let service = Service::spawn(&variables);
    service.wait_for("/readiness_check", 200).await;
    let expected = query(service.address, HONEST).await.unwrap().body;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let honest = tokio::spawn(ask_until(service.address, expected, Arc::clone(&stop), Arc::clone(&answered)));
    settled(&answered).await;

    let before = service.resident_kib();
    for (name, code, request) in requests() {
        let busy = service.processor_ms();
        let answer = send(service.address, request).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let busy = service.processor_ms() - busy;
        println!("{name}: {busy} ms, {} KiB", service.resident_kib());
        assert!(answer.body.len() < 100_000, "{name}: {} bytes", answer.body.len());
        assert_eq!(answer.json()["errors"][0]["extensions"]["code"], code, "{name}: {}", answer.body);
        assert!(busy <= BUSY, "{name}: the processor was busy for {busy} ms");
        settled(&answered).await;
    }
    no_http(service.address).await;
    let peak = service.peak_kib();
    assert!(peak < before + GROWTH, "from {before} KiB to {peak} KiB");
    stop.store(true, Ordering::Relaxed);
    honest.await.unwrap();
}

type Case = (&'static str, &'static str, Request<Body>);

const LIMIT: &str = "LIMIT_EXCEEDED";

/// The requests, each with its name and the code that it is refused with.
fn requests() -> Vec<Case> {
    let documents = documents().into_iter().map(|(name, code, document)| {
        // Of several operations, the first one is requested.
        let operation = document.starts_with("query Q0").then_some("Q0");
        (name, code, post(json!({ "query": document, "operationName": operation }).to_string()))
    });
    documents.chain(bodies()).collect()
}

fn documents() -> Vec<(&'static str, &'static str, String)> {
    const PARSE: &str = "GRAPHQL_PARSE_FAILED";
    const INVALID: &str = "GRAPHQL_VALIDATION_FAILED";
    let fragments = |count: usize, uses: usize| {
        let uses = |i: usize| format!("...F{} ", i + 1).repeat(uses);
        let fragments = repeated(count, |i| format!("fragment F{i} on Query {{ {}}} ", uses(i)));
        format!("{{ ...F0 }} {fragments} fragment F{count} on Query {{ __typename }}")
    };
    vec![
        ("2^24 expansions", LIMIT, fragments(24, 2)),
        ("10^12 expansions", LIMIT, fragments(12, 10)),
        (
            "fragments in a circle",
            INVALID,
            "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }".to_owned(),
        ),
        ("a fragment that uses itself", INVALID, "{ ...A } fragment A on Query { ...A ...A }".to_owned()),
        ("a chain of 700 fragments", LIMIT, fragments(700, 1)),
        ("10,000 aliases", LIMIT, format!("{{ {} }}", repeated(10_000, |i| format!("a{i}: __typename ")))),
        ("1,500 aliases", LIMIT, format!("{{ {} }}", repeated(1_500, |i| format!("a{i}: __typename ")))),
        ("nesting of 100,000", LIMIT, format!("{}{}", "{a".repeat(100_000), "}".repeat(100_000))),
        ("nesting of 60 fields", LIMIT, format!("{}{}", "{a".repeat(60), "}".repeat(60))),
        ("a list nested 10,000 deep", LIMIT, format!("{{ a(b: {}{}) }}", "[".repeat(10_000), "]".repeat(10_000))),
        ("1 MB of unknown fields", LIMIT, format!("{{ {} }}", repeated(90_000, |i| format!("f{i:08} ")))),
        (
            "4,500 unknown fields",
            INVALID,
            format!("{{ userVisits {{ {} }} }}", repeated(4_500, |i| format!("f{i:04} "))),
        ),
        ("an unknown name of 100 kB", INVALID, format!("{{ {} }}", "x".repeat(100_000))),
        (
            "1,000 unknown fields of 100 bytes",
            INVALID,
            format!("{{ userVisits {{ {} }} }}", repeated(1_000, |i| format!("{}{i:04} ", "x".repeat(95)))),
        ),
        ("an unknown argument of 100 kB", INVALID, format!("{{ dailyUsage({}: 1) {{ date }} }}", "x".repeat(100_000))),
        ("5 MB of {", LIMIT, "{".repeat(5 << 20)),
        ("400 kB of {", LIMIT, "{".repeat(400 << 10)),
        ("130 kB of quotes", LIMIT, "\"".repeat(130_000)),
        ("130 kB of comments", PARSE, "#\n".repeat(65_000)),
        (
            "a million list items",
            LIMIT,
            format!("{{ userVisits(filter: {{ userIds: [{}] }}) {{ totalCount }} }}", "1 ".repeat(1_000_000)),
        ),
        (
            "4,500 list items",
            "BAD_USER_INPUT",
            format!("{{ userVisits(filter: {{ userIds: [{}] }}) {{ totalCount }} }}", "1 ".repeat(4_500)),
        ),
        ("1,000 directives", LIMIT, format!("{{ __typename {} }}", "@include(if: true) ".repeat(1_000))),
        ("900 operations", INVALID, repeated(900, |i| format!("query Q{i} {{ a }} "))),
        (
            "1,200 variables",
            INVALID,
            format!("query({}) {{ __typename }}", repeated(1_200, |i| format!("$v{i}: Int "))),
        ),
        (
            "1,600 arguments",
            INVALID,
            format!("{{ dailyUsage({}) {{ date }} }}", repeated(1_600, |i| format!("a{i}: 1 "))),
        ),
        (
            "the same field 800 times",
            INVALID,
            format!("{{ userVisits {{ {} }} }}", repeated(800, |i| format!("nodes(a: {i}) "))),
        ),
        ("the largest cost", LIMIT, "{ userVisits(first: 2147483647) { nodes { userId user { id } } } }".to_owned()),
    ]
}

fn bodies() -> Vec<Case> {
    let typename = || json!({ "query": "{ __typename }" }).to_string();
    let variables = |value: &str| {
        format!(
            r#"{{"query":"query($a: [Int!]) {{ userVisits(filter: {{ userIds: $a }}) {{ totalCount }} }}","variables":{{"a":{value}}}}}"#
        )
    };
    let megabyte = Bytes::from(vec![b' '; 1 << 20]);
    let hundred = || {
        stream::iter((0..100).map({
            let megabyte = megabyte.clone();
            move |_| Ok::<_, std::io::Error>(megabyte.clone())
        }))
    };
    vec![
        ("a batch of 20,000", "BAD_REQUEST", post(format!("[{}]", vec![typename(); 20_000].join(",")))),
        (
            "JSON nested 100,000 deep",
            "BAD_REQUEST",
            post(variables(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)))),
        ),
        ("JSON objects nested 50,000 deep", "BAD_REQUEST", post(variables(&"{\"a\":".repeat(50_000)))),
        ("a million values", LIMIT, post(variables(&format!("[{}1]", "1,".repeat(1_000_000))))),
        ("half a million values", LIMIT, post(variables(&format!("[{}1]", "1,".repeat(500_000))))),
        (
            "100,000 names",
            LIMIT,
            post(variables(&format!("{{{}\"z\":1}}", repeated(90_000, |i| format!("\"{i:05}\":1,"))))),
        ),
        ("a text of 1 MB", "BAD_USER_INPUT", post(variables(&format!("\"{}\"", "x".repeat(1_000_000))))),
        ("invalid UTF-8", "BAD_REQUEST", post(b"{\"query\":\"\xc3\x28\"}".to_vec())),
        ("a megabyte of invalid UTF-8", "BAD_REQUEST", post(vec![0xff_u8; 1 << 20])),
        ("a body of 100 MB", LIMIT, post_with(&[("content-length", "104857600")], Body::from_stream(hundred()))),
        ("100 MB in chunks, without a length", LIMIT, post(Body::from_stream(hundred()))),
    ]
}

fn post(body: impl Into<Body>) -> Request<Body> {
    post_with(&[], body)
}

fn post_with(headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let request = Request::post("/graphql").header("content-type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(body.into()).unwrap()
}

/// Checks that data that is not HTTP closes the connection, with or without an answer.
async fn no_http(address: SocketAddr) {
    for bytes in [
        vec![0_u8; 100_000],
        b"GET /graphql\r\n\r\n".to_vec(),
        b"POST / HTTP/9\r\n\r\n".to_vec(),
        [b"GET /".as_slice(), &vec![b'a'; 1 << 20]].concat(),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The other side may close before everything is written.
        let _ = stream.write_all(&bytes).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it is closed");
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    }
}

/// Sends the honest query repeatedly; panics when an answer is not the expected one.
async fn ask_until(address: SocketAddr, expected: String, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        assert_eq!(query(address, HONEST).await.unwrap().body, expected);
        answered.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Waits for two more answers to honest queries, so that at least one of these queries began after the call.
async fn settled(answered: &AtomicUsize) {
    let before = answered.load(Ordering::Relaxed);
    tokio::time::timeout(PATIENCE, async {
        while answered.load(Ordering::Relaxed) < before + 2 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("honest queries are answered");
}

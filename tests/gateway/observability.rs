//! Metrics, traces and log lines.

use std::{
    collections::BTreeSet,
    io::Write as _,
    net::{SocketAddr, TcpListener},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, extract::State, http::Request, routing::post};
use chrono::{DateTime, TimeDelta, Utc};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value as AnyValue},
    trace::v1::Span,
};
use prost::Message as _;
use serde_json::{Value, json};

use crate::support::{
    Answer, Backend, TestDatabase, on_postgres,
    process::{PATIENCE, Service, get, send},
};

on_postgres!(a_request_is_traced_down_to_its_statement_without_values,);

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// The metrics, once they have this series; it appears after the first run of a job.
async fn measured(port: SocketAddr, series: &str) -> Answer {
    let started = Instant::now();
    loop {
        let answer = get(port, "/metrics").await.unwrap();
        if answer.body.contains(series) {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "no {series}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn metrics_are_well_formed_and_bounded() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let service = Service::start(&[("METRICS_PORT", &port.port().to_string())]).await;
    let ask = async |times: usize| {
        for i in 0..times {
            // Arbitrary paths, methods and operation names, as strangers can send.
            let _ = service.get(&format!("/nothing/{i}")).await;
            let method = format!("M{i}");
            let strange =
                Request::builder().method(method.as_str()).uri("/graphql").body(String::new().into()).unwrap();
            assert_eq!(send(service.address, strange).await.unwrap().status, 405);
            let document = format!("query Operation{i} {{ dailyUsage(first: 1) {{ alias{i}: date }} }}");
            assert_eq!(service.query(&document).await.unwrap().status, 200);
            assert_eq!(
                service.query(&format!("{{ dailyUsage(first: -{}) {{ date }} }}", i + 1)).await.unwrap().status,
                200
            );
        }
    };
    // Twice, so that the second answer comes from the cache.
    ask(1).await;
    ask(1).await;
    let first = measured(port, "coworking_job_runs_total{task=\"usage_log\"").await;
    assert_eq!(first.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    ask(30).await;
    let second = get(port, "/metrics").await.unwrap();
    assert_eq!(series(&first.body), series(&second.body), "strangers must not add series");
    for expected in [
        "coworking_http_requests_total{route=\"/graphql\",method=\"POST\",status=\"200\"} 64",
        "coworking_http_requests_total{route=\"/graphql\",method=\"other\",status=\"405\"} 32",
        "coworking_http_requests_total{route=\"none\",method=\"GET\",status=\"404\"} 32",
        "coworking_graphql_requests_total{kind=\"query\",code=\"OK\"} 32",
        "coworking_graphql_requests_total{kind=\"query\",code=\"BAD_USER_INPUT\"} 32",
        "coworking_http_requests_in_flight 0",
        "coworking_ready 1",
        "coworking_db_pool_max_connections 10",
        "coworking_db_pool_waiting 0",
        "coworking_job_runs_total{task=\"usage_log\",outcome=\"ok\"} 1",
        "coworking_build_info{version=\"",
        "coworking_visits_today ",
        "coworking_tokens_issued_today ",
        "process_resident_memory_bytes ",
        "process_cpu_seconds_total ",
        "coworking_report_duration_seconds_bucket{report=\"daily_usage\",le=\"0.001\"}",
    ] {
        assert!(second.body.contains(expected), "no {expected} in\n{}", second.body);
    }
    assert_eq!(service.get("/metrics").await.status, 404, "not on the service's own port");
}

/// The names and labels of all series, without their values.
fn series(text: &str) -> BTreeSet<&str> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect()
}

/// Checks the metrics with Prometheus' `promtool`.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test run's own setting")]
async fn promtool_accepts_the_metrics() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let service = Service::start(&[("METRICS_PORT", &port.port().to_string())]).await;
    service.wait_for_log("daily usage").await;
    for query in ["{ dailyUsage { date } }", "{ dailyUsage { date } }", "{ dailyUsage(first: -1) { date } }"] {
        service.query(query).await.unwrap();
    }
    service.get("/nothing").await;
    let metrics = get(port, "/metrics").await.unwrap().body;
    let program = std::env::var("PROMTOOL").expect("PROMTOOL is not set; run the tests with `make test`");
    let mut promtool = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing; run the tests with `make test`");
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A line of plain numbers, equal to those of the report, however long the history is.
#[tokio::test]
async fn the_heartbeat_is_a_few_numbers() {
    let service = Service::start(&[("LOG_FORMAT", "json"), ("USAGE_LOG_INTERVAL", "1s")]).await;
    let days = service.get("/api/reports/daily_usage?format=ndjson").await.body;
    let days: Vec<Value> = days.trim_end().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(days.len() > 80, "{days:?}");
    service.wait_for_log("\"daily usage\"").await;
    let log = service.log();
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let beat = lines.find(|line| line["message"] == "daily usage").unwrap_or_else(|| panic!("{log}"));
    let fields: BTreeSet<_> = beat.as_object().unwrap().keys().map(String::as_str).collect();
    let numbers = ["visits_today", "issued_today", "visits_yesterday", "issued_yesterday", "visits_total"];
    assert_eq!(fields, ["timestamp", "level", "message", "target"].into_iter().chain(numbers).collect());
    let today: DateTime<Utc> = beat["timestamp"].as_str().unwrap().parse().unwrap();
    let yesterday = today - TimeDelta::days(1);
    let of = |day: DateTime<Utc>, field: &str| {
        let date = day.date_naive().to_string();
        days.iter().find(|day| day["date"] == date.as_str()).map_or(0, |day| day[field].as_i64().unwrap())
    };
    let total: i64 = days.iter().map(|day| day["visits"].as_i64().unwrap()).sum();
    let expected = [
        of(today, "visits"),
        of(today, "tokens_issued"),
        of(yesterday, "visits"),
        of(yesterday, "tokens_issued"),
        total,
    ];
    assert_eq!(numbers.map(|name| beat[name].as_i64().unwrap()), expected);
    assert!(total > 0, "{days:?}");
}

#[tokio::test]
async fn a_chosen_metrics_port_that_is_taken_is_told() {
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let mut service = Service::spawn(&[("METRICS_PORT", &taken.local_addr().unwrap().port().to_string())]);
    assert_eq!(service.ended().await.code(), Some(1));
    assert!(service.log().contains("METRICS_PORT"), "{}", service.log());
}

async fn a_request_is_traced_down_to_its_statement_without_values() {
    let (endpoint, received) = collector().await;
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let mut service = Service::start(&[
        ("DATABASE_URL", &database.url),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_SERVICE_NAME", "tested"),
        ("USAGE_LOG_INTERVAL", "off"),
        ("LOG_FORMAT", "json"),
    ])
    .await;
    let document = "query Traced($from: Date!) { dailyUsage(filter: { from: $from }) { date visits } }";
    let body = json!({ "query": document, "variables": { "from": "2024-04-01" } }).to_string();
    let request = Request::post("/graphql")
        .header("content-type", "application/json")
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .body(body.into())
        .unwrap();
    let answer = send(service.address, request).await.unwrap();
    assert!(answer.header("traceresponse").starts_with(&format!("00-{TRACE}-")), "{:?}", answer.headers);
    service.signal("INT");
    assert_eq!(service.ended().await.code(), Some(0));

    let spans: Vec<_> = received.lock().unwrap().drain(..).collect();
    let named =
        |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {spans:?}"));
    let chain = ["POST /graphql", "operation", "daily_usage", "statement"].map(named);
    assert_eq!(hex(&chain[0].parent_span_id), PARENT);
    for pair in chain.windows(2) {
        assert_eq!(hex(&pair[1].parent_span_id), hex(&pair[0].span_id), "{} in {}", pair[1].name, pair[0].name);
    }
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "probes are not traced: {spans:?}");
    assert_eq!(attribute(chain[0], "http.route"), "/graphql");
    assert_eq!(attribute(chain[1], "graphql.operation.name"), "Traced");
    let statement = attribute(chain[3], "db.query.text");
    assert!(statement.contains("$1") && !statement.contains("2024"), "{statement}");

    let log = service.log();
    let line = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["operation"] == "Traced");
    assert_eq!(line.unwrap_or_else(|| panic!("{log}"))["spans"][0]["trace_id"], TRACE);
}

#[tokio::test]
async fn without_a_collector_there_nothing_is_lost_but_traces() {
    let service = Service::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")]).await;
    for _ in 0..50 {
        assert_eq!(service.query("{ dailyUsage { date } }").await.unwrap().status, 200);
    }
}

/// A test collector: its address, and the spans that it received.
async fn collector() -> (String, Arc<Mutex<Vec<Span>>>) {
    let received = Arc::default();
    let take = async |State(received): State<Arc<Mutex<Vec<Span>>>>, body: Bytes| {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        for resource in request.resource_spans {
            assert!(format!("{:?}", resource.resource).contains("tested"));
            received.lock().unwrap().extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        Vec::new()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&received));
    tokio::spawn(async move { tokio::time::timeout(PATIENCE, axum::serve(listener, router)).await });
    (endpoint, received)
}

fn attribute(span: &Span, key: &str) -> String {
    let find = |attribute: &&KeyValue| attribute.key == key;
    let value = span.attributes.iter().find(find).and_then(|attribute| attribute.value.clone()?.value);
    match value {
        Some(AnyValue::StringValue(text)) => text,
        other => panic!("{key} is {other:?} in {span:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

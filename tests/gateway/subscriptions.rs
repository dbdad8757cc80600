//! Subscriptions: as fresh as queries, and computed once for all followers. The WebSocket protocol is tested by
//! tests/clients/subscriptions.test.mjs.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, http::Request};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Barrier,
    time::timeout,
};
use tower::ServiceExt as _;

use crate::support::{
    Answer, Backend, TestDatabase, TestGateway, on_both_databases,
    process::{Kept, PATIENCE, Service, get},
    read,
};

on_both_databases!(
    the_current_answer_comes_at_once_then_each_that_differs,
    what_does_not_change_the_answer_is_not_told,
    whoever_is_slow_is_told_the_latest,
    the_first_answer_is_no_older_than_the_question,
    newcomers_bring_news,
    failures_are_told_and_pass,
    days_end,
);

const COUNT: &str =
    "subscription { dailyUsage(filter: { from: \"2030-01-01\", to: \"2030-01-01\" }, gaps: ZERO) { tokensIssued } }";
const ONE_MORE: &str = "INSERT INTO tokens (user_id, token, created_at) VALUES (1, '------', '2030-01-01 12:00:00')";
const ONE_ELSEWHERE: &str =
    "INSERT INTO tokens (user_id, token, created_at) VALUES (1, '------', '2030-01-02 12:00:00')";
/// Fast enough for a test, and often enough to find answers that are sent twice.
const OFTEN: (&str, &str) = ("SUBSCRIPTION_INTERVAL", "20ms");
const NEVER: (&str, &str) = ("SUBSCRIPTION_INTERVAL", "1d");

async fn gateway(backend: Backend, variables: &[(&str, &str)]) -> TestGateway {
    TestGateway::on(TestDatabase::recorded(backend).await, variables).await
}

/// A stream of events that is being read.
struct Events {
    body: Body,
    text: String,
}

impl Events {
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event = &self.text[..end];
                let data = event.strip_prefix("event: next\ndata: ").map(|data| serde_json::from_str(data).unwrap());
                self.text.drain(..=end + 1);
                return data;
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("nothing is told")?;
            self.text.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
        }
    }

    async fn issued(&mut self) -> i64 {
        let answer = self.next().await.unwrap();
        answer["data"]["dailyUsage"][0]["tokensIssued"].as_i64().unwrap_or_else(|| panic!("{answer}"))
    }
}

fn request(document: &str) -> Request<Body> {
    let query = serde_urlencoded::to_string([("query", document)]).unwrap();
    let request = Request::get(format!("/graphql?{query}")).header("accept", "text/event-stream");
    request.body(Body::empty()).unwrap()
}

async fn follow(gateway: &TestGateway, document: &str) -> Events {
    let response = gateway.router.clone().oneshot(request(document)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    Events { body: response.into_body(), text: String::new() }
}

async fn refused(gateway: &TestGateway, document: &str) -> Answer {
    read(gateway.router.clone().oneshot(request(document)).await.unwrap()).await
}

async fn the_current_answer_comes_at_once_then_each_that_differs(backend: Backend) {
    let gateway = gateway(backend, &[OFTEN]).await;
    let mut events = follow(&gateway, COUNT).await;
    for expected in 0..20 {
        assert_eq!(events.issued().await, expected);
        gateway.database.execute(ONE_MORE).await;
    }
}

async fn what_does_not_change_the_answer_is_not_told(backend: Backend) {
    let gateway = gateway(backend, &[OFTEN]).await;
    let (mut events, mut elsewhere) =
        (follow(&gateway, COUNT).await, follow(&gateway, &COUNT.replace("2030-01-01", "2030-01-02")).await);
    assert_eq!((events.issued().await, elsewhere.issued().await), (0, 0));
    for more in 1..=5 {
        gateway.database.execute(ONE_ELSEWHERE).await;
        assert_eq!(elsewhere.issued().await, more, "the change was seen");
    }
    gateway.database.execute(ONE_MORE).await;
    assert_eq!(events.issued().await, 1, "the first that differs is the next that is told");
}

async fn whoever_is_slow_is_told_the_latest(backend: Backend) {
    let gateway = gateway(backend, &[OFTEN]).await;
    let (mut slow, mut quick) = (follow(&gateway, COUNT).await, follow(&gateway, COUNT).await);
    assert_eq!((slow.issued().await, quick.issued().await), (0, 0));
    for more in 1..=10 {
        gateway.database.execute(ONE_MORE).await;
        assert_eq!(quick.issued().await, more);
    }
    assert_eq!(slow.issued().await, 10, "there is no queue");
}

async fn the_first_answer_is_no_older_than_the_question(backend: Backend) {
    let gateway = gateway(backend, &[NEVER]).await;
    let mut first = follow(&gateway, COUNT).await;
    assert_eq!(first.issued().await, 0);
    for more in 1..=20 {
        gateway.database.execute(ONE_MORE).await;
        assert_eq!(follow(&gateway, COUNT).await.issued().await, more, "asked after it was committed");
    }
    let told = timeout(Duration::from_millis(200), first.next()).await;
    assert!(told.is_err(), "nobody is told more often because others come");
}

/// A new subscriber makes the answer be computed again. Earlier subscribers get it too, and never an older one.
async fn newcomers_bring_news(backend: Backend) {
    let gateway = gateway(backend, &[OFTEN]).await;
    let mut first = follow(&gateway, COUNT).await;
    assert_eq!(first.issued().await, 0);
    for more in 1..=20 {
        gateway.database.execute(ONE_MORE).await;
        assert_eq!(follow(&gateway, COUNT).await.issued().await, more);
        assert_eq!(first.issued().await, more, "what one is told is told to all");
    }
}

async fn failures_are_told_and_pass(backend: Backend) {
    let gateway = gateway(backend, &[OFTEN]).await;
    let mut events = follow(&gateway, COUNT).await;
    assert_eq!(events.issued().await, 0);
    gateway.database.execute("ALTER TABLE tokens RENAME TO tokens_elsewhere").await;
    let failed = events.next().await.unwrap();
    assert_eq!(failed["data"]["dailyUsage"], Value::Null);
    assert_eq!(failed["errors"][0]["extensions"]["code"], "INTERNAL_SERVER_ERROR");
    gateway.database.execute("ALTER TABLE tokens_elsewhere RENAME TO tokens").await;
    assert_eq!(events.issued().await, 0);
}

/// The answer changes although nothing is written.
async fn days_end(backend: Backend) {
    let gateway = gateway(backend, &[OFTEN]).await;
    let today = "subscription { dailyUsage(orderBy: { direction: DESC }, first: 1) { date isPartial } }";
    let mut events = follow(&gateway, today).await;
    assert_eq!(events.next().await.unwrap()["data"]["dailyUsage"][0]["isPartial"], true);
    *gateway.now.lock().unwrap() += chrono::Duration::hours(12);
    assert_eq!(events.next().await.unwrap()["data"]["dailyUsage"][0]["isPartial"], false);
}

#[tokio::test]
async fn operations_that_are_not_followed_are_complete_at_once() {
    let gateway = gateway(Backend::Sqlite, &[]).await;
    for (document, expected) in [
        ("{ dailyUsage(first: 1) { visits } }", "\"visits\":18"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { dailyUsage(first: 1) { nope } }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { a: dailyUsage { date } b: dailyUsage { date } }", "`a` or `b`, not both"),
        ("subscription { dailyUsage { date } dailyUsage(first: 1) { date } }", "not both"),
        ("subscription { ...Days } fragment Days on Query { dailyUsage { date } }", "GRAPHQL_VALIDATION_FAILED"),
        (&format!("subscription {{ dailyUsage(first: 3700) {{ {} }} }}", "visits ".repeat(30)), "LIMIT_EXCEEDED"),
    ] {
        let answer = refused(&gateway, document).await;
        assert!(answer.body.contains(expected), "{document}: {}", answer.body);
        assert!(answer.body.ends_with("\n\nevent: complete\ndata:\n\n"), "{document}: {}", answer.body);
    }
    let empty = Request::get("/graphql?query=").header("accept", "text/event-stream").body(Body::empty()).unwrap();
    assert!(gateway.send(empty).await.body.contains("has no `query`"));
}

#[tokio::test]
async fn subscriptions_need_a_stream_and_sockets_a_handshake() {
    let gateway = gateway(Backend::Sqlite, &[]).await;
    let answer = gateway.post(COUNT, Value::Null).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["errors"][0]["extensions"]["code"]),
        (406, &"NOT_ACCEPTABLE".into())
    );
    let answer = gateway.get("/graphql/ws").await;
    assert_eq!((answer.status.as_u16(), answer.header("upgrade")), (426, "websocket"));
    assert_eq!(answer.json()["errors"][0]["extensions"]["code"], "UPGRADE_REQUIRED");
}

#[tokio::test]
async fn a_page_of_the_same_host_opens_a_websocket_and_others_are_told_what_to_do() {
    let service = Service::start(&[("TRUSTED_PROXY_HOPS", "1"), ("USAGE_LOG_INTERVAL", "off")]).await;
    let shake = async |lines: &str| {
        let mut kept = Kept::open(service.address).await;
        let head = format!(
            "GET /graphql/ws HTTP/1.1\r\n{lines}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: graphql-transport-ws\r\n\
             x-forwarded-for: 203.0.113.7\r\n\r\n"
        );
        kept.head(&head).await.unwrap()
    };
    for lines in [
        "host: reports.example:443\r\norigin: https://reports.example",
        "host: 10.0.0.7:5153\r\norigin: https://reports.example\r\nx-forwarded-host: reports.example",
    ] {
        assert_eq!(shake(lines).await.0, 101, "{lines}");
    }
    let (status, refused) = shake("host: reports.example\r\norigin: https://other.example").await;
    assert_eq!(status, 403);
    for word in ["CROSS_SITE_REQUEST", "https://other.example", "reports.example", "CORS_ORIGINS"] {
        assert!(refused.contains(word), "{refused}");
    }
}

#[tokio::test]
async fn what_stays_open_is_bounded() {
    let gateway = gateway(Backend::Sqlite, &[("MAX_LIVE_CONNECTIONS", "1"), ("MAX_LIVE_BYTES", "1024"), NEVER]).await;
    let first = follow(&gateway, COUNT).await;
    let answer = refused(&gateway, COUNT).await;
    let expected = serde_json::json!({ "code": "LIMIT_EXCEEDED", "limit": "connections", "maximum": 1 });
    assert_eq!((answer.status.as_u16(), &answer.json()["errors"][0]["extensions"]), (503, &expected));
    drop(first);
    let mut second = follow(&gateway, COUNT).await;
    assert_eq!(second.issued().await, 0, "a place that was left is given to the next");
    drop(second);
    let large = "subscription { dailyUsage { date startsAt startsAtMillis visits tokensIssued } }";
    let mut third = follow(&gateway, large).await;
    let expected = serde_json::json!({ "code": "LIMIT_EXCEEDED", "limit": "liveBytes", "maximum": 1024 });
    assert_eq!(third.next().await.unwrap()["errors"][0]["extensions"], expected);
    assert_eq!(third.next().await, None, "an operation that was refused is complete");
}

/// Answers that wait for slow readers take no more memory than the limit.
#[tokio::test]
async fn connections_share_what_memory_there_is() {
    let gateway = gateway(Backend::Sqlite, &[("MAX_LIVE_BYTES", "1024"), OFTEN]).await;
    let days = "subscription { dailyUsage(first: 5) { date startsAt visits } }";
    let mut first = follow(&gateway, days).await;
    let answer = first.next().await.unwrap();
    let bytes = answer.to_string().len();
    assert!((350..500).contains(&bytes), "room for two of {bytes}: the answer itself, and one on its way");
    let mut second = follow(&gateway, days).await;
    let expected = serde_json::json!({ "code": "LIMIT_EXCEEDED", "limit": "liveBytes", "maximum": 1024 });
    assert_eq!(second.next().await.unwrap()["errors"][0]["extensions"], expected);
    assert_eq!(second.next().await, None);
    gateway.database.execute("UPDATE tokens SET used_at = NULL WHERE date(created_at) = '2024-03-01'").await;
    assert_eq!(follow(&gateway, days).await.next().await.unwrap()["errors"][0]["extensions"], expected);
    let answer = first.next().await.unwrap();
    assert_eq!(answer["data"]["dailyUsage"][0]["visits"], 0, "who was there first is not given up for those who come");
    drop(first);
    assert_eq!(follow(&gateway, days).await.next().await.unwrap(), answer);
}

/// The sum of all series of a metric.
async fn metric(service: &std::net::SocketAddr, name: &str) -> f64 {
    let text = get(*service, "/metrics").await.unwrap().body;
    let series = text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit_once(' '));
    series.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_followers_cost_one_execution_a_change() {
    const FOLLOWERS: usize = 1_000;
    const CHANGES: usize = 5;
    let database = TestDatabase::recorded(Backend::Sqlite).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let metrics_port = port.port().to_string();
    let variables =
        [("DATABASE_URL", &*database.url), ("METRICS_PORT", &metrics_port), ("MAX_ADDRESS_PERCENT", "100"), OFTEN];
    let service = Service::start(&variables).await;
    let told = Arc::new(Barrier::new(FOLLOWERS + 1));
    let uri = request(COUNT).uri().clone();
    let mut followers: FuturesUnordered<_> = (0..FOLLOWERS)
        .map(|_| {
            let (told, address, uri) = (Arc::clone(&told), service.address, uri.clone());
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let head = format!("GET {uri} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                let mut text = String::new();
                for expected in 0..=CHANGES {
                    let expected = format!("\"tokensIssued\":{expected}}}");
                    while !text.contains(&expected) {
                        let mut bytes = [0; 4_096];
                        let read = timeout(PATIENCE, stream.read(&mut bytes)).await.expect("nothing is told").unwrap();
                        assert_ne!(read, 0, "{text}");
                        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
                    }
                    told.wait().await;
                }
                assert_eq!(text.matches("event: next").count(), CHANGES + 1, "{text}");
            })
        })
        .collect();
    told.wait().await;
    let executions = "coworking_report_executions_total{report=\"daily_usage\"";
    assert!((metric(&port, "coworking_subscriptions ").await - 1_000.0).abs() < 0.5);
    assert!((metric(&port, "coworking_live_questions ").await - 1.0).abs() < 0.5);
    let before = metric(&port, executions).await;
    for _ in 0..CHANGES {
        database.execute(ONE_MORE).await;
        told.wait().await;
    }
    let executed = metric(&port, executions).await - before;
    assert!((executed - 5.0).abs() < 0.5, "{executed} executions for {CHANGES} changes and {FOLLOWERS} followers");
    while let Some(follower) = followers.next().await {
        follower.unwrap();
    }
    // Subscribers that left are no longer counted.
    let gone = async {
        while metric(&port, "coworking_subscriptions ").await + metric(&port, "coworking_live_questions ").await > 0.0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("subscriptions are left");
}

//! Answers are compressed for clients that accept it, and those who have an answer are told so.

use std::io::Read as _;

use axum::{body::Body, http::Request};
use flate2::read::GzDecoder;
use http_body_util::BodyExt as _;
use serde_json::json;

use crate::support::{Backend, TestGateway, on_both_databases, requests::until};

/// A large answer.
const DAYS: &str = "{ dailyUsage { date startsAt visits tokensIssued tokensUnused conversionRate uniqueVisitors } }";

on_both_databases!(answers_are_compressed_for_those_who_accept_it);

struct Bytes {
    status: u16,
    headers: axum::http::HeaderMap,
    body: Vec<u8>,
}

impl Bytes {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn vary(&self) -> String {
        self.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(", ")
    }

    fn unpacked(&self) -> Vec<u8> {
        let mut unpacked = Vec::new();
        GzDecoder::new(&*self.body).read_to_end(&mut unpacked).unwrap();
        unpacked
    }
}

async fn ask(gateway: &TestGateway, request: Request<Body>) -> Bytes {
    let response = tower::ServiceExt::oneshot(gateway.router.clone(), request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Bytes { status: parts.status.as_u16(), headers: parts.headers, body }
}

async fn get(gateway: &TestGateway, path: &str, headers: &[(&str, &str)]) -> Bytes {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    ask(gateway, request.body(Body::empty()).unwrap()).await
}

fn days() -> String {
    format!("/graphql?{}", serde_urlencoded::to_string([("query", DAYS)]).unwrap())
}

async fn answers_are_compressed_for_those_who_accept_it(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let list = "/api/reports/user_visits?include_users_without_visits=true";
    let paths = [
        days(),
        "/api/reports/user_visits".to_owned(),
        "/api/reports/daily_usage?format=csv".to_owned(),
        "/api/reports/usage?granularity=DAY".to_owned(),
        "/api/reports/heatmap?format=excel".to_owned(),
        format!("{list}&format=csv"),
        format!("{list}&format=ndjson"),
        format!("{list}&format=json"),
        "/api/reports/members?new_within_days=900".to_owned(),
    ];
    for path in paths {
        let plain = get(&gateway, &path, &[]).await;
        assert_eq!((plain.status, plain.header("content-encoding")), (200, ""), "{path}");
        assert!(plain.body.len() > 2_000, "{path}: {}", plain.body.len());
        for _ in 0..2 {
            let packed = get(&gateway, &path, &[("accept-encoding", "br, gzip")]).await;
            assert_eq!(packed.header("content-encoding"), "gzip", "{path}");
            assert_eq!(packed.header("content-type"), plain.header("content-type"), "{path}");
            assert!(packed.unpacked() == plain.body, "{path}: other bytes");
            assert!(packed.body.len() * 2 < plain.body.len(), "{path}: {}", packed.body.len());
            assert!(packed.vary().contains("Accept-Encoding") && plain.vary().contains("Accept-Encoding"), "{path}");
            // A tag names the bytes that are sent.
            assert_ne!(packed.header("etag"), plain.header("etag"), "{path}");
        }
        let refused = get(&gateway, &path, &[("accept-encoding", "gzip;q=0, identity")]).await;
        assert_eq!((refused.header("content-encoding"), refused.body == plain.body), ("", true), "{path}");
    }
    let body = json!({ "query": DAYS }).to_string();
    let posted = Request::post("/graphql").header("content-type", "application/json").header("accept-encoding", "gzip");
    let posted = ask(&gateway, posted.body(body.into()).unwrap()).await;
    assert_eq!(posted.header("content-encoding"), "gzip");
    assert!(posted.unpacked() == get(&gateway, &days(), &[]).await.body);
    // Not worth it, or a refusal.
    for path in [
        "/graphql?query=%7B__typename%7D",
        "/api/reports/user_visits?first=2",
        "/api/reports/usage?from=never",
        "/health_check",
    ] {
        assert_eq!(get(&gateway, path, &[("accept-encoding", "gzip")]).await.header("content-encoding"), "", "{path}");
    }
}

#[tokio::test]
async fn compressed_bytes_count_among_those_that_are_kept() {
    let gateway = TestGateway::configured(&[("ANONYMOUS_SCOPES", "reports,members,admin")]).await;
    // The cache counts when it is used.
    let kept = async |encoding: &str| {
        let answer = get(&gateway, &days(), &[("accept-encoding", encoding)]).await;
        (answer.body.len() as u64, gateway.get("/api/status").await.json()["answerCache"].clone())
    };
    until(async || kept("identity").await.1["answers"] == 1).await;
    let (plain, before) = kept("identity").await;
    let before = before["bytes"].as_u64().unwrap();
    assert!(before > plain, "{before}");
    until(async || {
        let (packed, after) = kept("gzip").await;
        after == json!({ "answers": 1, "bytes": before + packed })
    })
    .await;
}

/// Whoever has an answer is told so, in every report and format that is listed, and by GraphQL.
#[tokio::test]
async fn every_form_of_a_report_has_a_tag() {
    let gateway = TestGateway::recorded(Backend::Sqlite).await;
    let mut paths = vec![days()];
    for report in gateway.get("/api/reports").await.json().as_array().unwrap() {
        let path = report["path"].as_str().unwrap();
        paths.push(path.to_owned());
        for format in report["formats"].as_array().unwrap() {
            paths.push(format!("{path}?format={}", format.as_str().unwrap()));
        }
    }
    assert!(paths.len() > 40);
    let mut tags = Vec::new();
    for path in &paths {
        for encoding in ["identity", "gzip"] {
            let first = get(&gateway, path, &[("accept-encoding", encoding)]).await;
            let tag = first.header("etag").to_owned();
            assert!(first.status == 200 && tag.starts_with('"') && tag.len() > 20, "{path}: {tag}");
            assert_eq!(first.header("cache-control"), "private, no-cache", "{path}");
            for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
                let again = get(&gateway, path, &[("accept-encoding", encoding), ("if-none-match", &known)]).await;
                assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, &*tag), "{path} {known}");
                assert_eq!(again.vary(), first.vary(), "{path}");
            }
            let other = get(&gateway, path, &[("accept-encoding", encoding), ("if-none-match", "\"other\"")]).await;
            assert_eq!((other.status, other.body == first.body), (200, true), "{path}");
            tags.push((path.clone(), encoding, tag));
        }
    }
    gateway
        .database
        .execute(
            "INSERT INTO users VALUES (9001, 'New', 'Member', '2024-01-01 00:00:00', true);
             INSERT INTO tokens VALUES (900001, 9001, 'new', '2024-03-20 09:00:00', '2024-03-20 09:05:00'),
                (900002, 9001, 'newer', '2024-03-20 09:00:00', '2024-03-20 09:05:00')",
        )
        .await;
    for (path, encoding, tag) in tags {
        let changed = get(&gateway, &path, &[("accept-encoding", encoding), ("if-none-match", &tag)]).await;
        // Notes are read from a file, and not from the database.
        let status = if path.starts_with("/api/reports/notes") { 304 } else { 200 };
        assert_eq!(changed.status, status, "{path} is taken for unchanged");
    }
}

/// Lists of different callers and questions never share a tag.
#[tokio::test]
async fn tags_of_lists_belong_to_one_question() {
    let gateway = TestGateway::recorded(Backend::Sqlite).await;
    let list = "/api/reports/user_visits?first=5";
    let tag = get(&gateway, list, &[]).await.header("etag").to_owned();
    for (path, headers) in [
        ("/api/reports/user_visits?first=6", vec![]),
        ("/api/reports/members?first=5", vec![]),
        (list, vec![("accept", "text/csv")]),
        (list, vec![("accept-encoding", "gzip")]),
    ] {
        let headers: Vec<_> = headers.into_iter().chain([("if-none-match", tag.as_str())]).collect();
        assert_eq!(get(&gateway, path, &headers).await.status, 200, "{path} {headers:?}");
    }
    assert_eq!(get(&gateway, list, &[("if-none-match", &tag)]).await.status, 304);
}

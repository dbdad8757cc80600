//! Requests that several tests send, and helpers to read answers.

use std::{net::SocketAddr, time::Duration};

use axum::{body::Body, http::Request};
use coworking_analytics::http::{Peer, Terms};
use http_body_util::BodyExt as _;
use hyper::client::conn::http2;
use serde_json::{Value, json};

use super::{Answer, TestGateway, process::PATIENCE};

/// A report without arguments.
pub const HEATMAP: &str = "{ heatmap { visits } }";

/// The path of a GET for this report.
pub fn heatmap() -> String {
    format!("/graphql?{}", serde_urlencoded::to_string([("query", HEATMAP)]).unwrap())
}

pub fn post(document: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let body = json!({ "query": document }).to_string();
    let mut request = Request::post("/graphql").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

pub async fn ask(gateway: &TestGateway, document: &str, headers: &[(&str, &str)]) -> Answer {
    gateway.send(post(document, headers)).await
}

/// Requests the heatmap on an HTTP/2 connection.
pub async fn ask_http2(sender: &mut http2::SendRequest<Body>, address: SocketAddr) -> hyper::Result<(u16, Value)> {
    let request = Request::get(format!("http://{address}{}", heatmap())).body(Body::empty()).unwrap();
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let bytes = body.collect().await?.to_bytes();
    Ok((parts.status.as_u16(), serde_json::from_slice(&bytes).unwrap()))
}

/// The first error of an answer without data: status, code, scope and path.
pub fn refusal(answer: &Answer) -> (u16, String, String, Value) {
    let body = answer.json();
    let error = &body["errors"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let extensions = &error["extensions"];
    (answer.status.as_u16(), text(&extensions["code"]), text(&extensions["scope"]), error["path"].clone())
}

/// Waits until the condition is true.
pub async fn until(is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never came about");
}

/// A request of a client with this address, as a proxy says.
pub fn of(address: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
    request.extensions_mut().insert(Peer { address: "10.0.0.1:4711".parse().unwrap(), terms: Terms::All });
    request
}

/// The name of a parameter of the routes for a name in the schema.
pub fn in_snake_case(name: &str) -> String {
    let letter =
        |letter: char| if letter.is_uppercase() { format!("_{}", letter.to_lowercase()) } else { letter.into() };
    name.chars().map(letter).collect()
}

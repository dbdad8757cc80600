//! The least that answers over HTTP: a handler of axum with nothing around it, on the port that is the first argument.
//! `make bench` compares the gateway with it.

use axum::{Router, routing::get};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0_u16);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, Router::new().route("/health_check", get(async || "ok"))).await
}

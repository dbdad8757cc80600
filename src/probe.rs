//! A health check of a running service, for containers without `curl`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::{Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

const PATIENCE: Duration = Duration::from_secs(3);

/// Why the service is not healthy.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The connection was refused or failed.
    #[error("no service answers on {0}: {1}; does it run, and with this APP_PORT?")]
    Connect(SocketAddr, #[source] std::io::Error),
    /// The connection broke off, or the service does not use HTTP.
    #[error("the service on {0} broke off: {1}")]
    Http(SocketAddr, #[source] hyper::Error),
    /// The answer is not 200.
    #[error("{1} on {0} answered {2} {3:?}")]
    Unhealthy(SocketAddr, &'static str, StatusCode, String),
    /// There was no answer in time.
    #[error("no answer from {0} within {PATIENCE:?}")]
    TimedOut(SocketAddr),
}

/// Sends a GET request for `path` to the service that listens on `service`.
///
/// # Errors
/// Unless the answer is 200 within three seconds.
pub async fn ask(service: SocketAddr, path: &'static str) -> Result<(), ProbeError> {
    let address = SocketAddr::new(reachable(service.ip()), service.port());
    timeout(PATIENCE, get(address, path)).await.unwrap_or(Err(ProbeError::TimedOut(address)))
}

async fn get(address: SocketAddr, path: &'static str) -> Result<(), ProbeError> {
    let http = |error| ProbeError::Http(address, error);
    let stream = TcpStream::connect(address).await.map_err(|error| ProbeError::Connect(address, error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    tokio::spawn(connection);
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = hyper::Uri::from_static(path);
    request.headers_mut().insert(header::HOST, header::HeaderValue::from_static("localhost"));
    let response = sender.send_request(request).await.map_err(http)?;
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(());
    }
    let body = response.into_body().collect().await.map_err(http)?.to_bytes();
    let body = String::from_utf8_lossy(&body).chars().take(200).collect();
    Err(ProbeError::Unhealthy(address, path, status, body))
}

/// The address at which a service is reached that listens on all interfaces: the loopback address.
fn reachable(listening: IpAddr) -> IpAddr {
    match listening {
        // `::` is every interface for IPv4 too, which containers always have.
        ip if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    }
}

//! Connections that clients keep: no request on them is lost when a replica stops, and new replicas get their share.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, http::Request};
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::support::{
    process::{Kept, PATIENCE, Service, is_closed},
    requests::until,
};

const QUIET: (&str, &str) = ("USAGE_LOG_INTERVAL", "off");
/// How long data travels in each direction.
const TRAVEL: Duration = Duration::from_millis(30);

/// The clients keep their connections, behind a balancer that leaves open connections alone, and send a request now and
/// then: when the old replica closes a connection without having said so, some request is on its way.
#[tokio::test]
async fn a_roll_out_loses_no_request_on_kept_connections() {
    let (mut old, new) = tokio::join!(Service::start(&[QUIET]), Service::start(&[QUIET]));
    let (target, targets) = watch::channel(old.address);
    let balancer = balance(targets).await;
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let clients = (0..40).map(|n: u32| {
        let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
        let asking = async move {
            if n < 30 {
                ask_http1(balancer, &stop, &answered).await
            } else {
                ask_http2(balancer, &stop, &answered).await
            }
        };
        tokio::spawn(asking)
    });
    let clients: Vec<_> = clients.collect();
    until(async || answered.load(Ordering::Relaxed) > 200).await;
    old.signal("TERM");
    target.send(new.address).unwrap();
    assert_eq!(old.ended().await.code(), Some(0), "{}", old.log());
    let before = answered.load(Ordering::Relaxed);
    until(async || answered.load(Ordering::Relaxed) > before + 200 || clients.iter().any(JoinHandle::is_finished))
        .await;
    stop.store(true, Ordering::Relaxed);
    let lost: usize = join_all(clients).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(lost, 0, "of {}", answered.load(Ordering::Relaxed));
}

/// Between two requests, up to 400 ms.
async fn think() {
    sleep(Duration::from_millis(fastrand::u64(..400))).await;
}

/// Returns the number of requests without an answer.
async fn ask_http1(address: SocketAddr, stop: &AtomicBool, answered: &AtomicUsize) -> usize {
    let mut lost = 0;
    let mut kept = Kept::open(address).await;
    while !stop.load(Ordering::Relaxed) {
        let answer = kept.get("/health_check").await;
        if answer.is_ok() {
            answered.fetch_add(1, Ordering::Relaxed);
        } else {
            lost += 1;
        }
        if answer.map_or(true, |answer| answer.header("connection") == "close") {
            kept = Kept::open(address).await;
        }
        think().await;
    }
    lost
}

/// The same over HTTP/2.
async fn ask_http2(address: SocketAddr, stop: &AtomicBool, answered: &AtomicUsize) -> usize {
    let mut lost = 0;
    let mut sender = http2(address).await;
    while !stop.load(Ordering::Relaxed) {
        if sender.is_closed() {
            sender = http2(address).await;
        }
        let request = Request::get("http://a/health_check").body(Body::empty()).unwrap();
        let answer = async { sender.send_request(request).await?.into_body().collect().await };
        if answer.await.is_ok() {
            answered.fetch_add(1, Ordering::Relaxed);
        } else {
            lost += 1;
        }
        think().await;
    }
    lost
}

async fn http2(address: SocketAddr) -> http2::SendRequest<Body> {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// A balancer of connections, at a distance: a new connection goes to the present target.
async fn balance(targets: watch::Receiver<SocketAddr>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let target = *targets.borrow();
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(target).await else { return };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::join!(travel(from_client, to_server), travel(from_server, to_client));
            });
        }
    });
    address
}

async fn travel(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut bytes = vec![0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        sleep(TRAVEL).await;
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
    sleep(TRAVEL).await;
}

#[tokio::test]
async fn from_the_signal_on_clients_are_asked_to_leave() {
    let service = Service::start(&[QUIET]).await;
    let (mut asking, mut idle) = (Kept::open(service.address).await, Kept::open(service.address).await);
    for kept in [&mut asking, &mut idle] {
        assert_eq!(kept.get("/health_check").await.unwrap().header("connection"), "");
    }
    let mut multiplexed = http2(service.address).await;
    let request = Request::get("http://a/health_check").body(Body::empty()).unwrap();
    multiplexed.send_request(request).await.unwrap();
    service.signal("TERM");
    service.wait_for("/readiness_check", 500).await;
    assert_eq!(asking.get("/health_check").await.unwrap().header("connection"), "close");
    assert!(is_closed(&mut asking.stream).await);
    timeout(PATIENCE, async {
        while !multiplexed.is_closed() {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    // Before the gateway stops to accept connections.
    assert_eq!(service.get("/health_check").await.status, 200);
    // After it, a connection that was idle is still answered.
    timeout(PATIENCE, async { while TcpStream::connect(service.address).await.is_ok() {} }).await.unwrap();
    assert_eq!(idle.get("/health_check").await.unwrap().header("connection"), "close");
}

#[tokio::test]
async fn a_connection_ends_after_a_number_of_requests() {
    let service = Service::start(&[QUIET, ("MAX_CONNECTION_REQUESTS", "20")]).await;
    let mut ends = Vec::new();
    for _ in 0..20 {
        let mut kept = Kept::open(service.address).await;
        let mut requests = 1;
        while kept.get("/health_check").await.unwrap().header("connection") != "close" {
            requests += 1;
        }
        assert!(is_closed(&mut kept.stream).await);
        ends.push(requests);
    }
    assert!(ends.iter().all(|requests| (18..=22).contains(requests)), "{ends:?}");
    assert!(ends.iter().any(|requests| *requests != ends[0]), "they end at different times: {ends:?}");
}

#[tokio::test]
async fn a_connection_ends_at_an_age() {
    let service = Service::start(&[QUIET, ("MAX_CONNECTION_AGE", "2s")]).await;
    let mut kept = Kept::open(service.address).await;
    assert_eq!(kept.get("/health_check").await.unwrap().header("connection"), "");
    let mut multiplexed = http2(service.address).await;
    let begun = tokio::time::Instant::now();
    let mut answered = 0;
    while !multiplexed.is_closed() {
        let request = Request::get("http://a/health_check").body(Body::empty()).unwrap();
        // Closed between the look and the request.
        let Ok(answer) = multiplexed.send_request(request).await else { break };
        assert_eq!(answer.status(), 200);
        answered += 1;
        assert!(begun.elapsed() < PATIENCE, "a connection of HTTP/2 stays");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(answered > 1);
    sleep(Duration::from_millis(2_300).saturating_sub(begun.elapsed())).await;
    assert_eq!(kept.get("/health_check").await.unwrap().header("connection"), "close");
    assert!(is_closed(&mut kept.stream).await);
}

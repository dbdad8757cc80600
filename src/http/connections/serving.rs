//! Serves connections of HTTP/1.1 and HTTP/2, with or without TLS. Limits their number, their age, how long they may
//! idle, and how slow their clients may be.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, StatusCode, Version, header},
};
use futures_util::FutureExt as _;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_rustls::{TlsAcceptor, rustls};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;
use tracing::{debug, warn};

use super::{
    activity::{Activity, Answering, Busy, Patience, Verdict, Watched},
    admission::{Peer, Terms, network},
    places::{Places, Seat},
};
use crate::{config::server::ServerConfig, metrics, shutdown::Ending};

/// The largest request line and headers; also the buffer for answers of an HTTP/1.1 connection or of an HTTP/2 stream.
const HEAD_BYTES: usize = 64 << 10;
/// The most headers of a request.
const HEADERS_MAX: usize = 100;
/// The most concurrent requests on an HTTP/2 connection, and the most that were reset and are not processed yet.
/// Source: <https://www.rfc-editor.org/rfc/rfc9113#section-10.5>; CVE-2023-44487 ("rapid reset")
const STREAMS_MAX: u32 = 64;
const RESETS_MAX: usize = 32;
/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// How often each connection is checked for slow or idle clients.
const LOOK: Duration = Duration::from_secs(1);
/// The most connections that are accepted after the stop, because they were opened before.
const BACKLOG: usize = 1024;
/// How long a connection may stay without a request after its client was asked to leave.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a connection that is for probes only may idle.
const CROWDED_IDLE: Duration = Duration::from_secs(2);

/// What all connections share. Cheap to clone.
#[derive(Clone)]
struct House {
    router: Router,
    patience: Patience,
    places: Places,
    /// The age and the number of requests of a connection after which its client is asked to open another one.
    age: Duration,
    requests: usize,
    /// Whether the other end of a connection is a client. Proxies hold connections for many.
    counts_addresses: bool,
    ending: Ending,
}

/// Serves `router` on `listener` until `ending.stop` is cancelled, and then waits until the open connections have ended.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: &ServerConfig,
    counts_addresses: bool,
    tls: Option<watch::Receiver<Arc<rustls::ServerConfig>>>,
    ending: Ending,
) {
    let house = House {
        router,
        patience: Patience {
            header: config.header_timeout,
            idle: config.keep_alive_timeout,
            send: config.send_timeout,
        },
        places: Places::new(config.max_connections, config.address_percent),
        age: config.connection_age,
        requests: config.connection_requests,
        counts_addresses,
        ending,
    };
    let connections = TaskTracker::new();
    let mut complained: Option<Instant> = None;
    let mut left = BACKLOG;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // The connections that wait by now would be reset with the listener.
            () = house.ending.stop.cancelled() => match listener.accept().now_or_never() {
                Some(accepted) if left > 0 => {
                    left -= 1;
                    accepted
                }
                _ => break,
            },
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !is_of_the_client(&error) {
                    if complained.is_none_or(|at| at.elapsed() > Duration::from_secs(10)) {
                        warn!(%error, "no connection can be accepted: raise the limit on open files (ulimit -n)");
                        complained = Some(Instant::now());
                    }
                    house.places.free_one();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                continue;
            }
        };
        // A client of IPv4 has its own address, also where the port is for both.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let of = house.counts_addresses.then(|| network(address.ip()));
        let Some((seat, terms)) = house.places.take(of) else {
            metrics::request_refused("connections");
            continue;
        };
        let _ = stream.set_nodelay(true);
        let acceptor = tls.as_ref().map(|tls| TlsAcceptor::from(Arc::clone(&tls.borrow())));
        let house = house.clone();
        connections.spawn(async move {
            let peer = Peer { address, terms };
            if let Err(error) = connect(stream, peer, of, seat, acceptor, house).await {
                debug!(%address, %error, "connection failed");
            }
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Whether the client disconnected before its connection was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn connect(
    stream: TcpStream,
    mut peer: Peer,
    of: Option<IpAddr>,
    seat: Seat,
    acceptor: Option<TlsAcceptor>,
    mut house: House,
) -> Result<(), Failed> {
    if peer.terms == Terms::Crowded {
        house.patience.header = house.patience.header.min(CROWDED_IDLE);
        house.patience.idle = house.patience.idle.min(CROWDED_IDLE);
    }
    let activity = Arc::new(Activity::new());
    let leave = house.ending.closing.child_token();
    let list = || house.places.list(of, Arc::clone(&activity), seat.clone(), leave.clone());
    let _listed = (peer.terms == Terms::All).then(list);
    let Some(acceptor) = acceptor else {
        return exchange(Watched { io: stream, activity, _seat: seat }, peer, house, leave).await;
    };
    let mut first = [0];
    let peeked = leave.run_until_cancelled(timeout(house.patience.idle, stream.peek(&mut first))).await;
    if !matches!(peeked, Some(Ok(Ok(1)))) {
        return Ok(());
    }
    if first[0] != TLS_HANDSHAKE {
        if peer.terms == Terms::All {
            peer.terms = Terms::Plain;
        }
        return exchange(Watched { io: stream, activity, _seat: seat }, peer, house, leave).await;
    }
    let handshake = leave.run_until_cancelled(timeout(house.patience.header, acceptor.accept(stream)));
    let Some(stream) = handshake.await else { return Ok(()) };
    exchange(Watched { io: stream??, activity, _seat: seat }, peer, house, leave).await
}

/// Answers the requests of a connection, and ends it when the client is slow or idle, or has to leave.
async fn exchange<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    io: Watched<S>,
    peer: Peer,
    house: House,
    leave: CancellationToken,
) -> Result<(), Failed> {
    let House { router, patience, age, requests, ending, .. } = house;
    let activity = Arc::clone(&io.activity);
    // A tenth more or less, so that connections that began together do not end together.
    let age = age.mul_f64(0.9 + 0.2 * fastrand::f64());
    let requests = requests - requests / 10 + fastrand::usize(..=requests / 5);
    let (seen, draining) = (Arc::clone(&activity), ending.draining.clone());
    // Whether the client is asked to use another connection after this request.
    let is_old = move |activity: &Activity| {
        activity.served() > 0 && (draining.is_cancelled() || activity.age() >= age || activity.served() >= requests)
    };
    let is_last = is_old.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let is_multiplexed = request.version() == Version::HTTP_2;
        seen.is_multiplexed.store(is_multiplexed, Ordering::Relaxed);
        let busy = Busy::begin(Arc::clone(&seen));
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let answered = router.clone().oneshot(request);
        let (seen, is_last) = (Arc::clone(&seen), is_last.clone());
        async move {
            let mut response = answered.await?;
            if !is_multiplexed && response.status() != StatusCode::SWITCHING_PROTOCOLS && is_last(&seen) {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(response.map(|body| Answering { body, _busy: busy }))
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    // Slow and idle clients are detected below, for all protocols in one place.
    builder.http1().header_read_timeout(None).max_buf_size(HEAD_BYTES).max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(RESETS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES)?)
        .max_send_buf_size(HEAD_BYTES);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut left: Option<Instant> = None;
    let mut is_draining = false;
    loop {
        let leaves = tokio::select! {
            ended = connection.as_mut() => return ended,
            () = leave.cancelled(), if left.is_none() => true,
            () = ending.draining.cancelled(), if !is_draining => {
                is_draining = true;
                false
            }
            _ = looks.tick() => match activity.verdict(patience) {
                Verdict::Fine => false,
                Verdict::Idle => true,
                Verdict::TooSlow(what) => {
                    metrics::request_refused(what);
                    return Err(what.into());
                }
            },
        };
        if let Some(left) = left {
            if left.elapsed() >= FAREWELL && activity.idle_since().is_some() {
                return Ok(());
            }
        } else if leaves || (activity.is_multiplexed.load(Ordering::Relaxed) && is_old(&activity)) {
            // In HTTP/2, GOAWAY: requests are answered until the client has read it.
            left = Some(Instant::now());
            connection.as_mut().graceful_shutdown();
        }
    }
}

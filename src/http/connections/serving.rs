//! Serves connections of HTTP/1.1 and HTTP/2, with or without TLS. Limits their number, how long they may idle, and how
//! slow their clients may be.

use std::{
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Request, Version},
};
use hyper::{
    body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_rustls::{TlsAcceptor, rustls};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::{
    config::server::ServerConfig,
    http::connections::admission::{Peer, Terms},
    metrics,
};

/// The largest request line and headers; also the buffer for answers of an HTTP/1.1 connection or of an HTTP/2 stream.
const HEAD_BYTES: usize = 64 << 10;
/// The most headers of a request.
const HEADERS_MAX: usize = 100;
/// The most concurrent requests on an HTTP/2 connection, and the most that were reset and are not processed yet.
/// Source: <https://www.rfc-editor.org/rfc/rfc9113#section-10.5>; CVE-2023-44487 ("rapid reset")
const STREAMS_MAX: u32 = 64;
const RESETS_MAX: usize = 32;
/// The connections beyond the limit, on which only the probes are answered.
const RESERVE: usize = 32;
/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// How often each connection is checked for slow or idle clients.
const LOOK: Duration = Duration::from_secs(1);

/// How long a client may take to send headers, to idle, and to receive data.
#[derive(Debug, Clone, Copy)]
struct Patience {
    header: Duration,
    idle: Duration,
    send: Duration,
}

/// Serves `router` on `listener` until `stop` is cancelled, and then waits until the open connections have ended.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: ServerConfig,
    tls: Option<watch::Receiver<Arc<rustls::ServerConfig>>>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(config.max_connections));
    let reserve = Arc::new(Semaphore::new(RESERVE));
    let patience =
        Patience { header: config.header_timeout, idle: config.keep_alive_timeout, send: config.send_timeout };
    let connections = TaskTracker::new();
    let mut complained: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !is_of_the_client(&error) {
                    if complained.is_none_or(|at| at.elapsed() > Duration::from_secs(10)) {
                        warn!(%error, "no connection can be accepted: raise the limit on open files (ulimit -n)");
                        complained = Some(Instant::now());
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                continue;
            }
        };
        let place = match (Arc::clone(&places).try_acquire_owned(), Arc::clone(&reserve).try_acquire_owned()) {
            (Ok(place), _) => Some((place, Terms::All)),
            (Err(_), Ok(place)) => Some((place, Terms::Crowded)),
            (Err(_), Err(_)) => None,
        };
        let Some((place, terms)) = place else {
            metrics::request_refused("connections");
            continue;
        };
        let _ = stream.set_nodelay(true);
        let acceptor = tls.as_ref().map(|tls| TlsAcceptor::from(Arc::clone(&tls.borrow())));
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            let peer = Peer { address, terms };
            if let Err(error) = connect(stream, peer, place, acceptor, router, patience, stop).await {
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
    place: OwnedSemaphorePermit,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    patience: Patience,
    stop: CancellationToken,
) -> Result<(), Failed> {
    let activity = Arc::new(Activity::new());
    let Some(acceptor) = acceptor else {
        return exchange(Watched { io: stream, activity, _place: place }, peer, router, patience, stop).await;
    };
    let mut first = [0];
    let peeked = stop.run_until_cancelled(timeout(patience.idle, stream.peek(&mut first))).await;
    if !matches!(peeked, Some(Ok(Ok(1)))) {
        return Ok(());
    }
    if first[0] != TLS_HANDSHAKE {
        if peer.terms == Terms::All {
            peer.terms = Terms::Plain;
        }
        return exchange(Watched { io: stream, activity, _place: place }, peer, router, patience, stop).await;
    }
    let stream = timeout(patience.header, acceptor.accept(stream)).await??;
    exchange(Watched { io: stream, activity, _place: place }, peer, router, patience, stop).await
}

/// Answers the requests of a connection, and ends it when the client is slow or idle.
async fn exchange<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    io: Watched<S>,
    peer: Peer,
    router: Router,
    patience: Patience,
    stop: CancellationToken,
) -> Result<(), Failed> {
    let activity = Arc::clone(&io.activity);
    let seen = Arc::clone(&activity);
    let service = service_fn(move |request: Request<Incoming>| {
        seen.is_multiplexed.store(request.version() == Version::HTTP_2, Ordering::Relaxed);
        let busy = Busy::begin(Arc::clone(&seen));
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let answered = router.clone().oneshot(request);
        async move { answered.await.map(|response| response.map(|body| Answering { body, _busy: busy })) }
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
    let mut is_stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = stop.cancelled(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = looks.tick() => match activity.verdict(patience) {
                Verdict::Fine => {}
                Verdict::Idle if is_stopping => return Ok(()),
                Verdict::Idle => {
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                Verdict::TooSlow(what) => {
                    metrics::request_refused(what);
                    return Err(what.into());
                }
            },
        }
    }
}

/// What a connection is doing. Times are milliseconds since the connection began; 0 means that the state does not
/// apply.
#[derive(Debug)]
struct Activity {
    begun: Instant,
    requests: AtomicUsize,
    /// Whether the connection uses HTTP/2. Its bytes between requests may be control frames, so they do not count as
    /// the start of a request.
    is_multiplexed: AtomicBool,
    /// The time since which no request is in progress.
    idle: AtomicU64,
    /// The time at which a request's head began to arrive.
    head: AtomicU64,
    /// The time since which the client has accepted no data.
    stalled: AtomicU64,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    Idle,
    TooSlow(&'static str),
}

impl Activity {
    fn new() -> Self {
        let (idle, head, stalled) = (AtomicU64::new(1), AtomicU64::new(0), AtomicU64::new(0));
        let (requests, is_multiplexed) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { begun: Instant::now(), requests, is_multiplexed, idle, head, stalled }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    fn verdict(&self, patience: Patience) -> Verdict {
        let now = self.now();
        let longer = |since: &AtomicU64, than: Duration| {
            let since = since.load(Ordering::Relaxed);
            since > 0 && u128::from(now.saturating_sub(since)) > than.as_millis()
        };
        if longer(&self.stalled, patience.send) {
            Verdict::TooSlow("slow_reader")
        } else if self.requests.load(Ordering::Relaxed) > 0 {
            Verdict::Fine
        } else if longer(&self.head, patience.header) {
            Verdict::TooSlow("slow_header")
        } else if longer(&self.idle, patience.idle) {
            Verdict::Idle
        } else {
            Verdict::Fine
        }
    }
}

/// A request in progress, until the body of its answer was sent or dropped.
struct Busy(Arc<Activity>);

impl Busy {
    fn begin(activity: Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Ordering::Relaxed);
        activity.head.store(0, Ordering::Relaxed);
        Self(activity)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.idle.store(self.0.now(), Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer. Its request counts as in progress until it is dropped.
struct Answering {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that records when data arrives and when writes stall. It holds the connection's slot, also after an
/// upgrade.
struct Watched<S> {
    io: S,
    activity: Arc<Activity>,
    _place: OwnedSemaphorePermit,
}

impl<S> Watched<S> {
    fn wrote<T>(&self, poll: &Poll<io::Result<T>>) {
        let stalled = &self.activity.stalled;
        match poll {
            Poll::Pending if stalled.load(Ordering::Relaxed) == 0 => {
                stalled.store(self.activity.now(), Ordering::Relaxed);
            }
            Poll::Pending => {}
            Poll::Ready(_) => stalled.store(0, Ordering::Relaxed),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        let activity = &self.activity;
        let is_between =
            activity.requests.load(Ordering::Relaxed) == 0 && !activity.is_multiplexed.load(Ordering::Relaxed);
        if is_between && buffer.filled().len() > before && activity.head.load(Ordering::Relaxed) == 0 {
            activity.head.store(activity.now(), Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write(context, bytes);
        self.wrote(&poll);
        poll
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write_vectored(context, bytes);
        self.wrote(&poll);
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_tell_slow_clients_from_idle_ones() {
        let patience = Patience {
            header: Duration::from_millis(10),
            idle: Duration::from_hours(1),
            send: Duration::from_millis(10),
        };
        let activity = Arc::new(Activity::new());
        assert_eq!(activity.verdict(patience), Verdict::Fine);
        activity.head.store(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(activity.verdict(patience), Verdict::TooSlow("slow_header"));
        // The head has arrived: from here on, the handler decides how long the answer may take.
        let busy = Busy::begin(Arc::clone(&activity));
        assert_eq!(activity.verdict(patience), Verdict::Fine);
        activity.stalled.store(1, Ordering::Relaxed);
        assert_eq!(activity.verdict(patience), Verdict::TooSlow("slow_reader"));
        activity.stalled.store(0, Ordering::Relaxed);
        drop(busy);
        assert_eq!(activity.verdict(patience), Verdict::Fine);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(activity.verdict(Patience { idle: Duration::from_millis(10), ..patience }), Verdict::Idle);
    }
}

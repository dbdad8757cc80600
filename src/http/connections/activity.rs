//! What each connection is doing: whether it is idle, and whether its client is slow.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::places::Seat;

/// How long a client may take to send headers, to idle, and to receive data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) send: Duration,
}

/// What a connection is doing. Times are milliseconds since the connection began; 0 means that the state does not
/// apply.
#[derive(Debug)]
pub(super) struct Activity {
    begun: Instant,
    /// The requests so far.
    served: AtomicUsize,
    requests: AtomicUsize,
    /// Whether the connection uses HTTP/2. Its bytes between requests may be control frames, so they do not count as
    /// the start of a request.
    pub(super) is_multiplexed: AtomicBool,
    /// The time since which no request is in progress.
    idle: AtomicU64,
    /// The time at which a request's head began to arrive.
    head: AtomicU64,
    /// The time since which the client has accepted no data.
    stalled: AtomicU64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    Idle,
    TooSlow(&'static str),
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            served: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            is_multiplexed: AtomicBool::new(false),
            idle: AtomicU64::new(1),
            head: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
        }
    }

    /// How old the connection is.
    pub(super) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The number of requests so far.
    pub(super) fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }

    /// Since when the connection has been idle, or a request's head has been arriving; none while a request is in
    /// progress.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        if self.requests.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let head = self.head.load(Ordering::Relaxed);
        let since = if head > 0 { head } else { self.idle.load(Ordering::Relaxed) };
        Some(self.begun + Duration::from_millis(since))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    pub(super) fn verdict(&self, patience: Patience) -> Verdict {
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
pub(super) struct Busy(Arc<Activity>);

impl Busy {
    pub(super) fn begin(activity: Arc<Activity>) -> Self {
        activity.served.fetch_add(1, Ordering::Relaxed);
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
pub(super) struct Answering {
    pub(super) body: Body,
    pub(super) _busy: Busy,
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

/// A stream that records when data arrives and when writes stall. It holds the connection's place, also after an
/// upgrade.
pub(super) struct Watched<S> {
    pub(super) io: S,
    pub(super) activity: Arc<Activity>,
    pub(super) _seat: Seat,
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

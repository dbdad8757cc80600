//! Sends lists of members of any length while they are read. Only a few chunks are in memory at a time.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::body::{Body, Bytes};
use futures_util::{StreamExt as _, stream};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    graphql::execution::limits::Limit,
    http::{
        error::Failure,
        rest::{legacy::Entry, request::Request, table::Writer},
    },
    reports::{
        Argument, Error, UserVisitsParts, checked_size,
        filter::UserVisitsFilter,
        model::UserVisits,
        page::{Page, UserVisitsOrder},
    },
};

/// The least bytes in a chunk, except the last.
const CHUNK: usize = 32 << 10;
/// The most chunks that wait for the client.
const WAITING: usize = 4;
/// A client that accepts no data for this time is considered gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// A writer for a list of members.
pub(in crate::http) trait List: Send + 'static {
    /// Whether the list has the members' names and the times of their visits.
    const TELLS_MORE: bool;

    fn add(&mut self, member: UserVisits);

    /// The bytes so far, if they are enough for a chunk.
    fn full(&mut self) -> Option<Bytes>;

    /// The remaining bytes.
    fn finish(self) -> Bytes;
}

/// The list as a body. A failure before the first chunk is a failure of the request. A later failure aborts the body,
/// so that clients notice that it is incomplete.
pub(in crate::http) async fn members<L: List>(
    request: &Request,
    filter: UserVisitsFilter,
    order: UserVisitsOrder,
    mut list: L,
) -> Result<Body, Failure> {
    let page = match request.whole("first")? {
        Some(first) => Page::first(checked_size(Argument::FIRST, first, i32::MAX as usize)?),
        None => Page::all(),
    };
    let gateway = &request.gateway;
    let under_way = gateway.exports.clone().try_acquire_owned();
    let under_way = under_way.map_err(|_| Failure::Limit(Limit::Exports, gateway.exports_max))?;
    let parts = UserVisitsParts {
        visit_times: L::TELLS_MORE,
        membership: true,
        names: L::TELLS_MORE,
        ..UserVisitsParts::default()
    };
    let (sender, mut chunks) = mpsc::channel::<Result<Bytes, Failure>>(WAITING);
    let session = Arc::clone(&request.session);
    // The process waits for this task before it ends, as for any request.
    gateway.ending.tasks.spawn(async move {
        let _under_way = under_way;
        let read = session.each_user_visits(&filter, order, &page, parts, |member| {
            list.add(member);
            let chunk = list.full()?;
            let sender = sender.clone();
            Some(Box::pin(async move {
                match timeout(PATIENCE, sender.send(Ok(chunk))).await {
                    Ok(Ok(())) => Ok(()),
                    // The client is gone, so stop reading.
                    _ => Err(Error::Unavailable(None)),
                }
            }))
        });
        let end = read.await.map(|()| list.finish()).map_err(Failure::from);
        let _ = timeout(PATIENCE, sender.send(end)).await;
    });
    let Some(begin) = chunks.recv().await else { return Err(Failure::Internal) };
    let begin = begin?;
    let rest = stream::unfold(Some(chunks), |chunks| async {
        let mut chunks = chunks?;
        match chunks.recv().await? {
            Ok(chunk) => Some((Ok(chunk), Some(chunks))),
            Err(failure) => Some((Err(Broken(failure.message())), None)),
        }
    });
    Ok(Body::from_stream(stream::iter([Ok(begin)]).chain(rest)))
}

/// The error of an aborted body.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Broken(String);

impl List for Writer<UserVisits> {
    const TELLS_MORE: bool = true;

    fn add(&mut self, member: UserVisits) {
        self.row(&member);
    }

    fn full(&mut self) -> Option<Bytes> {
        Writer::full(self, CHUNK).map(Into::into)
    }

    fn finish(self) -> Bytes {
        Writer::finish(self).into()
    }
}

/// A list of rows that are made from members.
pub(in crate::http) struct Mapped<R: 'static, F>(pub(in crate::http) Writer<R>, pub(in crate::http) F);

impl<R: 'static, F: Fn(UserVisits) -> R + Send + 'static> List for Mapped<R, F> {
    const TELLS_MORE: bool = true;

    fn add(&mut self, member: UserVisits) {
        self.0.row(&(self.1)(member));
    }

    fn full(&mut self) -> Option<Bytes> {
        self.0.full(CHUNK).map(Into::into)
    }

    fn finish(self) -> Bytes {
        self.0.finish().into()
    }
}

/// The map of the legacy service.
#[derive(Debug)]
pub(in crate::http) struct Map(String);

impl Default for Map {
    fn default() -> Self {
        Self("{".to_owned())
    }
}

impl List for Map {
    const TELLS_MORE: bool = false;

    fn add(&mut self, member: UserVisits) {
        let entry = serde_json::to_string(&Entry::of(&member)).unwrap_or_default();
        let comma = if self.0.ends_with('{') { "" } else { "," };
        let _ = write!(self.0, "{comma}\"{}\":{entry}", member.user_id);
    }

    fn full(&mut self) -> Option<Bytes> {
        (self.0.len() >= CHUNK).then(|| std::mem::take(&mut self.0).into())
    }

    fn finish(self) -> Bytes {
        (self.0 + "}\n").into()
    }
}

//! Sends lists of members of any length while they are read. Only a few chunks are in memory at a time.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header},
    response::{IntoResponse as _, Response},
};
use futures_util::{StreamExt as _, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::{
    sync::{
        mpsc::{self, Receiver},
        oneshot,
    },
    time::timeout,
};

use crate::{
    graphql::execution::limits::Limit,
    http::{
        answers,
        connections::memory::Room,
        error::Failure,
        packing::{self, Packer},
        rest::{legacy::Entry, request::Request, table::Writer},
    },
    reports::{
        Argument, Error, UserVisitsParts, checked_size,
        filter::UserVisitsFilter,
        model::UserVisits,
        page::{Page, UserVisitsOrder},
        range::DateRange,
    },
};

/// The least bytes in a chunk, except the last.
const CHUNK: usize = 32 << 10;
/// The most chunks that wait for the client.
const WAITING: usize = 4;
/// A client that accepts no data for this time is considered gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// The trailer with the number of members that were sent: a list without it is not whole.
pub(in crate::http) const ROW_COUNT: HeaderName = HeaderName::from_static("x-row-count");

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

/// The answer with the list. A failure before the first chunk is a failure of the request. A later failure aborts the body,
/// so that clients notice that it is incomplete; a trailer says how many members a whole list has. In HTTP/1.0, a body
/// that was aborted looks like one that ended, so that the list is read before the first byte is sent.
pub(in crate::http) async fn members<L: List>(
    request: &Request,
    filter: UserVisitsFilter,
    order: UserVisitsOrder,
    mut list: L,
    range: DateRange,
) -> Result<Response, Failure> {
    let page = match request.whole("first")? {
        Some(first) => Page::first(checked_size(Argument::FIRST, first, i32::MAX as usize)?),
        None => Page::all(),
    };
    let gateway = &request.gateway;
    // HTTP/1.0 gets the whole list at once, with its length.
    let mut packer = (request.version >= Version::HTTP_11 && packing::accepts(&request.headers)).then(Packer::new);
    let mut question = request.question();
    question.details.push_str(if packer.is_some() { "gzip" } else { "" });
    let tag = gateway.answers.tag(&gateway.reports, &question).await;
    let dressed = |mut response: Response| {
        let headers = response.headers_mut();
        headers.extend(tag.clone().map(|tag| (header::ETAG, tag)));
        request.dressed(response, range)
    };
    if tag.as_ref().is_some_and(|tag| answers::is_known(&request.headers, tag)) {
        return Ok(dressed(StatusCode::NOT_MODIFIED.into_response()));
    }
    let shares = &gateway.export_shares;
    let share = shares.take(request.client.address());
    let share = share.ok_or(Failure::Limit(Limit::ExportsPerAddress, shares.most()))?;
    let under_way = gateway.exports.clone().try_acquire_owned();
    let under_way = under_way.map_err(|_| Failure::Limit(Limit::Exports, gateway.exports_max))?;
    let parts = UserVisitsParts {
        visit_times: L::TELLS_MORE,
        membership: true,
        names: L::TELLS_MORE,
        ..UserVisitsParts::default()
    };
    let (sender, mut chunks) = mpsc::channel::<Result<Bytes, Failure>>(WAITING);
    let (tell, told) = oneshot::channel();
    let session = Arc::clone(&request.session);
    // The process waits for this task before it ends, as for any request.
    gateway.ending.tasks.spawn(async move {
        let slot = (under_way, share);
        let mut rows: u64 = 0;
        let read = session.each_user_visits(&filter, order, &page, parts, |member| {
            list.add(member);
            rows += 1;
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
        if end.is_ok() {
            let _ = tell.send(rows);
        }
        // Whoever has the end of the list may ask for the next one.
        drop((slot, session));
        let _ = timeout(PATIENCE, sender.send(end)).await;
    });
    if request.version < Version::HTTP_11 {
        let body = whole(request, chunks).await?;
        return Ok(dressed(([(header::CONTENT_TYPE, request.format.header())], body).into_response()));
    }
    let Some(begin) = chunks.recv().await else { return Err(Failure::Internal) };
    let mut begin = begin?;
    let mut response = Response::default();
    packer = packer.filter(|_| begin.len() >= packing::WORTH);
    if let Some(packer) = &mut packer {
        begin = packer.piece(&begin);
        response.headers_mut().insert(header::CONTENT_ENCODING, packing::GZIP);
    }
    let rest = stream::unfold(Some((chunks, told, packer)), |left| async {
        let (mut chunks, told, mut packer) = left?;
        match chunks.recv().await {
            Some(Ok(mut chunk)) => {
                if let Some(packer) = &mut packer {
                    chunk = packer.piece(&chunk);
                }
                Some((Ok(Frame::data(chunk)), Some((chunks, told, packer))))
            }
            Some(Err(failure)) => Some((Err(Broken(failure.message())), None)),
            None if packer.is_some() => {
                let end = packer.map(Packer::finish).unwrap_or_default();
                Some((Ok(Frame::data(end.into())), Some((chunks, told, None))))
            }
            None => {
                let trailer = match told.await {
                    Ok(rows) => Ok(Frame::trailers(HeaderMap::from_iter([(ROW_COUNT, HeaderValue::from(rows))]))),
                    Err(_) => Err(Broken(Failure::Internal.message())),
                };
                Some((trailer, None))
            }
        }
    });
    let body = StreamBody::new(stream::iter([Ok(Frame::data(begin))]).chain(rest));
    *response.body_mut() = Body::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, request.format.header());
    response.headers_mut().insert(header::TRAILER, HeaderValue::from_name(ROW_COUNT));
    Ok(dressed(response))
}

/// The whole list, if it fits into the memory of an answer.
async fn whole(request: &Request, mut chunks: Receiver<Result<Bytes, Failure>>) -> Result<Body, Failure> {
    let gateway = &request.gateway;
    let maximum = gateway.config.limits.response_bytes;
    let (mut list, mut room) = (Vec::new(), Room::default());
    while let Some(chunk) = chunks.recv().await {
        let chunk = chunk?;
        if list.len() + chunk.len() > maximum {
            return Err(Failure::TooLongForHttp10(maximum));
        }
        gateway.load.widen(&mut room, list.len() + chunk.len())?;
        list.extend_from_slice(&chunk);
    }
    Ok(Bytes::from_owner(Held(list, room)).into())
}

/// A list in memory, which is counted until it is sent.
struct Held(Vec<u8>, #[expect(dead_code, reason = "counts until it is dropped")] Room);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
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

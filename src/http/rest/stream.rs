//! Lists of members of any length, sent while they are read: never more of them in memory than a few chunks.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::body::{Body, Bytes};
use futures_util::{StreamExt as _, stream};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    graphql::execution::limits::Limit,
    http::{
        Gateway,
        error::Failure,
        rest::{Asking, failure, legacy::Entry, renamed, table::Writer},
    },
    reports::{
        Error, UserVisitsParts, checked_size,
        filter::UserVisitsFilter,
        model::UserVisits,
        page::{Page, UserVisitsOrder},
    },
};

/// What is sent at once.
const CHUNK: usize = 32 << 10;
/// Chunks that wait for the client.
const WAITING: usize = 4;
/// A client that takes nothing for so long has gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// The members as a body. What fails before the first chunk is a failure of the request; after it, the body breaks
/// off, and no client takes it for whole.
pub(in crate::http) async fn members(
    gateway: &Gateway,
    asking: &Asking,
    filter: UserVisitsFilter,
    order: UserVisitsOrder,
    mut list: List,
) -> Result<Body, Failure> {
    let first = asking.asked.whole("first").map_err(|error| renamed(&error))?;
    let page = match first {
        Some(first) => Page::first(checked_size("first", first, i32::MAX as usize).map_err(|error| renamed(&error))?),
        None => Page::all(),
    };
    let under_way = gateway.exports.clone().try_acquire_owned();
    let under_way = under_way.map_err(|_| Failure::Limit(Limit::Exports, gateway.exports_max))?;
    let is_rows = matches!(list, List::Rows(..));
    let parts =
        UserVisitsParts { visit_times: is_rows, membership: true, names: is_rows, ..UserVisitsParts::default() };
    let (sender, mut chunks) = mpsc::channel::<Result<Bytes, Failure>>(WAITING);
    let session = Arc::clone(&asking.session);
    // A stop waits for it, as for any request.
    gateway.ending.tasks.spawn(async move {
        let _under_way = under_way;
        let read = session.each_user_visits(&filter, order, &page, parts, |member| {
            list.add(member);
            let chunk = list.full()?;
            let sender = sender.clone();
            Some(Box::pin(async move {
                match timeout(PATIENCE, sender.send(Ok(chunk))).await {
                    Ok(Ok(())) => Ok(()),
                    // Nobody reads any more: the rest need not be read either.
                    _ => Err(Error::Unavailable(None)),
                }
            }))
        });
        let end = read.await.map(|()| list.finish()).map_err(failure);
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

/// A body that broke off.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Broken(String);

/// A list on its way out: rows, or the legacy service's map.
pub(in crate::http) enum List {
    Rows(Writer, Row),
    Map(String),
}

/// Writes a member's row.
type Row = Box<dyn Fn(&mut Writer, UserVisits) + Send>;

impl List {
    /// A list of the report's rows.
    pub(in crate::http) fn rows(asking: &Asking, row: impl Fn(&mut Writer, UserVisits) + Send + 'static) -> Self {
        Self::Rows(Writer::new(asking.format, asking.report.columns), Box::new(row))
    }

    /// The legacy service's map.
    pub(in crate::http) fn map() -> Self {
        Self::Map("{".to_owned())
    }

    fn add(&mut self, member: UserVisits) {
        match self {
            Self::Rows(writer, row) => row(writer, member),
            Self::Map(written) => {
                let entry = serde_json::to_string(&Entry::of(&member)).unwrap_or_default();
                let comma = if written.ends_with('{') { "" } else { "," };
                let _ = write!(written, "{comma}\"{}\":{entry}", member.user_id);
            }
        }
    }

    fn full(&mut self) -> Option<Bytes> {
        match self {
            Self::Rows(writer, _) => writer.full(CHUNK).map(Into::into),
            Self::Map(written) => (written.len() >= CHUNK).then(|| std::mem::take(written).into()),
        }
    }

    fn finish(self) -> Bytes {
        match self {
            Self::Rows(writer, _) => writer.finish().into(),
            Self::Map(written) => (written + "}\n").into(),
        }
    }
}

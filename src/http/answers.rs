//! A cache of answers, as bytes. An answer is valid as long as the data does not change. A repeated question is
//! answered from the cache, without execution. The same question from many requests at once is executed once.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use moka::{future::Cache, policy::EvictionPolicy};
use sha2::{Digest as _, Sha256};

use super::error::challenge;
use crate::{
    graphql::RequestedOperation,
    metrics,
    reports::{Reports, Version},
};

/// The bytes that an entry takes besides its texts and its body.
const ENTRY_BYTES: usize = 512;

/// Everything that an answer depends on besides the data and the time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    /// The document, or the path of a report.
    pub(super) text: Arc<str>,
    /// The name of the operation, the variables as JSON, and the format of the answer.
    pub(super) details: String,
}

/// An answer, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) media_type: HeaderValue,
    pub(super) body: Bytes,
    /// The GraphQL operation that it answers.
    pub(super) operation: Option<RequestedOperation>,
    tag: Arc<OnceLock<HeaderValue>>,
    made: Instant,
}

impl Answer {
    pub(super) fn new(status: StatusCode, media_type: HeaderValue, body: Bytes) -> Self {
        Self { status, media_type, body, operation: None, tag: Arc::default(), made: Instant::now() }
    }

    /// The kind of operation that it answers, as a word from a fixed list.
    pub(super) fn kind(&self) -> &'static str {
        self.operation.as_ref().map_or("unknown", RequestedOperation::kind)
    }

    /// The hash of the body as an entity tag, computed when a request first needs it.
    fn tag(&self) -> &HeaderValue {
        self.tag.get_or_init(|| {
            let hash = Sha256::digest(&self.body);
            HeaderValue::from_str(&format!("\"{hash:x}\"")).unwrap_or(HeaderValue::from_static("\"\""))
        })
    }

    /// The response to a conditional request: 304 when the client already has this answer.
    pub(super) fn tagged(&self, request: &HeaderMap) -> Response {
        let known = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
        let mut known = known.flat_map(|tags| tags.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
        let mut response = if known.any(|tag| tag == "*" || tag.as_bytes() == self.tag().as_bytes()) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.response()
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.tag().clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        self.with_operation(response)
    }

    /// The response, with its age in seconds since it was computed. The caller of this function has checked that the
    /// answer is still valid.
    pub(super) fn response(&self) -> Response {
        let mut response = (self.status, Body::from(self.body.clone())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.media_type.clone());
        headers.insert(header::AGE, self.made.elapsed().as_secs().into());
        if let Some(challenge) = challenge(self.status) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        self.with_operation(response)
    }

    /// Adds the operation, for the log.
    fn with_operation(&self, mut response: Response) -> Response {
        if let Some(operation) = &self.operation {
            response.extensions_mut().insert(operation.clone());
        }
        response
    }
}

/// Whether the client refuses cached answers.
pub(super) fn wants_anew(request: &HeaderMap) -> bool {
    let values = request.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| matches!(part.trim(), "no-cache" | "no-store" | "max-age=0"))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    version: Version,
    quarter: i64,
    question: Question,
}

/// The cache of answers. Cheap to clone.
#[derive(Clone)]
pub struct Answers {
    kept: Option<Cache<Key, Answer>>,
}

impl Answers {
    /// A cache of at most this number of bytes; 0 disables it.
    pub(super) fn new(bytes: u64) -> Self {
        let weigh = |key: &Key, answer: &Answer| {
            let size = key.question.text.len() + key.question.details.len() + answer.body.len() + ENTRY_BYTES;
            u32::try_from(size).unwrap_or(u32::MAX)
        };
        // Answers for an older version of the data are never requested again, so the least recently used are evicted.
        let cache =
            || Cache::builder().max_capacity(bytes).weigher(weigh).eviction_policy(EvictionPolicy::lru()).build();
        Self { kept: (bytes > 0).then(cache) }
    }

    /// The approximate number of cached answers, and of their bytes.
    pub(super) fn kept(&self) -> (u64, u64) {
        self.kept.as_ref().map_or((0, 0), |kept| (kept.entry_count(), kept.weighted_size()))
    }

    /// The answer to `question`: from the cache if it has a valid one, otherwise from `compute`. The computed answer is
    /// cached unless `compute` fails. With `anew`, the answer is always computed.
    pub(super) async fn find<E: Clone + Send + Sync + 'static>(
        &self,
        reports: &Reports,
        question: Question,
        anew: bool,
        compute: impl Future<Output = Result<Answer, E>>,
    ) -> Result<Answer, E> {
        // On the heap: the future is large, and most requests never poll it.
        let compute = Box::pin(compute);
        let Some(kept) = &self.kept else { return compute.await };
        let Some(version) = reports.version().await else {
            metrics::answer_found("bypass");
            return compute.await;
        };
        let key = Key { version, quarter: reports.quarter(), question };
        if anew {
            metrics::answer_found("bypass");
            let answer = compute.await?;
            kept.insert(key, answer.clone()).await;
            return Ok(answer);
        }
        let mut is_hit = true;
        let computed = async {
            is_hit = false;
            compute.await
        };
        let answer = kept.try_get_with(key, computed).await.map_err(|error: Arc<E>| (*error).clone());
        metrics::answer_found(if is_hit { "hit" } else { "miss" });
        metrics::answers_kept(kept.weighted_size());
        answer
    }
}

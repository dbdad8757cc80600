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
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{error::challenge, packing};
use crate::{
    graphql::RequestedOperation,
    metrics,
    reports::{Reports, Version},
};

/// The bytes that an entry takes besides its texts and its body.
const ENTRY_BYTES: usize = 512;

/// What an answer depends on: the format, the compression, and the caller's scopes.
pub(super) const VARY: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding, Authorization, X-Api-Key");

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
    is_packed: bool,
    /// The same answer compressed, once a client accepted that.
    packed: Arc<OnceCell<Box<Answer>>>,
}

impl Answer {
    pub(super) fn new(status: StatusCode, media_type: HeaderValue, body: Bytes) -> Self {
        Self {
            status,
            media_type,
            body,
            operation: None,
            tag: Arc::default(),
            made: Instant::now(),
            is_packed: false,
            packed: Arc::default(),
        }
    }

    /// Whether to send this client the answer compressed.
    fn is_packed_for(&self, request: &HeaderMap) -> bool {
        self.body.len() >= packing::WORTH && packing::accepts(request)
    }

    /// The answer as this client accepts it: compressed where that is worth it, once for all clients.
    pub(super) async fn fitting(self, request: &HeaderMap) -> Self {
        if !self.is_packed_for(request) {
            return self;
        }
        let pack = async || {
            let body = packing::packed(self.body.clone()).await.ok_or(())?;
            Ok::<_, ()>(Box::new(Self {
                body,
                is_packed: true,
                tag: Arc::default(),
                packed: Arc::default(),
                ..self.clone()
            }))
        };
        match self.packed.get_or_try_init(pack).await {
            Ok(packed) => (**packed).clone(),
            Err(()) => self,
        }
    }

    /// The kind of operation that it answers, as a word from a fixed list.
    pub(super) fn kind(&self) -> &'static str {
        self.operation.as_ref().map_or("unknown", RequestedOperation::kind)
    }

    /// The hash of the body as it is sent as an entity tag, computed when a request first needs it.
    fn tag(&self) -> &HeaderValue {
        self.tag.get_or_init(|| {
            let hash = Sha256::digest(&self.body);
            HeaderValue::from_str(&format!("\"{hash:x}\"")).unwrap_or(HeaderValue::from_static("\"\""))
        })
    }

    /// The response to a conditional request: 304 when the client already has this answer.
    pub(super) fn tagged(&self, request: &HeaderMap) -> Response {
        let mut response =
            if is_known(request, self.tag()) { StatusCode::NOT_MODIFIED.into_response() } else { self.response() };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.tag().clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(header::VARY, VARY);
        self.with_operation(response)
    }

    /// The response, with its age in seconds since it was computed. The caller of this function has checked that the
    /// answer is still valid.
    pub(super) fn response(&self) -> Response {
        let mut response = (self.status, Body::from(self.body.clone())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.media_type.clone());
        headers.insert(header::AGE, self.made.elapsed().as_secs().into());
        headers.insert(header::VARY, VARY);
        if self.is_packed {
            headers.insert(header::CONTENT_ENCODING, packing::GZIP);
        }
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

/// Whether the client already has the answer with this entity tag.
pub(super) fn is_known(request: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    let mut known = known.flat_map(|tags| tags.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    known.any(|known| known == "*" || known.as_bytes() == tag.as_bytes())
}

/// Whether the client refuses cached answers.
fn wants_anew(request: &HeaderMap) -> bool {
    let values = request.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| matches!(part.trim(), "no-cache" | "no-store" | "max-age=0"))
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    version: Version,
    quarter: i64,
    question: Question,
}

/// The cache of answers. Cheap to clone.
#[derive(Clone)]
pub struct Answers {
    kept: Option<Cache<Key, Answer>>,
    /// Differs for each process, because versions of the data may be those of a connection.
    process: Uuid,
}

impl Answers {
    /// A cache of at most this number of bytes; 0 disables it.
    pub(super) fn new(bytes: u64) -> Self {
        let weigh = |key: &Key, answer: &Answer| {
            let packed = answer.packed.get().map_or(0, |packed| packed.body.len());
            let size = key.question.text.len() + key.question.details.len() + answer.body.len() + packed + ENTRY_BYTES;
            u32::try_from(size).unwrap_or(u32::MAX)
        };
        // Answers for an older version of the data are never requested again, so the least recently used are evicted.
        let cache =
            || Cache::builder().max_capacity(bytes).weigher(weigh).eviction_policy(EvictionPolicy::lru()).build();
        Self { kept: (bytes > 0).then(cache), process: Uuid::new_v4() }
    }

    /// The entity tag of an answer that is not kept, since it is sent while it is read: it is the same while the data
    /// and the question are. None when the version of the data cannot be found.
    pub(super) async fn tag(&self, reports: &Reports, question: &Question) -> Option<HeaderValue> {
        let version = reports.version().await?;
        let Question { text, details } = question;
        let state = format!("{}\0{version:?}\0{}\0{text}\0{details}", self.process, reports.quarter());
        HeaderValue::from_str(&format!("\"{:x}\"", Sha256::digest(state))).ok()
    }

    /// The approximate number of cached answers, and of their bytes.
    pub(super) fn kept(&self) -> (u64, u64) {
        self.kept.as_ref().map_or((0, 0), |kept| (kept.entry_count(), kept.weighted_size()))
    }

    /// The answer to `question`: from the cache if it has a valid one, otherwise from `compute`. The computed answer is
    /// cached unless `compute` fails. It is compressed if the client of `request` accepts that, and always computed if
    /// the client refuses cached answers.
    pub(super) async fn find<E: Clone + Send + Sync + 'static>(
        &self,
        reports: &Reports,
        question: Question,
        request: &HeaderMap,
        compute: impl AsyncFnOnce() -> Result<Answer, E>,
    ) -> Result<Answer, E> {
        // On the heap, and made only when it is needed: the future is large.
        let compute = || Box::pin(compute());
        let Some(kept) = &self.kept else { return Ok(compute().await?.fitting(request).await) };
        let Some(version) = reports.version().await else {
            metrics::answer_found("bypass");
            return Ok(compute().await?.fitting(request).await);
        };
        let key = Key { version, quarter: reports.quarter(), question };
        if wants_anew(request) {
            metrics::answer_found("bypass");
            let answer = compute().await?;
            let fitting = answer.clone().fitting(request).await;
            kept.insert(key, answer).await;
            return Ok(fitting);
        }
        let answer = if let Some(answer) = kept.get(&key).await {
            metrics::answer_found("hit");
            answer
        } else {
            let mut is_hit = true;
            let computed = async {
                is_hit = false;
                compute().await
            };
            let answer = kept.try_get_with_by_ref(&key, computed).await.map_err(|error: Arc<E>| (*error).clone());
            metrics::answer_found(if is_hit { "hit" } else { "miss" });
            answer?
        };
        metrics::answers_kept(kept.weighted_size());
        if answer.packed.initialized() || !answer.is_packed_for(request) {
            return Ok(answer.fitting(request).await);
        }
        let fitting = answer.clone().fitting(request).await;
        // Inserted again, so that the compressed bytes count.
        kept.insert(key, answer).await;
        Ok(fitting)
    }
}

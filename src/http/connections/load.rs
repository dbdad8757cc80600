//! How much is done at once: what is beyond is refused at once, before memory or the database's connections
//! suffer. Probes are not counted.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::Response,
};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    config::server::ServerConfig,
    http::{
        connections::memory::{Memory, Room},
        error::Failure,
    },
};

/// Answers up to this size are sent at once; larger ones in such pieces, and counted until they are gone.
const PIECE: usize = 64 << 10;

/// What is under way. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Load {
    requests: Arc<Semaphore>,
    bytes: Memory,
}

impl Load {
    pub(in crate::http) fn new(config: &ServerConfig) -> Self {
        Self { requests: Arc::new(Semaphore::new(config.max_requests)), bytes: Memory::new(config.in_flight_bytes) }
    }

    /// A place among the answers that are computed at once. To be taken once the request was read: whoever sends
    /// slowly keeps nobody waiting.
    pub(in crate::http) fn begin(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.requests).try_acquire_owned().map_err(|_| Failure::Overloaded)
    }

    /// Makes room for so many bytes of a request's body.
    pub(in crate::http) fn widen(&self, room: &mut Room, bytes: usize) -> Result<(), Failure> {
        if self.bytes.widen(room, bytes) { Ok(()) } else { Err(Failure::Overloaded) }
    }

    /// The response with a body that is counted until the client took it, where it is large.
    pub(in crate::http) fn send(&self, response: Response, body: &Bytes) -> Result<Response, Failure> {
        if body.len() <= PIECE {
            return Ok(response);
        }
        let mut room = Room::default();
        self.widen(&mut room, body.len())?;
        let pieces = stream::unfold((body.clone(), room), |(mut left, room)| async {
            let piece = left.split_to(left.len().min(PIECE));
            (!piece.is_empty()).then_some((Ok::<_, std::convert::Infallible>(piece), (left, room)))
        });
        let (mut parts, _) = response.into_parts();
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        Ok(Response::from_parts(parts, Body::from_stream(pieces)))
    }

    /// Requests that may be begun, and bytes that are free.
    pub(in crate::http) fn free(&self) -> (usize, usize) {
        (self.requests.available_permits(), self.bytes.free())
    }
}

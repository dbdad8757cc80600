//! Limits on concurrent work. Work beyond a limit is refused at once, before memory or database connections run out.
//! Probes are not counted.

use std::{net::IpAddr, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::Response,
};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    config::server::ServerConfig,
    graphql::execution::limits::Limit,
    http::{
        connections::{
            memory::{Memory, Room},
            shares::{Share, Shares},
        },
        error::Failure,
    },
    metrics,
};

/// Answers up to this size are sent at once. Larger ones are sent in pieces of this size, and are counted until they
/// are sent.
const PIECE: usize = 64 << 10;

/// The work in progress. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Load {
    requests: Arc<Semaphore>,
    shares: Shares,
    bytes: Memory,
}

/// A slot among the answers that are computed at the same time, until it is dropped.
#[derive(Debug)]
pub(in crate::http) struct Slot {
    _permit: OwnedSemaphorePermit,
    _share: Share,
}

impl Load {
    pub(in crate::http) fn new(config: &ServerConfig) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(config.max_requests)),
            shares: Shares::new(config.max_requests, config.address_percent),
            bytes: Memory::new(config.in_flight_bytes),
        }
    }

    /// A slot among the answers that are computed at the same time, for a client of this address. Take it after the
    /// request was read, so that slow senders do not occupy slots.
    pub(in crate::http) fn begin(&self, address: Option<IpAddr>) -> Result<Slot, Failure> {
        let refused = |failure: Failure| {
            metrics::request_refused(failure.reason());
            failure
        };
        let most = self.shares.most();
        let share = self.shares.take(address);
        let share = share.ok_or_else(|| refused(Failure::Limit(Limit::RequestsPerAddress, most)))?;
        let permit = Arc::clone(&self.requests).try_acquire_owned().map_err(|_| refused(Failure::Overloaded))?;
        Ok(Slot { _permit: permit, _share: share })
    }

    /// Reserves memory for this number of bytes.
    pub(in crate::http) fn widen(&self, room: &mut Room, bytes: usize) -> Result<(), Failure> {
        if self.bytes.widen(room, bytes) { Ok(()) } else { Err(Failure::Overloaded) }
    }

    /// The response. A body larger than [`PIECE`] is counted until the client has received it.
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

    /// The number of free slots for requests, and of free bytes.
    pub(in crate::http) fn free(&self) -> (usize, usize) {
        (self.requests.available_permits(), self.bytes.free())
    }
}

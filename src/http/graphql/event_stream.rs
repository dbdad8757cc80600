//! Answers as server-sent events, over plain HTTP.
//! Sources: <https://html.spec.whatwg.org/multipage/server-sent-events.html>; "distinct connections mode" of
//! <https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverSSE.md>

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, header},
    response::{IntoResponse as _, Response},
};
use futures_util::{StreamExt as _, stream};
use tokio::time::timeout;

use crate::{
    access::Denied,
    http::{
        connections::{admission::Client, memory::Room},
        error::Failure,
        graphql::{
            Gateway,
            accept::EVENT_STREAM,
            answering::{Answering, crowded},
        },
    },
    metrics::Counted,
};

/// After this time without an answer a comment is sent, so that proxies keep the connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const COMMENT: &[u8] = b":\n\n";
/// The message when the credential of a connection is no longer valid.
pub(super) const EXPIRED: &str = "The API key or token has expired, or was withdrawn: connect again.";
/// With an empty `data` line, because browsers ignore events without one.
const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";
/// Tells proxies not to buffer events.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Sends each answer as an event `next`, and `complete` after the last. When the gateway stops, the stream ends without
/// `complete`, so that clients connect again.
pub(super) fn respond(gateway: &Gateway, client: &Client, answering: Answering) -> Result<Response, Failure> {
    let place = gateway.live.connect(client.address())?;
    let caller = client.caller.clone();
    let held = (place, Counted::live_connection("sse"), answering.is_followed().then(Counted::subscription));
    let begun = (gateway.clone(), caller, answering, Room::default(), held);
    let events = stream::unfold(Some(begun), |state| async {
        let (gateway, caller, mut answering, mut room, held) = state?;
        if !gateway.authenticator.still_holds(&caller) {
            let expired = Failure::from(&Denied::Invalid(EXPIRED));
            return Some((event(expired.body().as_bytes()), None));
        }
        let (bytes, answering) = match timeout(KEEP_ALIVE, answering.next()).await {
            Ok(Some(told)) if gateway.live.memory().widen(&mut room, told.body.len()) => (event(&told.body), answering),
            Ok(Some(_)) => (event(&crowded(&gateway).await.body), Answering::Over),
            Ok(None) => return Some((Bytes::from_static(COMPLETE), None)),
            Err(_) => (Bytes::from_static(COMMENT), answering),
        };
        Some((bytes, Some((gateway, caller, answering, room, held))))
    });
    let events = events.map(Ok::<_, Infallible>).take_until(gateway.live.stopped());
    let headers = [(header::CONTENT_TYPE, EVENT_STREAM), (header::CACHE_CONTROL, "no-cache"), (BUFFERING, "no")];
    Ok((headers, Body::from_stream(events)).into_response())
}

/// An event with an answer, which is JSON on one line.
fn event(body: &[u8]) -> Bytes {
    [b"event: next\ndata: ", body, b"\n\n"].concat().into()
}

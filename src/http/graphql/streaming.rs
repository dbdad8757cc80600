//! Answers over plain HTTP, one after the other: as server-sent events, or as the parts of a body.
//! Sources: <https://html.spec.whatwg.org/multipage/server-sent-events.html>; "distinct connections mode" of
//! <https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverSSE.md>;
//! <https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol>

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
            accept::Form,
            answering::{Answering, crowded},
        },
    },
    metrics::Counted,
};

/// The message when the credential of a connection is no longer valid.
pub(super) const EXPIRED: &str = "The API key or token has expired, or was withdrawn: connect again.";
/// Tells proxies not to buffer answers.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Sends each answer as soon as there is one, and an end after the last. When the gateway stops, the stream ends without
/// that, so that clients connect again.
pub(super) fn respond(
    gateway: &Gateway,
    client: &Client,
    form: Form,
    answering: Answering,
) -> Result<Response, Failure> {
    let place = gateway.live.connect(client.address())?;
    let caller = client.caller.clone();
    let held = (place, Counted::live_connection(form.name()), answering.is_followed().then(Counted::subscription));
    let begun = (gateway.clone(), caller, answering, Room::default(), held);
    let answers = stream::unfold(Some(begun), move |state| async move {
        let (gateway, caller, mut answering, mut room, held) = state?;
        if !gateway.authenticator.still_holds(&caller) {
            let expired = Failure::from(&Denied::Invalid(EXPIRED));
            return Some((form.refusal(expired.body().as_bytes()), None));
        }
        let (bytes, answering) = match timeout(form.rest(), answering.next()).await {
            Ok(Some(told)) if gateway.live.memory().widen(&mut room, told.body.len()) => {
                (form.answer(&told.body), answering)
            }
            Ok(Some(_)) => (form.answer(&crowded(&gateway).await.body), Answering::Over),
            Ok(None) => return Some((form.end(), None)),
            Err(_) => (form.heartbeat(), answering),
        };
        Some((bytes, Some((gateway, caller, answering, room, held))))
    });
    let answers = stream::iter(form.begin()).chain(answers).map(Ok::<_, Infallible>).take_until(gateway.live.stopped());
    let headers = [(header::CONTENT_TYPE, form.media_type()), (header::CACHE_CONTROL, "no-cache"), (BUFFERING, "no")];
    Ok((headers, Body::from_stream(answers)).into_response())
}

/// How answers follow each other. A part of a body is complete only with the delimiter behind it, so each is sent with
/// that delimiter.
impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Events => "sse",
            Self::Parts => "multipart",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::Parts => "multipart/mixed; boundary=\"graphql\"; subscriptionSpec=\"1.0\"",
        }
    }

    /// After this time without an answer, a sign of life is sent, so that proxies and clients keep the connection.
    fn rest(self) -> Duration {
        match self {
            Self::Events => Duration::from_secs(15),
            Self::Parts => Duration::from_secs(5),
        }
    }

    fn begin(self) -> Option<Bytes> {
        (self == Self::Parts).then_some(Bytes::from_static(b"\r\n--graphql"))
    }

    /// An answer, which is JSON on one line.
    fn answer(self, body: &[u8]) -> Bytes {
        match self {
            Self::Events => [b"event: next\ndata: ", body, b"\n\n"].concat().into(),
            Self::Parts => part(&[b"{\"payload\":", body, b"}"].concat()),
        }
    }

    /// The errors that end the stream: not of an operation, but of the connection.
    fn refusal(self, body: &[u8]) -> Bytes {
        match (self, body.strip_prefix(b"{")) {
            (Self::Parts, Some(rest)) => part(&[b"{\"payload\":null,", rest].concat()),
            _ => self.answer(body),
        }
    }

    fn heartbeat(self) -> Bytes {
        match self {
            Self::Events => Bytes::from_static(b":\n\n"),
            Self::Parts => part(b"{}"),
        }
    }

    fn end(self) -> Bytes {
        Bytes::from_static(match self {
            // With an empty `data` line, because browsers ignore events without one.
            Self::Events => b"event: complete\ndata:\n\n",
            Self::Parts => b"--\r\n",
        })
    }
}

fn part(json: &[u8]) -> Bytes {
    [b"\r\nContent-Type: application/json; charset=utf-8\r\n\r\n", json, b"\r\n--graphql"].concat().into()
}

//! Several requests in one body, for clients that collect what they ask. Off unless `BATCH_MAX` allows it.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use futures_util::future::join_all;

use crate::http::{
    answers::Answer,
    connections::admission::Client,
    error::Failure,
    graphql::{Gateway, Transport, accept::MediaType, answer, noted, parameters::Parameters},
};

/// The answers, in the order of the requests. Each request has its own limits, slot and cost, and fails alone.
pub(super) async fn respond(
    gateway: &Gateway,
    client: &Client,
    accepted: MediaType,
    headers: &HeaderMap,
    requests: Vec<Result<Parameters, Failure>>,
) -> Result<Response, Failure> {
    // Packed as a whole, not one by one.
    let mut plain = headers.clone();
    plain.remove(header::ACCEPT_ENCODING);
    let plain = &plain;
    let answers = requests.into_iter().enumerate().map(|(number, request)| {
        Box::pin(async move {
            // The first was paid for when the request was admitted.
            if number > 0 {
                client.begin()?;
            }
            let answered = answer(gateway, client, accepted, plain, Transport::Post, request?).await;
            noted(&answered).map(|answer| answer.body.clone()).map_err(Clone::clone)
        })
    });
    let bodies = join_all(answers).await;
    let bodies = bodies.into_iter().map(|body| body.unwrap_or_else(|failure: Failure| failure.body().into()));
    let mut list = b"[".to_vec();
    for (number, body) in bodies.enumerate() {
        if number > 0 {
            list.push(b',');
        }
        list.extend_from_slice(&body);
    }
    list.push(b']');
    let list = Answer::new(StatusCode::OK, MediaType::Json.header(), list.into()).fitting(headers).await;
    gateway.load.send(list.response(), &list.body)
}

//! The answers to an operation over a transport that can carry several: one answer for a query, or a new answer for a
//! subscription whenever the data changed it.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use tokio::time::timeout;

use crate::{
    graphql::execution::limits::Limit,
    http::{
        answers::Answer,
        connections::{admission::Client, memory::Room},
        error::Failure,
        graphql::{
            Gateway, Transport, Unkept,
            accept::MediaType,
            answer, execute,
            live::{Compute, Follower, Told},
            parameters::Parameters,
            persisted::{Found, Refused},
            question, written,
        },
    },
    metrics,
};

/// Always GraphQL's own media type: these transports send the body only.
const WRITTEN_AS: MediaType = MediaType::GraphqlJson;

/// The answers of one operation.
pub(super) enum Answering {
    /// A single answer.
    Once(BoxFuture<'static, Told>),
    /// A subscription.
    Followed(Follower),
    /// All answers were given.
    Over,
}

impl Answering {
    /// Prepares the answers to a request.
    pub(super) async fn begin(gateway: &Gateway, client: &Client, parameters: Parameters) -> Self {
        let found = match gateway.documents.find(&parameters) {
            Ok(found) => found,
            Err(Refused::Failure(failure)) => return Self::Once(ready(told(Err(failure.into()))).boxed()),
            Err(Refused::Error(error)) => return Self::Once(ready(refused(gateway, error).await).boxed()),
        };
        let prepared = (parameters.operation_name.as_deref(), parameters.variables.clone());
        let prepared = gateway.executor.prepare(&found.text, prepared.0, prepared.1, &client.caller);
        match prepared {
            Err(error) => Self::Once(ready(refused(gateway, error).await).boxed()),
            Ok(prepared) if prepared.operation().is_subscription() => {
                let question = question(Transport::Live, WRITTEN_AS, client.caller.scopes, &found, &parameters);
                let compute = || compute(gateway.clone(), client.clone(), found, parameters);
                Self::Followed(gateway.live.follow(question, compute))
            }
            Ok(_) => {
                let (gateway, client) = (gateway.clone(), client.clone());
                let headers = HeaderMap::new();
                let answered = async move {
                    let answered = answer(&gateway, &client, WRITTEN_AS, &headers, Transport::Live, parameters);
                    told(timeout(gateway.request_timeout, answered).await.unwrap_or(Err(Failure::TimedOut.into())))
                };
                Self::Once(answered.boxed())
            }
        }
    }

    /// Whether there may be more than one answer.
    pub(super) fn is_followed(&self) -> bool {
        matches!(self, Self::Followed(_))
    }

    /// The next answer; none after the last one.
    pub(super) async fn next(&mut self) -> Option<Arc<Told>> {
        let told = match self {
            Self::Once(answer) => Some(Arc::new(answer.await)),
            Self::Followed(follower) => follower.next().await,
            Self::Over => None,
        };
        if !self.is_followed() || told.as_ref().is_none_or(|told| told.refused) {
            *self = Self::Over;
        }
        told
    }
}

/// Returns a function that computes the current answer to a subscription. All subscribers with the same question and
/// scopes share it. The first subscriber's budget pays for the first execution; later ones are free.
fn compute(gateway: Gateway, client: Client, found: Found, parameters: Parameters) -> Compute {
    let unpaid = Mutex::new(Some(client.meter.clone()));
    let asked = Arc::new((gateway, client, unpaid, found, parameters, Mutex::<Room>::default()));
    Box::new(move || {
        let asked = Arc::clone(&asked);
        async move {
            let (gateway, client, unpaid, found, parameters, room) = &*asked;
            let meter = unpaid.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            let client = client.shared(meter);
            let question = question(Transport::Live, WRITTEN_AS, client.caller.scopes, found, parameters);
            let (operation, variables) = (parameters.operation_name.as_deref(), parameters.variables.clone());
            let headers = HeaderMap::new();
            let computed = || execute(gateway, &client, WRITTEN_AS, Transport::Live, &found.text, operation, variables);
            let answered = gateway.answers.find(&gateway.reports, question, &headers, computed);
            let answered = timeout(gateway.request_timeout, answered).await;
            let told = told(answered.unwrap_or(Err(Failure::TimedOut.into())));
            if !told.refused {
                gateway.documents.remember(found);
                let fits = gateway
                    .live
                    .memory()
                    .widen(&mut room.lock().unwrap_or_else(PoisonError::into_inner), told.body.len());
                if !fits {
                    return crowded(gateway).await;
                }
            }
            told
        }
        .boxed()
    })
}

/// The refusal when the memory for live answers is used up.
pub(super) async fn crowded(gateway: &Gateway) -> Told {
    let maximum = gateway.config.limits.live_bytes;
    refused(gateway, Limit::LiveBytes.exceeded(maximum, None)).await
}

async fn refused(gateway: &Gateway, error: async_graphql::ServerError) -> Told {
    told(written(gateway, WRITTEN_AS, None, gateway.executor.refuse(error)).await)
}

/// The answer in the form that subscribers get.
fn told(answered: Result<Answer, Unkept>) -> Told {
    let (answer, refused, code) = match answered {
        Ok(answer) => (answer, false, "OK"),
        Err(Unkept::Answer { answer, outcome, code }) => (answer, outcome.is_final(), code),
        Err(Unkept::Failure(failure)) => return Told::from(&failure),
    };
    metrics::graphql_answered(answer.kind(), code);
    Told { body: answer.body, refused }
}

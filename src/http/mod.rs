//! The HTTP interface: routes, and the layers around every request. Connections, GraphQL, REST, pages and the routes
//! for operators are a folder each. None of them queries tables.

mod answers;
pub mod connections;
pub mod error;
mod graphql;
pub mod ops;
mod packing;
mod pages;
mod rest;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing {
    //! See `crate::fuzzing`.
    pub use super::rest::fuzzing::{csv, query_strings};
}

use std::{ops::Deref, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use futures_util::FutureExt as _;
use tokio::{sync::Semaphore, time::timeout};

pub use self::{
    connections::admission::{Peer, Terms},
    graphql::{FolderError, Live, PersistedDocuments},
};
use crate::{
    access::{AccessError, Authenticator, RateLimit},
    config::{Config, graphql::GraphqlConfig},
    database::Database,
    graphql::Executor,
    http::{
        answers::Answers,
        connections::{admission, load::Load, log, shares::Shares},
        error::Failure,
    },
    reports::Reports,
    shutdown::Ending,
};

/// The path of GraphQL.
const GRAPHQL: &str = "/graphql";
/// The path of GraphQL over WebSockets.
const GRAPHQL_SOCKET: &str = "/graphql/ws";

/// What handlers share. Cheap to clone, which every request does several times.
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);

impl Deref for Gateway {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What a [`Gateway`] consists of.
pub struct Shared {
    /// Executes GraphQL documents.
    pub executor: Executor,
    /// The cache of answers.
    pub answers: Answers,
    /// The live answers of subscriptions.
    pub live: Live,
    /// The documents that clients can name by an id.
    pub documents: PersistedDocuments,
    /// The configuration of GraphQL.
    pub config: Arc<GraphqlConfig>,
    /// Identifies callers by their credentials.
    pub authenticator: Authenticator,
    /// The budgets of callers.
    pub rate: RateLimit,
    /// The dashboard, with the name of the space.
    pub(in crate::http) dashboard: Bytes,
    /// The number of trusted proxies in front of the gateway.
    pub proxy_hops: usize,
    /// Whether this port uses TLS.
    pub is_encrypted: bool,
    /// Limits on concurrent work.
    pub load: Load,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// The reports.
    pub reports: Reports,
    /// How the process ends.
    pub ending: Ending,
    /// Slots for lists of members that are being sent.
    pub exports: Arc<Semaphore>,
    /// The number of those slots: one place for heavy questions less than there are, at least 1.
    pub exports_max: usize,
    /// What each address may have of them: twice `MAX_ADDRESS_PERCENT`, because they are few.
    pub(in crate::http) export_shares: Shares,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How long the readiness probe waits for the database.
    pub readiness_timeout: Duration,
    /// Within what time a busy database has answered some statement.
    pub busy_timeout: Duration,
}

/// Why the gateway cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The folder of persisted documents cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The API keys, or the settings of the identity provider, cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
}

impl Gateway {
    /// A gateway for `reports`, configured by `config`, that stops with `ending`. Must be called within a Tokio
    /// runtime.
    ///
    /// # Errors
    /// When the folder of persisted documents, or the configuration of access, cannot be used.
    pub fn new(reports: Reports, config: &Config, ending: Ending) -> Result<Self, GatewayError> {
        let exports_max = Database::heavy_places(config.database.max_connections).saturating_sub(1).max(1);
        Ok(Self(Arc::new(Shared {
            exports: Arc::new(Semaphore::new(exports_max)),
            exports_max,
            export_shares: Shares::new(exports_max, (2 * config.server.address_percent).min(100)),
            answers: Answers::new(config.graphql.cache_bytes),
            live: Live::new(reports.clone(), config, ending.clone()),
            executor: Executor::new(&config.graphql, config.server.pages),
            documents: PersistedDocuments::read(&config.graphql)?,
            config: Arc::new(config.graphql.clone()),
            authenticator: Authenticator::new(&config.access, reports.clock())?,
            rate: RateLimit::new(config.access.rate_limit),
            dashboard: pages::dashboard_of(&config.space, config.reports),
            proxy_hops: config.access.proxy_hops,
            is_encrypted: config.server.tls.is_some(),
            load: Load::new(&config.server),
            body_timeout: config.server.body_timeout,
            reports,
            ending,
            request_timeout: config.server.request_timeout,
            readiness_timeout: config.server.readiness_timeout,
            busy_timeout: config.database.statement_timeout.max(ops::probes::BUSY),
        })))
    }
}

/// Every route, and the layers around them.
pub fn router(gateway: Gateway) -> Router {
    let probes = Router::new()
        .route("/health_check", get(ops::probes::health_check))
        .route("/readiness_check", get(ops::probes::readiness_check))
        .method_not_allowed_fallback(no_such_method);
    let guarded = Router::new()
        .route("/", get(pages::dashboard))
        .route("/dashboard/{file}", get(pages::file))
        .route("/graphiql", get(pages::graphiql))
        .route("/graphiql/{file}", get(pages::file))
        .route("/api/openapi.json", get(rest::openapi::document))
        .route("/api/status", get(ops::status::status))
        .merge(rest::routes())
        .route(GRAPHQL_SOCKET, get(graphql::connect))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(gateway.clone(), admission::admit));
    surround(probes.merge(graphql_routes(&gateway)).merge(guarded), gateway)
}

/// The routes of GraphQL: the only ones that pages of other origins can use, if any origins are allowed.
fn graphql_routes(gateway: &Gateway) -> Router<Gateway> {
    let routes =
        Router::new().route(GRAPHQL, get(graphql::get).post(graphql::post)).method_not_allowed_fallback(no_such_method);
    // Admission is inside the CORS layer, so that pages can read why a request was refused.
    let routes = routes.layer(middleware::from_fn_with_state(gateway.clone(), admission::admit));
    match graphql::cors(&gateway.config.cors_origins) {
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

/// What is around every route: one layer, since each would cost every request two boxes.
fn surround(routes: Router<Gateway>, gateway: Gateway) -> Router {
    routes.layer(middleware::from_fn_with_state(gateway.clone(), around)).with_state(gateway)
}

/// The log is the outermost, so that it sees what becomes of requests that take too long, or whose handler panics.
async fn around(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    log::requests(request, async |request| {
        let media_type = graphql_type(&request);
        let answered = AssertUnwindSafe(next.run(request)).catch_unwind();
        let mut response = match timeout(gateway.request_timeout, answered).await {
            Ok(Ok(response)) => response,
            // The panic was logged where it happened.
            Ok(Err(_panic)) => Failure::Internal.into_response(),
            Err(_) => refused(&gateway, media_type, &Failure::TimedOut),
        };
        let headers = response.headers_mut();
        headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
        // Whole answers say how long they hold; nothing else may outlive its cause in a cache.
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        // 180 days. Only where this port uses TLS: behind a proxy, the header is the proxy's to send.
        if gateway.is_encrypted {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=15552000"));
        }
        response
    })
    .await
}

/// The media type in which a request for GraphQL accepts errors; none for others.
fn graphql_type(request: &Request) -> Option<graphql::MediaType> {
    (request.uri().path() == GRAPHQL).then(|| graphql::media_type(request.headers()))
}

/// The response to a request that reached no handler, or whose handler took too long; for GraphQL, in this media type.
fn refused(gateway: &Gateway, media_type: Option<graphql::MediaType>, failure: &Failure) -> Response {
    match media_type {
        Some(media_type) => graphql::fail(gateway, media_type, failure),
        None => failure.response(),
    }
}

async fn no_such_path(uri: Uri) -> Response {
    Failure::NotFound(uri.path().to_owned()).into_response()
}

/// axum adds the header `Allow`.
async fn no_such_method(method: Method) -> Response {
    Failure::MethodNotAllowed(method, None).into_response()
}

/// A response with a fixed media type.
fn body(media_type: &'static str, body: impl Into<axum::body::Body>) -> Response {
    ([(header::CONTENT_TYPE, media_type)], body.into()).into_response()
}

/// A plain text with the media type HTML, as in the legacy service.
fn legacy_text(status: StatusCode, text: &'static str) -> Response {
    (status, body("text/html; charset=utf-8", text)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{
        clock::Clock,
        config::Config,
        database::{Access, Database},
    };

    #[tokio::test]
    async fn a_panic_is_a_500_and_the_server_goes_on() {
        async fn panics() -> &'static str {
            panic!("on purpose")
        }
        let folder = tempfile::tempdir().unwrap();
        let config = Config::on_file(&folder.path().join("test.db"));
        let database = Database::connect(&config.database, Access::Maintain).await.unwrap();
        let reports = Reports::new(database, Clock::system());
        let gateway = Gateway::new(reports, &config, Ending::default()).unwrap();
        let service =
            surround(Router::new().route("/panic", get(panics)).route("/fine", get(async || "fine")), gateway);
        for (path, status) in [("/panic", 500), ("/fine", 200), ("/panic", 500)] {
            let response = service.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(response.status().as_u16(), status);
            assert!(response.headers().contains_key("x-request-id"));
        }
    }
}

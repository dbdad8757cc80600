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

use std::{any::Any, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio::{sync::Semaphore, time::timeout};
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer};

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

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
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
        Ok(Self {
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
            dashboard: pages::dashboard_of(&config.space),
            proxy_hops: config.access.proxy_hops,
            is_encrypted: config.server.tls.is_some(),
            load: Load::new(&config.server),
            body_timeout: config.server.body_timeout,
            reports,
            ending,
            request_timeout: config.server.request_timeout,
            readiness_timeout: config.server.readiness_timeout,
            busy_timeout: config.database.statement_timeout.max(ops::probes::BUSY),
        })
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

/// The layers around every route. The log is the outermost one, so that it sees the answers of the others.
fn surround(routes: Router<Gateway>, gateway: Gateway) -> Router {
    let sniff = HeaderValue::from_static("nosniff");
    // 180 days. Only where this port uses TLS: behind a proxy, the header is the proxy's to send.
    let transport = gateway.is_encrypted.then(|| HeaderValue::from_static("max-age=15552000"));
    let transport = move |_: &Response| transport.clone();
    // Whole answers say how long they hold; nothing else may outlive its cause in a cache.
    let no_store = HeaderValue::from_static("no-store");
    routes
        .layer(middleware::from_fn_with_state(gateway.clone(), limit_time))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(SetResponseHeaderLayer::if_not_present(header::X_CONTENT_TYPE_OPTIONS, sniff))
        .layer(SetResponseHeaderLayer::overriding(header::STRICT_TRANSPORT_SECURITY, transport))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, no_store))
        .layer(middleware::from_fn(log::requests))
        .with_state(gateway)
}

async fn limit_time(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let headers = request.headers().clone();
    let answer = timeout(gateway.request_timeout, next.run(request)).await;
    answer.unwrap_or_else(|_| refused(&gateway, &path, &headers, &Failure::TimedOut))
}

/// The response to a request that reached no handler, or whose handler took too long.
fn refused(gateway: &Gateway, path: &str, headers: &HeaderMap, failure: &Failure) -> Response {
    if path == GRAPHQL { graphql::refused(gateway, headers, failure) } else { failure.response() }
}

/// The response after a panic, which is logged where it happens.
fn panicked(_cause: Box<dyn Any + Send>) -> Response {
    Failure::Internal.into_response()
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

//! The web pages. They are part of the binary and need no internet access. The dashboard's files are built from `web/`.

use std::sync::LazyLock;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use sha2::{Digest as _, Sha256};

use crate::{
    config::{reports::ReportsConfig, space::SpaceConfig},
    http::{Gateway, body, error::Failure},
};

/// The content security policy of `GraphiQL`: it may run its own scripts and send requests to this service. Its scripts
/// set styles, so inline styles are allowed.
const GRAPHIQL_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                               img-src 'self' data:; font-src 'self' data:; connect-src 'self'; \
                               worker-src 'self' blob:; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";
/// The content security policy of the dashboard: the same, but only with the page's own style sheet, by its hash. Its
/// images may be `data:` URLs.
static DASHBOARD_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let (_, style) = DASHBOARD.split_once("<style>").expect("the page has a style");
    let (style, _) = style.split_once("</style>").expect("which ends");
    let hash = BASE64_STANDARD.encode(Sha256::digest(style));
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'sha256-{hash}'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
    );
    HeaderValue::from_str(&policy).expect("Base64 is ASCII")
});

const DASHBOARD: &str = include_str!("dashboard/index.html");
const GRAPHIQL: &str = include_str!("graphiql/index.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// A file of a page. Files with `gzip` are stored compressed, and sent so to every client, because all browsers support
/// it.
struct Asset {
    path: &'static str,
    media_type: &'static str,
    gzip: bool,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($path:literal, $media_type:expr) => {
        Asset { path: $path, media_type: $media_type, gzip: false, bytes: include_bytes!($path) }
    };
    ($path:literal, $media_type:expr, gzip) => {
        Asset { path: $path, media_type: $media_type, gzip: true, bytes: include_bytes!(concat!($path, ".gz")) }
    };
}

const FILES: [Asset; 11] = [
    asset!("dashboard/LICENSES.txt", TEXT),
    asset!("dashboard/dashboard.js", SCRIPT, gzip),
    asset!("dashboard/de.js", SCRIPT, gzip),
    asset!("dashboard/he.js", SCRIPT, gzip),
    asset!("graphiql/LICENSES.txt", TEXT),
    asset!("graphiql/start.js", SCRIPT),
    asset!("graphiql/style.css", STYLE),
    asset!("graphiql/graphiql.min.css", STYLE, gzip),
    asset!("graphiql/graphiql.min.js", SCRIPT, gzip),
    asset!("graphiql/react.production.min.js", SCRIPT, gzip),
    asset!("graphiql/react-dom.production.min.js", SCRIPT, gzip),
];

/// The dashboard's GraphQL documents, by their hashes.
pub(in crate::http) const DASHBOARD_DOCUMENTS: &str = include_str!("dashboard/documents.json");

/// The dashboard.
pub(in crate::http) async fn dashboard(State(gateway): State<Gateway>) -> Response {
    page(gateway.dashboard.clone(), DASHBOARD_POLICY.clone())
}

/// How the dashboard begins, and its title, which is also its heading.
const START: &str = "<html lang=\"en\"";
const TITLE: &str = " data-words=\"title\">Coworking analytics<";

/// The dashboard of this space: under its name, with its number of desks, its zone and its basis.
pub(in crate::http) fn dashboard_of(space: &SpaceConfig, reports: ReportsConfig) -> Bytes {
    let mut html = DASHBOARD.to_owned();
    if let Some(name) = &space.name {
        let name = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        html = html.replace(TITLE, &format!(">{name}<"));
    }
    let basis = reports.by_use.map(|by_use| if by_use { "USED_AT" } else { "ISSUED_AT" }.to_owned());
    let known = [
        ("capacity", space.capacity.map(|capacity| capacity.to_string())),
        ("zone", reports.time_zone.map(|zone| zone.name().to_owned())),
        ("basis", basis),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some(format!(" data-{name}=\"{}\"", value?)));
    html = html.replacen(START, &format!("{START}{}", known.collect::<String>()), 1);
    html.into()
}

/// The page of `GraphiQL`.
pub(in crate::http) async fn graphiql() -> Response {
    page(GRAPHIQL, HeaderValue::from_static(GRAPHIQL_POLICY))
}

fn page(html: impl Into<Body>, policy: HeaderValue) -> Response {
    let mut response = body("text/html; charset=utf-8", html);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    let mut set = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::CACHE_CONTROL, "no-cache");
    response
}

/// The files' entity tags: hashes of their contents, so that browsers notice a new build of the same version.
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
    let tag = |asset: &Asset| format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(asset.bytes)));
    FILES.iter().map(|asset| HeaderValue::from_str(&tag(asset)).expect("Base64 is ASCII")).collect()
});

/// A file of a page.
pub(in crate::http) async fn file(uri: Uri, request: HeaderMap) -> Result<Response, Failure> {
    let (asset, tag) = FILES
        .iter()
        .zip(TAGS.iter())
        .find(|(asset, _)| uri.path().strip_prefix('/') == Some(asset.path))
        .ok_or_else(|| Failure::NotFound(uri.path().to_owned()))?;
    if request.get(header::IF_NONE_MATCH) == Some(tag) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let mut response = body(asset.media_type, asset.bytes);
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if asset.gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

//! `GraphiQL`, from the binary: it works where there is no internet.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::{body, error::Failure};

/// What the page may do: run its own scripts and ask this service. Its styles are set from script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; \
                      frame-ancestors 'none'; form-action 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// A file of the page; `gzip` for those that are kept compressed, which every browser takes.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    gzip: bool,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $media_type:expr) => {
        Asset {
            name: $name,
            media_type: $media_type,
            gzip: false,
            bytes: include_bytes!(concat!("assets/graphiql/", $name)),
        }
    };
    ($name:literal, $media_type:expr, gzip) => {
        Asset {
            name: $name,
            media_type: $media_type,
            gzip: true,
            bytes: include_bytes!(concat!("assets/graphiql/", $name, ".gz")),
        }
    };
}

const FILES: [Asset; 7] = [
    asset!("LICENSES.txt", "text/plain; charset=utf-8"),
    asset!("start.js", SCRIPT),
    asset!("style.css", STYLE),
    asset!("graphiql.min.css", STYLE, gzip),
    asset!("graphiql.min.js", SCRIPT, gzip),
    asset!("react.production.min.js", SCRIPT, gzip),
    asset!("react-dom.production.min.js", SCRIPT, gzip),
];

/// The page itself.
pub(super) async fn page() -> Response {
    let mut response = body("text/html; charset=utf-8", include_str!("assets/graphiql/index.html"));
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::CACHE_CONTROL, "no-cache");
    response
}

/// The files' entity tags: of what they hold, so that browsers take what another build of the same version has.
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
    let tag = |asset: &Asset| format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(asset.bytes)));
    FILES.iter().map(|asset| HeaderValue::from_str(&tag(asset)).expect("Base64 is ASCII")).collect()
});

/// One of its files.
pub(super) async fn file(Path(name): Path<String>, request: HeaderMap) -> Result<Response, Failure> {
    let (asset, tag) = FILES
        .iter()
        .zip(TAGS.iter())
        .find(|(asset, _)| asset.name == name)
        .ok_or(Failure::NotFound(format!("/graphiql/{name}")))?;
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

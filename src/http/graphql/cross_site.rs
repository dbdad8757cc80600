//! Protection against requests that a page of another site makes a browser send. POST accepts only JSON, for which
//! browsers send a preflight request first. GET needs a sign that the request does not come from such a page.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{
    config::graphql::Origins,
    http::{connections::admission::API_KEY, graphql::accept},
};

/// Headers that make a browser send a preflight request first.
const PREFLIGHTED: [HeaderName; 2] =
    [HeaderName::from_static("apollo-require-preflight"), HeaderName::from_static("x-apollo-operation-name")];
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a GET request may come from a page of another site that is not allowed. Current browsers send
/// `Sec-Fetch-Site`. Older ones are recognized by what they accept for a form, a link or an image.
/// Source: <https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header>
pub(super) fn is_cross_site(headers: &HeaderMap, allowed: &Origins) -> bool {
    if PREFLIGHTED.iter().any(|name| headers.get(name).is_some_and(|value| !value.is_empty())) {
        return false;
    }
    match headers.get(FETCH_SITE).map(HeaderValue::as_bytes) {
        Some(b"same-origin" | b"none") => false,
        Some(_) => !is_allowed(headers, allowed),
        None => {
            let named = |wanted: fn(&str) -> bool| accept::names(headers, wanted);
            named(|essence| !essence.starts_with('*'))
                && !named(|essence| {
                    essence == accept::EVENT_STREAM || essence.starts_with("application/") && essence.ends_with("json")
                })
        }
    }
}

/// Whether a WebSocket handshake comes from a page of another host that is not allowed. Browsers send handshakes
/// without a preflight request and let any page read the messages. Clients other than browsers send no `Origin`.
/// Source: <https://www.rfc-editor.org/rfc/rfc6455#section-10.2>
pub(super) fn is_foreign(headers: &HeaderMap, allowed: &Origins) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    let is_own = host.is_some() && host == text(header::HOST);
    !is_own && !is_allowed(headers, allowed)
}

fn is_allowed(headers: &HeaderMap, allowed: &Origins) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    match allowed {
        Origins::Any => origin.is_some(),
        Origins::Only(origins) => origin.is_some_and(|origin| origins.iter().any(|allowed| allowed == origin)),
    }
}

/// The CORS layer that lets pages of the `allowed` origins read answers; none when no origin is allowed.
pub(in crate::http) fn cors(allowed: &Origins) -> Option<CorsLayer> {
    let origins = match allowed {
        Origins::Any => AllowOrigin::any(),
        Origins::Only(origins) if origins.is_empty() => return None,
        Origins::Only(origins) => AllowOrigin::list(origins.iter().filter_map(|origin| origin.parse().ok())),
    };
    let [preflight, operation_name] = PREFLIGHTED;
    let cors = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            API_KEY,
            preflight,
            operation_name,
        ])
        .expose_headers([header::RETRY_AFTER, header::WWW_AUTHENTICATE, HeaderName::from_static("x-request-id")])
        .max_age(Duration::from_hours(1));
    Some(cors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_of_other_sites_are_told_from_those_of_our_own() {
        let allowed = Origins::Only(vec!["https://dashboard.example".to_owned()]);
        let cases = [
            (None, false),
            (Some("http://reports.example:5153"), false),
            (Some("https://reports.example:5153"), false),
            (Some("https://reports.example"), true),
            (Some("https://dashboard.example"), false),
            (Some("https://other.example"), true),
            (Some("null"), true),
        ];
        for (origin, expected) in cases {
            let mut headers = HeaderMap::from_iter([(header::HOST, "reports.example:5153".parse().unwrap())]);
            headers.extend(origin.map(|origin| (header::ORIGIN, origin.parse().unwrap())));
            assert_eq!(is_foreign(&headers, &allowed), expected, "{origin:?}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_told_from_clients() {
        let allowed = Origins::Only(vec!["https://dashboard.example".to_owned()]);
        let cases: [(&[(&str, &str)], bool); 16] = [
            (&[], false),
            (&[("accept", "*/*")], false),
            (&[("accept", "application/json")], false),
            (&[("accept", "text/event-stream")], false),
            (&[("accept", "text/event-stream"), ("sec-fetch-site", "cross-site")], true),
            (&[("accept", "application/graphql-response+json, */*")], false),
            (&[("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")], true),
            (&[("accept", "image/avif,image/webp,*/*;q=0.8")], true),
            (&[("accept", "text/html"), ("apollo-require-preflight", "true")], false),
            (&[("accept", "text/html"), ("x-apollo-operation-name", "Daily")], false),
            (&[("accept", "text/html"), ("x-apollo-operation-name", "")], true),
            (&[("accept", "text/html"), ("sec-fetch-site", "none")], false),
            (&[("accept", "application/json"), ("sec-fetch-site", "cross-site")], true),
            (&[("accept", "application/json"), ("sec-fetch-site", "same-site"), ("origin", "https://a.example")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://dashboard.example")], false),
            (&[("accept", "application/json"), ("sec-fetch-site", "same-origin")], false),
        ];
        for (given, expected) in cases {
            let headers = given.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(is_cross_site(&headers, &allowed), expected, "{given:?}");
        }
    }
}

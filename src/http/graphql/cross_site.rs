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
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
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
pub(super) fn is_foreign(headers: &HeaderMap, allowed: &Origins, hops: usize) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let is_own = origin.to_str().is_ok_and(|origin| hosts(headers, hops).iter().any(|host| is_of(origin, host)));
    !is_own && !is_allowed(headers, allowed)
}

/// Whether the origin is that of a page of this host. Without a port, both have the one that the origin's scheme implies.
fn is_of(origin: &str, host: &str) -> bool {
    let Some((scheme, page)) = origin.split_once("://") else { return false };
    let implied = match scheme {
        "https" => "443",
        "http" => "80",
        _ => return false,
    };
    let ((page, page_port), (host, port)) = (split(page), split(host));
    !host.is_empty() && page.eq_ignore_ascii_case(host) && page_port.unwrap_or(implied) == port.unwrap_or(implied)
}

/// The name and the port of a host; an address of IPv6 is in brackets.
fn split(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// The hosts under which the client may know the gateway: what the request says, and what trusted proxies say that it
/// was before them. A page cannot set these headers on a handshake.
fn hosts(headers: &HeaderMap, hops: usize) -> Vec<String> {
    let listed = |name: &HeaderName| -> Vec<String> {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|value| value.trim().to_owned()).collect()
    };
    let mut hosts = listed(&header::HOST);
    if hops == 0 {
        return hosts;
    }
    // As for addresses, the entry that is `hops` from the end; proxies that replace the header leave fewer.
    let trusted =
        |mut values: Vec<String>| (!values.is_empty()).then(|| values.swap_remove(values.len().saturating_sub(hops)));
    hosts.extend(trusted(listed(&FORWARDED_HOST)));
    hosts.extend(trusted(listed(&header::FORWARDED)).and_then(|entry| {
        let mut pairs = entry.split(';').filter_map(|pair| pair.trim().split_once('='));
        let (_, host) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("host"))?;
        Some(host.trim_matches('"').to_owned())
    }));
    if let Some(port) = trusted(listed(&FORWARDED_PORT)) {
        let with_port: Vec<_> = hosts.iter().map(|host| format!("{}:{port}", split(host).0)).collect();
        hosts.extend(with_port);
    }
    hosts
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
            assert_eq!(is_foreign(&headers, &allowed, 0), expected, "{origin:?}");
        }
    }

    #[test]
    fn the_same_host_is_the_same_host_however_it_is_written() {
        let one = |name: &'static str, value: &'static str| vec![(name, value)];
        let host = |value| one("host", value);
        let behind = |name, value| vec![("host", "gateway.internal:5153"), (name, value)];
        let cases = [
            ("https://reports.example", host("reports.example:443"), 0, false),
            ("https://reports.example", host("reports.example"), 0, false),
            ("http://reports.example", host("Reports.Example:80"), 0, false),
            ("https://reports.example:443", host("reports.example"), 0, false),
            ("http://reports.example", host("reports.example:443"), 0, true),
            ("https://reports.example:8443", host("reports.example"), 0, true),
            ("https://reports.example", host("reports.example.other.example"), 0, true),
            ("http://[::1]:5153", host("[::1]:5153"), 0, false),
            ("http://[::1]", host("[::1]:80"), 0, false),
            ("http://[::1]:5153", host("[::2]:5153"), 0, true),
            ("ftp://reports.example", host("reports.example"), 0, true),
            ("https://", host(""), 0, true),
            ("null", host("reports.example"), 0, true),
            ("https://reports.example", behind("x-forwarded-host", "reports.example"), 0, true),
            ("https://reports.example", behind("x-forwarded-host", "reports.example"), 1, false),
            ("https://reports.example", behind("x-forwarded-host", "reports.example, inner.internal"), 2, false),
            ("https://reports.example", behind("x-forwarded-host", "reports.example, inner.internal"), 1, true),
            ("https://reports.example", behind("x-forwarded-host", "reports.example"), 2, false),
            (
                "https://reports.example",
                behind("forwarded", "for=203.0.113.7;host=\"reports.example\";proto=https"),
                1,
                false,
            ),
            ("https://reports.example", behind("forwarded", "for=203.0.113.7;host=reports.example"), 0, true),
            ("https://reports.example", behind("forwarded", "for=203.0.113.7"), 1, true),
            ("https://reports.example:8443", vec![("host", "reports.example"), ("x-forwarded-port", "8443")], 1, false),
            ("https://reports.example:8443", vec![("host", "reports.example"), ("x-forwarded-port", "8443")], 0, true),
        ];
        for (origin, given, hops, expected) in cases {
            let mut headers: HeaderMap = given
                .iter()
                .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
                .collect();
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            assert_eq!(is_foreign(&headers, &Origins::Only(vec![]), hops), expected, "{origin} {given:?} {hops}");
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

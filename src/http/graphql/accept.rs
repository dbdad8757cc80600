//! Content negotiation: which media type a client accepts for its answer.
//! Source: <https://httpwg.org/specs/rfc9110.html#field.accept>

use axum::http::{HeaderMap, HeaderValue, header};
use serde::Serialize;

use crate::http::error::Failure;

/// The media type of an event stream.
pub(super) const EVENT_STREAM: &str = "text/event-stream";
/// The media type of a body with parts. It is one for subscriptions only with the parameter `subscriptionSpec=1.0`.
const MULTIPART: &str = "multipart/mixed";

/// The form in which several answers follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Server-sent events.
    Events,
    /// Parts of a body.
    Parts,
}

/// The media type of a single answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(in crate::http) enum MediaType {
    /// `application/graphql-response+json`: the body is a GraphQL response, whatever the status.
    GraphqlJson,
    /// `application/json`, which older clients ask for.
    Json,
}

impl MediaType {
    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlJson => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }

    fn essence(self) -> &'static str {
        match self {
            Self::GraphqlJson => "application/graphql-response+json",
            Self::Json => "application/json",
        }
    }
}

/// What a client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The media type that the client prefers for a single answer; none if it accepts no single answer.
    pub(super) single: Option<MediaType>,
    /// The form in which the client accepts several answers, if it does.
    pub(super) stream: Option<Form>,
}

impl Wanted {
    /// The media type of a single answer. Errors use `application/json` when the client accepts no single answer.
    pub(super) fn media_type(self) -> MediaType {
        self.single.unwrap_or(MediaType::Json)
    }
}

/// What the client accepts. Clients that send no `Accept`, or that accept everything, get `application/json`, as the
/// audits of `graphql-http` expect. Only clients that name `text/event-stream`, or
/// `multipart/mixed; subscriptionSpec=1.0`, get a stream.
pub(super) fn negotiate(headers: &HeaderMap) -> Result<Wanted, Failure> {
    let ranges: Vec<Range> = ranges(headers).collect();
    let streams = ranges.iter().filter(|range| range.quality > 0);
    let streams = streams.filter_map(|range| match range.essence.as_str() {
        EVENT_STREAM => Some((range.quality, Form::Events)),
        MULTIPART if range.has_subscriptions => Some((range.quality, Form::Parts)),
        _ => None,
    });
    // The first of those with the highest weight.
    let stream = streams.rev().max_by_key(|(quality, _)| *quality).map(|(_, form)| form);
    let wanted = Wanted { single: single(&ranges), stream };
    if wanted.single.is_none() && wanted.stream.is_none() { Err(Failure::NotAcceptable) } else { Ok(wanted) }
}

fn single(ranges: &[Range]) -> Option<MediaType> {
    if ranges.is_empty() {
        return Some(MediaType::Json);
    }
    let (graphql, json) = (quality(ranges, MediaType::GraphqlJson), quality(ranges, MediaType::Json));
    // With equal weights, the type that is named more precisely wins; with equal precision, GraphQL's own type.
    match (graphql, json) {
        ((0, _), (0, _)) => None,
        ((wanted, precision), json) if (wanted, precision) >= json && precision == 3 => Some(MediaType::GraphqlJson),
        ((wanted, _), (other, _)) if wanted > other => Some(MediaType::GraphqlJson),
        _ => Some(MediaType::Json),
    }
}

/// Whether a media type is named explicitly, not only by a range such as `*/*`.
pub(super) fn names(headers: &HeaderMap, is_named: impl Fn(&str) -> bool) -> bool {
    ranges(headers).any(|range| range.quality > 0 && is_named(&range.essence))
}

/// The explicitly named media type with the highest weight; the first of `offered` among equals.
pub(in crate::http) fn preferred(headers: &HeaderMap, offered: &[&'static str]) -> Option<&'static str> {
    let wanted = |essence: &&'static str| {
        let named = ranges(headers).filter(|range| range.essence == *essence).map(|range| range.quality);
        named.max().filter(|quality| *quality > 0)
    };
    let wanted = offered.iter().rev().filter_map(|essence| Some((wanted(essence)?, *essence)));
    wanted.max_by_key(|(quality, _)| *quality).map(|(_, essence)| essence)
}

struct Range {
    essence: String,
    /// The weight, from 0 (not acceptable) to 1000.
    quality: u16,
    /// Whether it asks for a charset other than UTF-8.
    foreign: bool,
    /// Whether it asks for subscriptions by Apollo's protocol.
    has_subscriptions: bool,
}

fn ranges(headers: &HeaderMap) -> impl Iterator<Item = Range> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|range| !range.is_empty()).map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut range = Range { essence, quality: 1000, foreign: false, has_subscriptions: false };
        for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name.eq_ignore_ascii_case("q") {
                range.quality = thousandths(value);
            } else if name.eq_ignore_ascii_case("charset") {
                range.foreign = !is_utf8(value);
            } else if name.eq_ignore_ascii_case("subscriptionSpec") {
                range.has_subscriptions = value == "1.0";
            }
        }
        range
    })
}

/// The weight of a media type, and how precisely the range names it: 3 for the type itself, 1 for everything, 0 if it
/// is not named.
fn quality(ranges: &[Range], media_type: MediaType) -> (u16, u8) {
    let precision = |range: &Range| match range.essence.as_str() {
        essence if essence == media_type.essence() => 3,
        "application/*" => 2,
        "*/*" | "*" => 1,
        _ => 0,
    };
    let matching = ranges.iter().filter(|range| precision(range) > 0 && !range.foreign);
    let best = matching.max_by_key(|range| (precision(range), range.quality));
    best.map_or((0, 0), |range| (range.quality, precision(range)))
}

/// A weight such as `0.9` in thousandths. One that cannot be read counts as 1, like a missing weight.
fn thousandths(weight: &str) -> u16 {
    let weight = weight.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
    let thousandths = (weight * 1000.0).round() as u16;
    thousandths
}

/// Whether a charset is UTF-8, the charset of all JSON.
pub(super) fn is_utf8(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_media_type_is_found() {
        let (graphql, json) = (Some(MediaType::GraphqlJson), Some(MediaType::Json));
        for (accept, expected) in [
            ("", json),
            ("*/*", json),
            ("application/*", json),
            ("application/json", json),
            ("application/graphql-response+json", graphql),
            ("Application/GraphQL-Response+JSON; charset=UTF-8", graphql),
            ("application/json; charset=utf-8", json),
            ("application/json; charset=iso-8859-1", None),
            ("application/json; charset=latin1, application/graphql-response+json", graphql),
            ("application/graphql-response+json, application/json", graphql),
            ("application/json, application/graphql-response+json", graphql),
            ("application/graphql-response+json, application/json;q=0.9", graphql),
            ("application/graphql-response+json;q=0.8, application/json;q=0.9", json),
            ("application/graphql-response+json;q=0.5, */*;q=0.1", graphql),
            ("application/json;q=0.5, */*;q=0.9", graphql),
            ("application/graphql-response+json;q=0, */*", json),
            ("application/json;q=0, */*", graphql),
            ("application/json;q=0", None),
            ("*/*;q=0", None),
            ("application/json, text/plain, */*", json),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", json),
            ("text/html", None),
            ("image/png, text/*", None),
            ("nonsense", None),
        ] {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(negotiate(&headers).ok().and_then(|wanted| wanted.single), expected, "{accept}");
        }
    }

    #[test]
    fn streams_are_sent_to_those_that_name_them() {
        let (events, parts) = (Some(Form::Events), Some(Form::Parts));
        for (accept, expected) in [
            ("text/event-stream", Ok(Wanted { single: None, stream: events })),
            ("text/event-stream, application/json", Ok(Wanted { single: Some(MediaType::Json), stream: events })),
            ("multipart/mixed; subscriptionSpec=1.0", Ok(Wanted { single: None, stream: parts })),
            (
                "multipart/mixed;boundary=graphql;subscriptionSpec=\"1.0\",application/json;q=0.9",
                Ok(Wanted { single: Some(MediaType::Json), stream: parts }),
            ),
            ("multipart/mixed;subscriptionSpec=1.0, text/event-stream", Ok(Wanted { single: None, stream: parts })),
            (
                "multipart/mixed;subscriptionSpec=1.0;q=0.5, text/event-stream",
                Ok(Wanted { single: None, stream: events }),
            ),
            ("multipart/mixed;subscriptionSpec=2.0", Err(Failure::NotAcceptable)),
            ("multipart/mixed;deferSpec=20220824", Err(Failure::NotAcceptable)),
            ("*/*", Ok(Wanted { single: Some(MediaType::Json), stream: None })),
            ("text/event-stream;q=0", Err(Failure::NotAcceptable)),
            ("text/*", Err(Failure::NotAcceptable)),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(negotiate(&headers), expected, "{accept}");
        }
    }

    #[test]
    fn several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT, HeaderValue::from_static("text/html"));
        headers.append(header::ACCEPT, HeaderValue::from_static("application/graphql-response+json"));
        assert_eq!(negotiate(&headers), Ok(Wanted { single: Some(MediaType::GraphqlJson), stream: None }));
    }
}

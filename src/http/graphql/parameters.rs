//! Reads a GraphQL request from a body or a query string, within limits, and rejects everything else.

use std::{cell::Cell, fmt, time::Duration};

use async_graphql::Variables;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
};
use http_body_util::BodyExt as _;
use serde::{
    Deserialize,
    de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use tokio::time::timeout;

use crate::{
    config::limits::Limits,
    graphql::execution::limits::Limit,
    http::{Gateway, connections::memory::Room, error::Failure, graphql::accept::is_utf8},
};

/// How much of a refused body is still read, so that its sender gets to read the answer.
const DRAIN_BYTES: usize = 1 << 27;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// The parameters of a GraphQL request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Parameters {
    pub(super) query: Option<String>,
    /// The id of a document that the gateway has. `persistedQuery` is another way to send it.
    pub(super) document_id: Option<String>,
    pub(super) operation_name: Option<String>,
    pub(super) variables: Variables,
    pub(super) persisted_query: Option<PersistedQuery>,
}

/// The body of a POST request.
pub(super) enum Posted {
    One(Parameters),
    /// Several requests; one that cannot be read fails alone.
    Batch(Vec<Result<Parameters, Failure>>),
}

/// The extension by which clients name a document by its hash.
/// Source: <https://www.apollographql.com/docs/apollo-server/performance/apq>
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) struct PersistedQuery {
    pub(super) version: u32,
    pub(super) sha256_hash: String,
}

/// The parameters in a JSON body.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InBody {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<Map<String, Value>>,
    extensions: Option<Map<String, Value>>,
}

/// The parameters in a query string, where `variables` and `extensions` are JSON texts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InQueryString {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

impl Parameters {
    /// Reads a query string.
    pub(super) fn from_query_string(text: &str, limits: &Limits) -> Result<Self, Failure> {
        let parameters: InQueryString = serde_urlencoded::from_str(text)
            .map_err(|error| Failure::BadParameters(format!("The query string cannot be read: {error}.")))?;
        let map = |name: &str, text: Option<String>| {
            let text = text.filter(|text| !text.is_empty()).unwrap_or_else(|| "null".to_owned());
            read_json(text.as_bytes(), limits, &format!("`{name}`"))
        };
        Self::new(InBody {
            query: parameters.query,
            document_id: parameters.document_id,
            operation_name: parameters.operation_name,
            variables: map("variables", parameters.variables)?,
            extensions: map("extensions", parameters.extensions)?,
        })
    }

    /// Reads the body of a POST request.
    pub(super) async fn from_body(gateway: &Gateway, headers: &HeaderMap, body: Body) -> Result<Posted, Failure> {
        let limits = &gateway.config.limits;
        // The memory is released when the body was read.
        let mut room = Room::default();
        let read = read_body(headers, body, limits.body_bytes, |bytes| gateway.load.widen(&mut room, bytes));
        let bytes = timeout(gateway.body_timeout, read).await.unwrap_or(Err(Failure::SlowBody))?;
        // Some clients on Windows send a byte order mark. Source: <https://www.rfc-editor.org/rfc/rfc8259#section-8.1>
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'[') {
            return Self::batch(bytes, limits).map(Posted::Batch);
        }
        Self::new(read_json(bytes, limits, "The request body")?).map(Posted::One)
    }

    fn batch(bytes: &[u8], limits: &Limits) -> Result<Vec<Result<Self, Failure>>, Failure> {
        if limits.batch == 0 {
            return Err(Failure::BadParameters("Batches are not accepted: send one request at a time.".to_owned()));
        }
        let requests: Vec<Value> = read_json(bytes, limits, "The request body")?;
        match requests.len() {
            0 => Err(Failure::BadParameters("The batch is empty: send at least one request.".to_owned())),
            more if more > limits.batch => Err(Failure::Limit(Limit::Batch, limits.batch)),
            _ => Ok(requests.into_iter().map(Self::from_json).collect()),
        }
    }

    /// Reads the payload of a WebSocket message, or a request of a batch, whose values were already counted.
    pub(super) fn from_json(payload: Value) -> Result<Self, Failure> {
        let parameters = serde_json::from_value(payload)
            .map_err(|error| Failure::BadParameters(format!("The request does not hold what it should: {error}.")))?;
        Self::new(parameters)
    }

    fn new(parameters: InBody) -> Result<Self, Failure> {
        let persisted_query = parameters
            .extensions
            .and_then(|mut extensions| extensions.remove("persistedQuery"))
            .map(serde_json::from_value)
            .transpose()
            .map_err(|error| Failure::BadParameters(format!("`extensions.persistedQuery` cannot be read: {error}.")))?;
        Ok(Self {
            query: parameters.query,
            document_id: parameters.document_id,
            // An empty name is none, as some clients send it.
            operation_name: parameters.operation_name.filter(|name| !name.is_empty()),
            variables: Variables::from_json(settled(Value::Object(parameters.variables.unwrap_or_default()))),
            persisted_query,
        })
    }
}

/// The value with whole numbers as whole numbers, however they were written: `1.0` and `-0` are valid for an `Int`.
/// Source: <https://spec.graphql.org/September2025/#sec-Int.Input-Coercion>
fn settled(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => Value::Number(whole(&number).map_or(number, Into::into)),
        Value::Array(items) => items.into_iter().map(settled).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, settled(value))).collect(),
        value => value,
    }
}

/// The whole number, if it is one that a floating-point number holds exactly.
fn whole(number: &Number) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= EXACT)?;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 53 bits")]
    Some(number as i64)
}

/// Reads JSON. The number of values is checked first, before any of them is kept.
pub(super) fn read_json<T: DeserializeOwned>(bytes: &[u8], limits: &Limits, what: &str) -> Result<T, Failure> {
    let left = Cell::new(limits.input_values);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    if let Err(error) = Counted(&left).deserialize(&mut json).and_then(|()| json.end()) {
        return Err(if left.get() == 0 {
            Failure::Limit(Limit::InputValues, limits.input_values)
        } else {
            Failure::BadJson(format!("{what} is not JSON: {error}."))
        });
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Failure::BadParameters(format!("{what} does not hold what it should: {error}.")))
}

/// Skips a value, and counts it and the values in it.
struct Counted<'a>(&'a Cell<usize>);

impl Counted<'_> {
    fn one<E: serde::de::Error>(&self) -> Result<(), E> {
        let left = self.0.get().checked_sub(1).filter(|left| *left > 0);
        self.0.set(left.unwrap_or_default());
        left.map(drop).ok_or_else(|| E::custom("too many values"))
    }
}

impl<'de> DeserializeSeed<'de> for Counted<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counted<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.one()
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.one()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.one()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.one()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.one()
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.one()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.one::<A::Error>()?;
        while items.next_element_seed(Counted(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        self.one::<A::Error>()?;
        while fields.next_key::<IgnoredAny>()?.is_some() {
            fields.next_value_seed(Counted(self.0))?;
        }
        Ok(())
    }
}

/// Reads a JSON body of at most `limit` bytes. `widen` reserves memory for it.
async fn read_body(
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
    mut widen: impl FnMut(usize) -> Result<(), Failure>,
) -> Result<Vec<u8>, Failure> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let refused = if !is_json(headers) {
        Some(Failure::UnsupportedMediaType)
    } else if announced.is_some_and(|length| length > limit) {
        Some(Failure::Limit(Limit::BodyBytes, limit))
    } else {
        None
    };
    if let Some(failure) = refused {
        // A client that waits for `100 Continue` does not send the body after a refusal.
        if !headers.contains_key(header::EXPECT) {
            drain(body);
        }
        return Err(failure);
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::BadJson("The request body ended before its time.".to_owned()))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            drain(body);
            return Err(Failure::Limit(Limit::BodyBytes, limit));
        }
        widen(bytes.len() + data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Reads the rest of a body in the background for a while. A connection that is closed with unread data is reset, and
/// the client may lose the answer.
fn drain(mut body: Body) {
    tokio::spawn(timeout(DRAIN_TIME, async move {
        let mut left = DRAIN_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(less) => left = less,
                None => break,
            }
        }
    }));
}

/// Accepts only the media type that no HTML form can send.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let mut charsets =
        parts.filter_map(|part| part.split_once('=')).filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
    let is_encoded = headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    is_json && !is_encoded && charsets.all(|(_, charset)| is_utf8(charset.trim_matches('"')))
}

//! The custom scalars. `Date` and `TimeZone` keep the text of the input; the report's filter parses it, because it
//! knows which argument an error belongs to.

use async_graphql::{InputType, InputValueError, InputValueResult, Number, Scalar, ScalarType, Value};
use chrono::{DateTime as Instant, NaiveDate, NaiveDateTime, SecondsFormat, Utc};

/// See its description in the schema, below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::graphql) struct Date(pub(in crate::graphql) String);

/// A calendar date without a time, written `YYYY-MM-DD`, such as `2026-03-29`. The time zone that the field is asked
/// for decides which instants the date covers. As an input, a date can also be a number of milliseconds since
/// 1970-01-01T00:00:00Z, such as Grafana's `$__from`: the local date of that instant.
#[Scalar(specified_by_url = "https://scalars.graphql.org/andimarek/local-date.html")]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) if is_millis(&number) => Ok(Self(number.to_string())),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        match value {
            Value::String(_) => true,
            Value::Number(number) => is_millis(number),
            _ => false,
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// Numbers below 10,000,000,000 are rejected: they may be dates written without dashes, such as 20261101.
fn is_millis(number: &Number) -> bool {
    number.as_i64().is_some_and(|millis| millis.unsigned_abs() >= 10_000_000_000)
}

impl From<NaiveDate> for Date {
    fn from(date: NaiveDate) -> Self {
        Self(date.to_string())
    }
}

/// See its description in the schema, below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::graphql) struct DateTime(pub(in crate::graphql) Instant<Utc>);

/// An instant in UTC by RFC 3339, such as `2026-03-29T00:30:00Z`, with as many digits of a second as it needs.
#[Scalar(specified_by_url = "https://scalars.graphql.org/andimarek/date-time.html")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text.parse()?)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl From<NaiveDateTime> for DateTime {
    fn from(instant: NaiveDateTime) -> Self {
        Self(instant.and_utc())
    }
}

/// Reads a scalar that is a whole number.
fn whole<T: InputType>(value: Value, scalar: fn(i64) -> T) -> InputValueResult<T> {
    match &value {
        Value::Number(number) => number.as_i64().map(scalar).ok_or_else(|| InputValueError::expected_type(value)),
        _ => Err(InputValueError::expected_type(value)),
    }
}

/// See its description in the schema, below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::graphql) struct EpochMillis(pub(in crate::graphql) i64);

/// An instant as whole milliseconds since 1970-01-01T00:00:00Z, a JSON number, in the form that the axes of charts
/// take.
#[Scalar]
impl ScalarType for EpochMillis {
    fn parse(value: Value) -> InputValueResult<Self> {
        whole(value, Self)
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}

/// See its description in the schema, below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::graphql) struct Seconds(pub(in crate::graphql) i64);

/// A length of time in whole seconds, a JSON number. The number can exceed the range of `Int`, which ends at 68
/// years.
#[Scalar]
impl ScalarType for Seconds {
    fn parse(value: Value) -> InputValueResult<Self> {
        whole(value, Self)
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}

/// See its description in the schema, below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::graphql) struct TimeZone(pub(in crate::graphql) String);

/// The IANA name of a time zone, such as `Europe/Berlin`, `America/New_York` or `UTC`.
#[Scalar(specified_by_url = "https://www.iana.org/time-zones")]
impl ScalarType for TimeZone {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(_))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

impl Default for TimeZone {
    fn default() -> Self {
        Self("UTC".to_owned())
    }
}

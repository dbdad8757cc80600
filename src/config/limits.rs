//! Limits of a request and its answer.

use super::Environment;

/// Limits of a request and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `MAX_BODY_BYTES`: bytes of the request body. Default `1048576`.
    pub body_bytes: usize,
    /// `MAX_DOCUMENT_BYTES`: bytes of the GraphQL document. Default `131072`.
    pub document_bytes: usize,
    /// `MAX_DOCUMENT_TOKENS`: names, numbers, strings and punctuation in the document. Default `5000`.
    pub document_tokens: usize,
    /// `MAX_DEPTH`: levels of nested fields, fragments expanded. Default `16`; the introspection of current tools needs
    /// 15.
    pub depth: usize,
    /// `MAX_COMPLEXITY`: the cost of all fields of the document: 1000 for a report, and 1 for each value. Default
    /// `100000`: some tens of reports, or a few of the largest lists.
    pub complexity: usize,
    /// `MAX_ALIASES`: aliased fields, fragments expanded. Default `64`.
    pub aliases: usize,
    /// `MAX_ROOT_FIELDS`: top-level fields of the operation, fragments expanded. Default `32`.
    pub root_fields: usize,
    /// `MAX_DIRECTIVES`: directives such as `@include`, fragments expanded. Default `64`.
    pub directives: usize,
    /// `MAX_SELECTIONS`: fields of the operation at any depth, fragments expanded. Default `10000`; introspection needs
    /// about 250.
    pub selections: usize,
    /// `MAX_INPUT_VALUES`: values in the JSON of a request, including the items of lists. Default `10000`.
    pub input_values: usize,
    /// `BATCH_MAX`: requests in one body, as a list; 0 to refuse lists. Each has its own limits and cost. Default `0`.
    pub batch: usize,
    /// `MAX_ERRORS`: errors in one answer. Default `100`.
    pub errors: usize,
    /// `MAX_RESPONSE_BYTES`: bytes of the answer's body. Default `8388608`.
    pub response_bytes: usize,
    /// `MAX_LIVE_CONNECTIONS`: WebSockets and event streams at once. Default `1000`.
    pub live_connections: usize,
    /// `MAX_SUBSCRIPTIONS`: operations at once on each WebSocket. Default `32`.
    pub subscriptions: usize,
    /// `MAX_LIVE_BYTES`: memory for the answers of subscriptions: each different one once, and the largest on each
    /// WebSocket or event stream. Default `33554432`.
    pub live_bytes: usize,
}

impl Limits {
    pub(super) fn read(environment: &Environment) -> Self {
        let number = |name, default, min, max| environment.number(name, default, min, max);
        Self {
            body_bytes: number("MAX_BODY_BYTES", 1 << 20, 1 << 10, 1 << 26),
            document_bytes: number("MAX_DOCUMENT_BYTES", 1 << 17, 1 << 10, 1 << 22),
            document_tokens: number("MAX_DOCUMENT_TOKENS", 5_000, 100, 1_000_000),
            depth: number("MAX_DEPTH", 16, 1, 64),
            complexity: number("MAX_COMPLEXITY", 100_000, 1_000, 100_000_000),
            aliases: number("MAX_ALIASES", 64, 0, 10_000),
            root_fields: number("MAX_ROOT_FIELDS", 32, 1, 10_000),
            directives: number("MAX_DIRECTIVES", 64, 0, 10_000),
            selections: number("MAX_SELECTIONS", 10_000, 100, 1_000_000),
            input_values: number("MAX_INPUT_VALUES", 10_000, 100, 10_000_000),
            batch: number("BATCH_MAX", 0, 0, 100),
            errors: number("MAX_ERRORS", 100, 1, 10_000),
            response_bytes: number("MAX_RESPONSE_BYTES", 1 << 23, 1 << 10, 1 << 28),
            live_connections: number("MAX_LIVE_CONNECTIONS", 1_000, 0, 1_000_000),
            subscriptions: number("MAX_SUBSCRIPTIONS", 32, 1, 10_000),
            live_bytes: number("MAX_LIVE_BYTES", 1 << 25, 1 << 10, 1 << 30),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::read(&Environment::new(|_| None))
    }
}

/// How many rows a page has by default, and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimits {
    /// Rows when neither `first` nor `last` is given.
    pub default: usize,
    /// The most rows that a request may ask for.
    pub max: usize,
}

impl Default for PageLimits {
    fn default() -> Self {
        Self { default: 100, max: 1_000 }
    }
}

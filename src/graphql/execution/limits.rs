//! The limits of requests and answers: their names for clients, and their error messages.

use async_graphql::{Pos, Response, ServerError};

use crate::{
    codes::{BAD_USER_INPUT, LIMIT_EXCEEDED},
    graphql::error::with_code,
};

/// The most nested brackets, because the parser is recursive. It is more than the limit on depth allows.
pub(in crate::graphql) const MAX_NESTING: usize = 64;

/// A limit of a request or of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of the request's body.
    BodyBytes,
    /// Values in the request's JSON.
    InputValues,
    /// Bytes of the document.
    DocumentBytes,
    /// Tokens of the document.
    DocumentTokens,
    /// Nested brackets of the document, and nested selections with fragments expanded.
    Nesting,
    /// Nested fields.
    Depth,
    /// Fields of the operation, fragments expanded.
    Selections,
    /// Fields at the operation's root.
    RootFields,
    /// Fields with an alias.
    Aliases,
    /// Directives.
    Directives,
    /// The cost of all fields together.
    Complexity,
    /// Requests in one body.
    Batch,
    /// Errors in one answer.
    Errors,
    /// Bytes of the answer.
    ResponseBytes,
    /// Connections that stay open: WebSockets, and streams of events.
    Connections,
    /// The part of them that one address may have.
    ConnectionsPerAddress,
    /// Answers that are computed at the same time for one address.
    RequestsPerAddress,
    /// Operations at once on one WebSocket.
    Subscriptions,
    /// Lists of members that are being sent at the same time.
    Exports,
    /// Those of one address.
    ExportsPerAddress,
    /// Bytes of the answers to all live questions, and of the answers that are being sent to their subscribers.
    LiveBytes,
}

impl Limit {
    /// All limits.
    pub const ALL: [Self; 21] = [
        Self::BodyBytes,
        Self::InputValues,
        Self::DocumentBytes,
        Self::DocumentTokens,
        Self::Nesting,
        Self::Depth,
        Self::Selections,
        Self::RootFields,
        Self::Aliases,
        Self::Directives,
        Self::Complexity,
        Self::Batch,
        Self::Errors,
        Self::ResponseBytes,
        Self::Connections,
        Self::ConnectionsPerAddress,
        Self::RequestsPerAddress,
        Self::Subscriptions,
        Self::LiveBytes,
        Self::Exports,
        Self::ExportsPerAddress,
    ];

    /// The name of the limit in `extensions.limit`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BodyBytes => "bodyBytes",
            Self::InputValues => "inputValues",
            Self::DocumentBytes => "documentBytes",
            Self::DocumentTokens => "documentTokens",
            Self::Nesting => "nesting",
            Self::Depth => "depth",
            Self::Selections => "selections",
            Self::RootFields => "rootFields",
            Self::Aliases => "aliases",
            Self::Directives => "directives",
            Self::Complexity => "complexity",
            Self::Batch => "batch",
            Self::Errors => "errors",
            Self::ResponseBytes => "responseBytes",
            Self::Connections => "connections",
            Self::ConnectionsPerAddress => "connectionsPerAddress",
            Self::RequestsPerAddress => "requestsPerAddress",
            Self::Subscriptions => "subscriptions",
            Self::LiveBytes => "liveBytes",
            Self::Exports => "exports",
            Self::ExportsPerAddress => "exportsPerAddress",
        }
    }

    /// The message for a client that exceeded `maximum`.
    #[must_use]
    pub fn message(self, maximum: usize) -> String {
        match self {
            Self::BodyBytes => format!("The request body is larger than {maximum} bytes."),
            Self::InputValues => format!("The JSON of the request holds more than {maximum} values."),
            Self::DocumentBytes => format!("The document is longer than {maximum} bytes."),
            Self::DocumentTokens => format!("The document has more than {maximum} tokens."),
            Self::Nesting => format!("The document has more than {maximum} levels of nesting."),
            Self::Depth => format!("The operation has more than {maximum} levels of fields."),
            Self::Selections => format!("The operation expands to more than {maximum} fields."),
            Self::RootFields => format!("The operation asks for more than {maximum} root fields."),
            Self::Aliases => format!("The operation uses more than {maximum} aliases."),
            Self::Directives => format!("The operation uses more than {maximum} directives."),
            Self::Complexity => format!("The document costs more than {maximum}: ask for fewer reports or rows."),
            Self::Batch => format!("The batch has more than {maximum} requests: send fewer at once."),
            Self::Errors => format!("There were more errors: only the first {maximum} are listed."),
            Self::ResponseBytes => format!("The answer is larger than {maximum} bytes: ask for fewer rows or fields."),
            Self::Connections => {
                format!("There are {maximum} WebSockets and event streams already: try again later.")
            }
            Self::ConnectionsPerAddress => {
                format!(
                    "Your address has {maximum} WebSockets and event streams already: close one, or try again later."
                )
            }
            Self::RequestsPerAddress => {
                format!("Your address has {maximum} requests in progress already: wait for their answers.")
            }
            Self::Subscriptions => {
                format!("The connection has {maximum} operations already: complete one, or open another connection.")
            }
            Self::Exports => format!("{maximum} lists of members are being exported already: try again later."),
            Self::ExportsPerAddress => {
                format!("Your address is receiving {maximum} lists of members already: wait until one has ended.")
            }
            Self::LiveBytes => format!(
                "The live answers of all subscribers take {maximum} bytes already: ask for fewer rows or fields, or try \
                 again later."
            ),
        }
    }

    /// The error for a client that exceeded `maximum`.
    #[must_use]
    pub fn exceeded(self, maximum: usize, at: Option<Pos>) -> ServerError {
        let mut error = with_code(ServerError::new(self.message(maximum), at), LIMIT_EXCEEDED);
        let extensions = error.extensions.get_or_insert_default();
        extensions.set("limit", self.name());
        extensions.set("maximum", maximum);
        error
    }

    /// Fails when `count` is more than `maximum`.
    pub(in crate::graphql) fn check(self, count: usize, maximum: usize, at: Option<Pos>) -> Result<(), ServerError> {
        if count > maximum { Err(self.exceeded(maximum, at)) } else { Ok(()) }
    }
}

/// Gives a code to errors without one, and limits the number of errors and the length of their messages.
pub(in crate::graphql) fn present(answer: &mut Response, maximum: usize) {
    let beyond = answer.errors.len() > maximum;
    answer.errors.truncate(maximum);
    // Errors without a code are those of arguments that the library could not convert.
    let errors = std::mem::take(&mut answer.errors).into_iter();
    answer.errors = errors.map(|error| shortened(with_code(error, BAD_USER_INPUT))).collect();
    if beyond {
        answer.errors.push(Limit::Errors.exceeded(maximum, None));
    }
}

/// Shortens the message: messages quote what a client sent, which may be a megabyte.
fn shortened(mut error: ServerError) -> ServerError {
    const MAX: usize = 500;
    if let Some((end, _)) = error.message.char_indices().nth(MAX) {
        error.message.truncate(end);
        error.message.push('…');
    }
    error
}

//! The codes of errors, under `extensions.code`: one catalogue for every face. `docs/errors.md` says what to do on each.

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $code:literal;)+) => {
        $($(#[$doc])+ pub const $name: &str = $code;)+
        /// Every code.
        pub const ALL: &[&str] = &[$($name),+];
    };
}

codes! {
    /// The document is not GraphQL.
    PARSE_FAILED = "GRAPHQL_PARSE_FAILED";
    /// The document does not fit the schema.
    VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED";
    /// The request asks for more than a limit allows; `extensions.limit` names the limit.
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED";
    /// An argument, a variable or a parameter has an invalid value.
    BAD_USER_INPUT = "BAD_USER_INPUT";
    /// The request has the id of a document alone, and no document with that id is known.
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND";
    /// The request needs a scope and has no credential, or the credential is not valid.
    UNAUTHENTICATED = "UNAUTHENTICATED";
    /// The caller does not have a scope that the request needs.
    FORBIDDEN = "FORBIDDEN";
    /// The caller's budget is used up for now.
    RATE_LIMITED = "RATE_LIMITED";
    /// The database took longer than the statement timeout, or the request longer than its own.
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT";
    /// All connections to the database are in use by other requests: trying again later helps.
    DATABASE_BUSY = "DATABASE_BUSY";
    /// The database is out of reach for now, or there are too many requests: trying again later helps.
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE";
    /// The gateway is at fault; the log has the cause.
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR";
    /// The HTTP request contains no readable GraphQL request.
    BAD_REQUEST = "BAD_REQUEST";
    /// The connection is not encrypted, and the port accepts TLS only.
    TLS_REQUIRED = "TLS_REQUIRED";
    /// The request may come from a page of another site.
    CROSS_SITE_REQUEST = "CROSS_SITE_REQUEST";
    /// The client accepts no format in which the answer can be written.
    NOT_ACCEPTABLE = "NOT_ACCEPTABLE";
    /// The path accepts WebSocket connections only, or the list is too long for HTTP/1.0.
    UPGRADE_REQUIRED = "UPGRADE_REQUIRED";
    /// There is nothing at the path.
    NOT_FOUND = "NOT_FOUND";
    /// The path does not allow the method.
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED";
    /// The body is not JSON in UTF-8.
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE";
}

//! The GraphQL endpoint: answers, caches and origins.

use std::{path::PathBuf, time::Duration};

use super::{Environment, limits::Limits};

const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// Which edition of GraphQL over HTTP decides the status of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edition {
    /// The statuses that the official audit suite, and older clients, expect.
    #[default]
    Audits,
    /// The first published edition, of September 2026.
    September2026,
}

/// The origins whose web pages may read answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Every origin.
    Any,
    /// These origins, such as `https://dashboard.example`.
    Only(Vec<String>),
}

/// How the GraphQL endpoint answers, and which origins may use it.
#[derive(Debug, Clone)]
pub struct GraphqlConfig {
    /// Limits of a request and its answer.
    pub limits: Limits,
    /// `GRAPHQL_HTTP_EDITION`: `audits` (the default) or `2026-09`.
    pub edition: Edition,
    /// `INTROSPECTION`: `on` (the default) or `off`. `off` also keeps the schema's names out of error messages.
    pub introspection: bool,
    /// `FEDERATION`: `on` makes the schema a part of a larger graph (Apollo Federation 2). Default `off`.
    pub federation: bool,
    /// `PERSISTED_DOCUMENTS_DIR`: a folder with documents that clients may request by id.
    pub persisted_documents: Option<PathBuf>,
    /// `PERSISTED_ONLY`: `true` refuses every document that is not from that folder. Default `false`.
    pub persisted_only: bool,
    /// `PERSISTED_CACHE_BYTES`: memory for documents that clients register themselves; 0 for none. Default `2097152`.
    pub persisted_cache_bytes: u64,
    /// `CACHE_BYTES`: memory for answers, which are kept as long as the data does not change; 0 for none. Default
    /// `16777216`.
    pub cache_bytes: u64,
    /// `SUBSCRIPTION_INTERVAL`: the least time between two answers to a subscriber, and how soon after a change one is
    /// sent. Default `1s`.
    pub subscription_interval: Duration,
    /// `CORS_ORIGINS`: origins whose pages may send requests, separated by commas, or `*`. None by default.
    pub cors_origins: Origins,
}

impl GraphqlConfig {
    pub(super) fn read(environment: &Environment) -> Self {
        let edition =
            environment.read("GRAPHQL_HTTP_EDITION", Edition::Audits, "audits or 2026-09", |value| match value {
                "audits" => Some(Edition::Audits),
                "2026-09" => Some(Edition::September2026),
                _ => None,
            });
        let persisted_documents = environment.get("PERSISTED_DOCUMENTS_DIR").map(PathBuf::from);
        let persisted_only = environment.switch("PERSISTED_ONLY", false);
        if persisted_only && persisted_documents.is_none() {
            environment.reject(
                "PERSISTED_ONLY",
                "needs PERSISTED_DOCUMENTS_DIR, the folder of the documents that are allowed",
            );
        }
        let none = Origins::Only(Vec::new());
        let expected = "origins such as \"https://dashboard.example, http://localhost:3000\", or *";
        Self {
            limits: Limits::read(environment),
            edition,
            introspection: environment.switch("INTROSPECTION", true),
            federation: environment.switch("FEDERATION", false),
            persisted_documents,
            persisted_only,
            persisted_cache_bytes: environment.number("PERSISTED_CACHE_BYTES", 2 << 20, 0, 1 << 30),
            cache_bytes: environment.number("CACHE_BYTES", 16 << 20, 0, 1 << 32),
            subscription_interval: environment.read(
                "SUBSCRIPTION_INTERVAL",
                Duration::from_secs(1),
                "a duration of at least 10ms, such as \"1s\"",
                |value| humantime::parse_duration(value).ok().filter(|interval| *interval >= SHORTEST_INTERVAL),
            ),
            cors_origins: environment.read("CORS_ORIGINS", none, expected, origins),
        }
    }
}

fn origins(value: &str) -> Option<Origins> {
    if value == "*" {
        return Some(Origins::Any);
    }
    let origins = value.split(',').map(|origin| origin.trim().to_owned());
    origins.map(|origin| is_origin(&origin).then_some(origin)).collect::<Option<Vec<_>>>().map(Origins::Only)
}

/// A scheme, a host, and possibly a port, in lower case as browsers send it. Without a path, even a slash.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(fits))
}

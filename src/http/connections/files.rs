//! The number of files that the process may have open, of which each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

use super::places::RESERVE;

/// Files beside the connections of clients and of the database: the log, certificates, pages of SQLite, and connections
/// to collectors and identity providers.
const OTHERS: usize = 64;

/// Raises the limit on open files as far as this user may. Returns the number of connections that it allows, at most
/// `wanted`, beside `database` connections.
#[must_use]
pub fn raise(wanted: usize, database: usize) -> usize {
    let found = getrlimit(Resource::Nofile);
    let needed = wanted + RESERVE + database + OTHERS;
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| usize::try_from(limit).is_ok_and(|most| most >= needed));
    if found.current != found.maximum {
        // A refusal leaves the limit as it is, and shows below.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: found.maximum, maximum: found.maximum });
    }
    let now = getrlimit(Resource::Nofile).current;
    if now != found.current {
        let told = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
        info!(from = told(found.current), to = told(now), "limit on open files raised");
    }
    if enough(now) {
        return wanted;
    }
    let open_files = now.and_then(|now| usize::try_from(now).ok()).unwrap_or(usize::MAX);
    let connections = open_files.saturating_sub(needed - wanted).max(1);
    warn!(
        open_files,
        needed,
        connections,
        "the limit on open files allows fewer connections than MAX_CONNECTIONS: raise it (ulimit -n), or lower MAX_CONNECTIONS"
    );
    connections
}

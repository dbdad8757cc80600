//! `/api/status`: the internal state of a replica, for operators.

use axum::{
    Extension, Json,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use crate::{
    access::Scope,
    http::{Gateway, connections::admission::Client, error::Failure},
};

/// The state of this replica. Needs the scope `admin`.
pub(in crate::http) async fn status(
    State(gateway): State<Gateway>,
    Extension(client): Extension<Client>,
) -> Result<Response, Failure> {
    client.caller.require(Scope::Admin)?;
    let (answers, bytes) = gateway.answers.kept();
    let (requests, in_flight_bytes) = gateway.load.free();
    let pool = gateway.reports.pool();
    let now = gateway.reports.now();
    let keys = gateway.authenticator.keys().into_iter().map(|(name, scopes, expires)| {
        let is_live = expires.is_none_or(|expires| now < expires);
        json!({ "name": &*name, "scopes": scopes.to_string(), "expires": expires, "isLive": is_live })
    });
    let rollup = match gateway.reports.look_for_rollup().await {
        Ok(Some(status)) => json!({
            "isBehind": status.is_behind, "refreshes": status.generation, "refreshedAt": status.refreshed_at,
            "logRows": status.log_rows, "isRead": gateway.reports.reads_rollup(), "trouble": status.trouble,
        }),
        Ok(None) => Value::Null,
        Err(error) => {
            error.log();
            return Err(Failure::Unavailable);
        }
    };
    let state = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": option_env!("REVISION"),
        "database": { "used": pool.used, "idle": pool.idle, "waiting": pool.waiting, "maximum": pool.max },
        "answerCache": { "answers": answers, "bytes": bytes },
        "rollup": rollup,
        "free": { "requests": requests, "inFlightBytes": in_flight_bytes },
        "callersWithinMinute": gateway.rate.callers(),
        "apiKeys": keys.collect::<Vec<_>>(),
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(state)).into_response())
}

//! Finds variables that nothing reads and whose names are similar to a known one.

use std::collections::BTreeSet;

use strsim::osa_distance;

/// Names that every program reads, in capital and small letters, beside others such as `HTTP_PROXY`: whoever sets one of
/// those means it.
const EVERYBODYS: [&str; 2] = ["HTTPS_PROXY", "NO_PROXY"];

/// The names in `set` that are not known, each with the known name that was probably meant.
pub(super) fn among<'a>(set: &'a [String], ours: &BTreeSet<&'static str>) -> Vec<(&'a str, &'static str)> {
    let foreign = set.iter().filter(|name| !ours.contains(name.as_str()) && !is_service_link(name, set));
    foreign.filter_map(|name| Some((name.as_str(), meant(name, ours)?))).collect()
}

/// The most similar known name, if the difference can be a slip: one letter wrong, missing, added, or swapped with the
/// next; two in a name of 12 letters or more. Case is ignored. The first letter must be the same, since `SSL_CERT_FILE`
/// is not a misspelt `TLS_CERT_FILE`.
fn meant(name: &str, ours: &BTreeSet<&'static str>) -> Option<&'static str> {
    let name = name.to_ascii_uppercase();
    let slips = |own: &str| if own.len() < 12 { 1 } else { 2 };
    let ours = ours.iter().filter(|own| !EVERYBODYS.contains(own));
    let begins_alike = ours.filter(|own| own.as_bytes().first() == name.as_bytes().first());
    let distances = begins_alike.map(|own| (osa_distance(&name, own), *own));
    distances.filter(|(distance, own)| *distance <= slips(own)).min().map(|(_, own)| own)
}

/// Kubernetes sets `APPS_PORT`, `APPS_SERVICE_HOST` and more in every pod when a service is named `apps`.
fn is_service_link(name: &str, set: &[String]) -> bool {
    let services = set.iter().filter_map(|other| other.strip_suffix("SERVICE_HOST"));
    services.filter(|service| service.ends_with('_')).any(|service| name.starts_with(service))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    fn ours() -> BTreeSet<&'static str> {
        let environment = Environment::new(|_| None);
        Config::read(&environment).unwrap();
        environment.asked()
    }

    /// Variables that shells, desktops, toolchains, pipelines and other programs set.
    const EVERYDAY: &str = "PATH HOME USER LOGNAME SHELL PWD OLDPWD TERM LANG LC_ALL TZ EDITOR DISPLAY HOSTNAME HOSTTYPE \
        MAIL PAGER SHLVL TMPDIR COLORTERM SSH_AUTH_SOCK XDG_RUNTIME_DIR XDG_DATA_DIRS DBUS_SESSION_BUS_ADDRESS \
        PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGSSLMODE PGSSLROOTCERT POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DB \
        MYSQL_HOST MYSQL_PORT REDIS_URL REDIS_HOST SSL_CERT_FILE SSL_CERT_DIR SSL_KEY_FILE CURL_CA_BUNDLE NODE_ENV PORT \
        HOST HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy CI GITHUB_TOKEN GITHUB_ACTIONS RUST_LOG \
        RUST_BACKTRACE CARGO_HOME RUSTUP_HOME CARGO_TARGET_DIR CARGO_MANIFEST_DIR AWS_REGION AWS_PROFILE \
        AWS_ACCESS_KEY_ID AWS_DEFAULT_REGION KUBERNETES_PORT KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT \
        KUBERNETES_PORT_443_TCP_ADDR OTEL_SERVICE_NAME OTEL_RESOURCE_ATTRIBUTES OTEL_EXPORTER_OTLP_TRACES_ENDPOINT \
        OTEL_EXPORTER_OTLP_HEADERS OTEL_EXPORTER_OTLP_PROTOCOL OTEL_EXPORTER_OTLP_TIMEOUT DB_USER DB_PASS DB_URL \
        APP_NAME APP_ENV APP_KEY APP_ROOT APP_URL APP_DEBUG LOG_DIR LOG_FILE DOCKER_HOST COMPOSE_PROJECT_NAME \
        POSTGRES_SERVICE_HOST POSTGRES_PORT COWORKING_SERVICE_HOST COWORKING_PORT COWORKING_PORT_5153_TCP \
        APPS_SERVICE_HOST APPS_SERVICE_PORT APPS_PORT APPS_PORT_80_TCP";

    #[test]
    fn names_that_everybody_has_are_no_misspellings() {
        let set: Vec<_> = EVERYDAY.split_whitespace().map(str::to_owned).collect();
        assert_eq!(among(&set, &ours()), []);
    }

    /// In any letter of any name, except the first letter.
    #[test]
    fn every_slip_is_found() {
        let ours = ours();
        for own in ours.iter().filter(|own| !EVERYBODYS.contains(own)) {
            for at in 1..own.len() {
                let (before, letter, after) = (&own[..at], &own[at..=at], &own[at + 1..]);
                let swapped = after.get(..1).map(|next| format!("{before}{next}{letter}{}", &after[1..]));
                let slips = [
                    own.to_lowercase(),
                    format!("{before}{after}"),
                    format!("{before}~{after}"),
                    format!("{before}{letter}{letter}{after}"),
                    swapped.unwrap_or_else(|| own.to_lowercase()),
                ];
                for slip in slips.iter().filter(|slip| !ours.contains(slip.as_str())) {
                    assert_eq!(among(std::slice::from_ref(slip), &ours), [(slip.as_str(), *own)]);
                }
            }
        }
    }
}

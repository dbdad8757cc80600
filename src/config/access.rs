//! Access: what callers may see, and how much work they may cause.

use std::path::PathBuf;

use secrecy::SecretString;

use super::Environment;
use crate::scopes::Scopes;

/// What callers may see, and how much work they may cause.
#[derive(Debug, Clone)]
pub struct AccessConfig {
    /// `ANONYMOUS_SCOPES`: what callers without a credential may see: `reports`, `members`, `admin`, separated by
    /// commas, or `none`. Default `reports`; on the embedded database, whose members are invented, `reports,members`.
    pub anonymous: Scopes,
    /// `API_KEYS`: lines of API keys as `key new` prints them, separated by semicolons or line ends.
    pub api_keys: Option<SecretString>,
    /// `API_KEYS_FILE`: a file with such lines, read again when it changes.
    pub api_keys_file: Option<PathBuf>,
    /// The identity provider whose access tokens are accepted, if any.
    pub oidc: Option<OidcConfig>,
    /// `RATE_LIMIT`: the cost per minute of each API key, each subject of access tokens, and each address without a
    /// credential; `off` for no limit. Default `3000000`: a report costs 1000, each value 1, and a request that needs
    /// no work 100.
    pub rate_limit: Option<u64>,
    /// `TRUSTED_PROXY_HOPS`: through how many proxies that add to `X-Forwarded-For` every request comes. With 0, the
    /// default, the client's address is that of the connection.
    pub proxy_hops: usize,
}

/// An identity provider whose access tokens are accepted.
#[derive(Debug, Clone)]
pub struct OidcConfig {
    /// `OIDC_ISSUER`: the provider's address, as in the access tokens' `iss`. When not set, none are accepted.
    pub issuer: String,
    /// `OIDC_AUDIENCE`: the `aud` of access tokens for this service; required with `OIDC_ISSUER`.
    pub audience: String,
    /// `OIDC_JWKS_URL`: the address of the provider's keys. When not set, the provider's own configuration has it.
    pub jwks_url: Option<String>,
    /// `OIDC_CLAIM`: the claim that grants scopes: a text of words, or a list. Dots lead into objects, as in
    /// `realm_access.roles`. Default `scope`.
    pub claim: String,
    /// `OIDC_GRANTS`: which scopes the claim's values grant, as `value=scope+scope` separated by commas. By default
    /// each scope is granted by its own name.
    pub grants: Vec<(String, Scopes)>,
    /// `OIDC_CA_FILE`: a PEM file of the certificate authorities to trust instead of the public ones.
    pub authorities: Option<PathBuf>,
    /// The proxy on the way to the provider, if any.
    pub proxy: Option<Proxy>,
}

/// A proxy that makes tunnels to hosts of https.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// `HTTPS_PROXY`: its address, `http://HOST:PORT`, perhaps with a login.
    pub address: SecretString,
    /// `NO_PROXY`: hosts, domains and networks that are reached without it, separated by commas.
    pub except: String,
}

impl Proxy {
    /// Other programs read these variables too, in small letters as well, so they may be set for those alone.
    fn read(environment: &Environment, is_needed: bool) -> Option<Self> {
        let [address, except] = [("HTTPS_PROXY", "https_proxy"), ("NO_PROXY", "no_proxy")].map(|(name, small)| {
            environment.get(name).or_else(|| (environment.look_up)(small).filter(|value| !value.is_empty()))
        });
        let address = address.filter(|_| is_needed)?;
        let host = address.strip_prefix("http://").unwrap_or(&address);
        if host.contains("://") || format!("http://{host}").parse::<hyper::Uri>().is_err() {
            environment.reject("HTTPS_PROXY", "is not the address of a proxy; expected http://HOST:PORT");
        }
        Some(Self { address: address.into(), except: except.unwrap_or_default() })
    }
}

impl AccessConfig {
    pub(super) fn read(environment: &Environment, is_embedded: bool) -> Self {
        let anonymous = Scopes::parse(if is_embedded { "reports,members" } else { "reports" }).unwrap_or_default();
        let scopes = "scopes such as \"reports,members\", or none";
        Self {
            anonymous: environment.read("ANONYMOUS_SCOPES", anonymous, scopes, Scopes::parse),
            api_keys: environment.get("API_KEYS").map(SecretString::from),
            api_keys_file: environment.get("API_KEYS_FILE").map(PathBuf::from),
            oidc: OidcConfig::read(environment),
            rate_limit: environment.read(
                "RATE_LIMIT",
                Some(3_000_000),
                "a cost a minute from 1000 to 1000000000000, or off",
                |value| match value {
                    "off" => Some(None),
                    value => value.parse().ok().filter(|cost| (1_000..=1_000_000_000_000).contains(cost)).map(Some),
                },
            ),
            proxy_hops: environment.number("TRUSTED_PROXY_HOPS", 0, 0, 16),
        }
    }
}

impl OidcConfig {
    fn read(environment: &Environment) -> Option<Self> {
        const URL: &str = "an address of https (http only on this machine)";
        let url =
            |name| environment.read(name, None, URL, |value| is_trustworthy(value).then(|| Some(value.to_owned())));
        let expected = "grants such as \"analyst=reports+members, operator=admin\"";
        let own = Scopes::parse("reports,members,admin").unwrap_or_default().to_string();
        let own = own.split(',').filter_map(|name| Some((name.to_owned(), Scopes::parse(name)?))).collect();
        // All variables are read, also without an issuer: only names that are read count as known, and others as
        // misspelt.
        let (issuer, audience) = (url("OIDC_ISSUER"), environment.get("OIDC_AUDIENCE"));
        let mut oidc = Self {
            issuer: String::new(),
            audience: String::new(),
            jwks_url: url("OIDC_JWKS_URL"),
            claim: environment.get("OIDC_CLAIM").unwrap_or_else(|| "scope".to_owned()),
            grants: environment.read("OIDC_GRANTS", own, expected, grants),
            authorities: environment.get("OIDC_CA_FILE").map(PathBuf::from),
            proxy: Proxy::read(environment, issuer.is_some()),
        };
        oidc.issuer = issuer?;
        oidc.audience = audience.unwrap_or_else(|| {
            environment.reject(
                "OIDC_AUDIENCE",
                "is needed with OIDC_ISSUER: access tokens for other services are not accepted",
            );
            String::new()
        });
        Some(oidc)
    }
}

fn grants(text: &str) -> Option<Vec<(String, Scopes)>> {
    let grant = |grant: &str| {
        let (value, scopes) = grant.trim().rsplit_once('=')?;
        Some((value.to_owned(), Scopes::parse(&scopes.replace('+', ","))?))
    };
    text.split(',').map(grant).collect()
}

/// Whether answers from the address come from its owner: it uses TLS, or is on this machine.
pub(crate) fn is_trustworthy(address: &str) -> bool {
    let Ok(uri) = address.parse::<hyper::Uri>() else { return false };
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => matches!(host, "localhost" | "127.0.0.1" | "[::1]"),
        _ => false,
    }
}

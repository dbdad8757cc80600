//! Access tokens (JWT) of an identity provider, checked with the keys that it publishes.
//! Sources: <https://openid.net/specs/openid-connect-discovery-1_0.html>; RFC 7519; RFC 8725, section 3.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::body::Body;
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt as _, Limited};
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, Validation, decode, decode_header,
    errors::ErrorKind,
    jwk::{JwkSet, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tokio_rustls::rustls::{
    self, ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tracing::{info, warn};

use super::{Denied, Identity, Scopes, signatures};
use crate::{
    config::access::{self, OidcConfig},
    telemetry::error_chain,
};

/// How far this machine's clock and the provider's may differ, in seconds.
const LEEWAY: u64 = 30;
/// Older keys are fetched again, since the provider may have withdrawn one.
const KEYS_AGE: Duration = Duration::from_hours(1);
/// The least time between two fetches, since anybody can send an access token with an unknown key id.
const FETCH_PAUSE: Duration = Duration::from_secs(5);
/// How long the provider may take to answer.
const FETCH_TIME: Duration = Duration::from_secs(5);
/// The most bytes of an answer of the provider.
const FETCH_BYTES: usize = 256 << 10;
/// The longest access token, in bytes.
const TOKEN_BYTES: usize = 16 << 10;

/// Why the identity provider cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The file of certificate authorities cannot be read.
    #[error("cannot read {0}, of OIDC_CA_FILE: {1}")]
    Authorities(PathBuf, String),
    /// The address is malformed.
    #[error("{0} is no address")]
    Address(String),
    /// The connection failed.
    #[error("{0}: {1}")]
    Http(String, String),
    /// The provider took too long.
    #[error("{0} did not answer within {FETCH_TIME:?}")]
    TimedOut(String),
    /// The answer does not have the expected form.
    #[error("{0} did not answer with {1}")]
    Form(String, &'static str),
}

/// Checks access tokens, and finds what they grant.
pub(super) struct Tokens {
    config: OidcConfig,
    client: Client<HttpsConnector<HttpConnector>, Body>,
    known: RwLock<Known>,
    /// When keys were last requested. Locked during a request.
    fetching: Mutex<Option<Instant>>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Arc<[Key]>,
    fetched: Option<Instant>,
}

struct Key {
    id: Option<String>,
    /// The algorithms with which the key may have signed.
    algorithms: Vec<Algorithm>,
    verifies: DecodingKey,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A JWT has three parts; an API key has only one.
pub(super) fn looks_like_token(text: &str) -> bool {
    text.split('.').count() == 3
}

impl Tokens {
    pub(super) fn new(config: OidcConfig) -> Result<Self, FetchError> {
        signatures::install();
        let builder = HttpsConnectorBuilder::new();
        let builder = match &config.authorities {
            Some(path) => builder.with_tls_config(trusting(path)?),
            None => builder
                .with_provider_and_webpki_roots(default_provider())
                .map_err(|error| FetchError::Http("TLS".to_owned(), error.to_string()))?,
        };
        let client = Client::builder(TokioExecutor::new()).build(builder.https_or_http().enable_http1().build());
        Ok(Self { config, client, known: RwLock::default(), fetching: Mutex::default() })
    }

    /// The subject of an access token, and the scopes that it grants.
    pub(super) async fn check(&self, token: &str) -> Result<(Identity, Scopes), Denied> {
        let malformed = Denied::Invalid("The token is no JWT that can be read.");
        if token.len() > TOKEN_BYTES {
            return Err(malformed);
        }
        let header = decode_header(token).map_err(|_| malformed)?;
        if AlgorithmFamily::Hmac.algorithms().contains(&header.alg) {
            return Err(Denied::Invalid("The token is signed with a shared secret; a key pair's signature is needed."));
        }
        let mut known = self.known(false).await?;
        let mut key = known.find(header.kid.as_deref(), header.alg);
        if key.is_none() {
            known = self.known(true).await?;
            key = known.find(header.kid.as_deref(), header.alg);
        }
        let key = key.ok_or(Denied::Invalid("The token is signed with a key that the identity provider has not."))?;
        let mut validation = Validation::new(header.alg);
        validation.algorithms.clone_from(&key.algorithms);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims = decode::<Claims>(token, &key.verifies, &validation).map_err(|error| reason(error.kind()))?.claims;
        let expires = claims.exp.saturating_add(LEEWAY.cast_signed());
        let expires = DateTime::<Utc>::from_timestamp(expires, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let scopes = self.granted(&claims.other);
        Ok((Identity::Token { subject: claims.sub.into(), expires }, scopes))
    }

    /// The scopes that the claim's values grant. The claim is a text of words, or a list of texts.
    fn granted(&self, claims: &Map<String, Value>) -> Scopes {
        let values: Vec<&str> = match claims.get(&self.config.claim) {
            Some(Value::String(text)) => text.split(' ').collect(),
            Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let granted = self.config.grants.iter().filter(|(value, _)| values.contains(&value.as_str()));
        granted.fold(Scopes::default(), |all, (_, scopes)| all.and(*scopes))
    }

    /// The provider's keys. They are fetched at first, when they are old, and when one is `missing`, but not more often
    /// than [`FETCH_PAUSE`]. When they cannot be fetched, the previous ones are used.
    async fn known(&self, missing: bool) -> Result<Known, Denied> {
        let now = || self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        let known = now();
        let is_fresh = known.fetched.is_some_and(|at| at.elapsed() < KEYS_AGE);
        if is_fresh && !missing {
            return Ok(known);
        }
        let mut last = match self.fetching.try_lock() {
            Ok(last) => last,
            // Another request is fetching them. A request that has keys continues with those.
            Err(_) if known.fetched.is_some() && !missing => return Ok(known),
            Err(_) => self.fetching.lock().await,
        };
        if now().fetched != known.fetched || last.is_some_and(|last| last.elapsed() < FETCH_PAUSE) {
            let known = now();
            return if known.fetched.is_some() { Ok(known) } else { Err(Denied::Unavailable) };
        }
        *last = Some(Instant::now());
        match self.fetch_keys().await {
            Ok(keys) => {
                info!(keys = keys.len(), "keys of the identity provider read");
                let known = Known { keys: keys.into(), fetched: Some(Instant::now()) };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = known.clone();
                Ok(known)
            }
            Err(error) => {
                warn!(%error, "keys of the identity provider not read: check OIDC_ISSUER and the way to it");
                if known.fetched.is_some() { Ok(known) } else { Err(Denied::Unavailable) }
            }
        }
    }

    async fn fetch_keys(&self) -> Result<Vec<Key>, FetchError> {
        let address = if let Some(address) = &self.config.jwks_url {
            address.clone()
        } else {
            let issuer = self.config.issuer.trim_end_matches('/');
            let address = format!("{issuer}/.well-known/openid-configuration");
            let found: Discovered = self.fetch(&address, "its configuration").await?;
            if found.issuer.trim_end_matches('/') != issuer {
                return Err(FetchError::Form(address, "the configuration of OIDC_ISSUER"));
            }
            found.jwks_uri
        };
        if !access::is_trustworthy(&address) {
            return Err(FetchError::Form(address, "keys at an address of https"));
        }
        let set: JwkSet = self.fetch(&address, "a set of keys").await?;
        let signs = set
            .keys
            .iter()
            .filter(|key| key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature));
        Ok(signs
            .filter_map(|jwk| {
                let key = DecodingKey::from_jwk(jwk).ok().filter(|key| key.family() != AlgorithmFamily::Hmac)?;
                let pinned = jwk.common.key_algorithm.and_then(|algorithm| algorithm.to_string().parse().ok());
                let algorithms = match pinned {
                    Some(algorithm) => vec![algorithm],
                    None => key.family().algorithms().to_vec(),
                };
                Some(Key { id: jwk.common.key_id.clone(), algorithms, verifies: key })
            })
            .collect())
    }

    async fn fetch<T: for<'de> Deserialize<'de>>(&self, address: &str, what: &'static str) -> Result<T, FetchError> {
        let uri: Uri = address.parse().map_err(|_| FetchError::Address(address.to_owned()))?;
        let failed = |error: &dyn std::error::Error| FetchError::Http(address.to_owned(), error_chain(error));
        let fetched = timeout(FETCH_TIME, async {
            let request = Request::get(uri).header("accept", "application/json").body(Body::empty());
            let request = request.map_err(|error| failed(&error))?;
            let response = self.client.request(request).await.map_err(|error| failed(&error))?;
            if !response.status().is_success() {
                return Err(FetchError::Http(address.to_owned(), response.status().to_string()));
            }
            let body = Limited::new(response.into_body(), FETCH_BYTES).collect().await;
            Ok(body.map_err(|error| failed(&*error))?.to_bytes())
        });
        let body = fetched.await.map_err(|_| FetchError::TimedOut(address.to_owned()))??;
        serde_json::from_slice(&body).map_err(|_| FetchError::Form(address.to_owned(), what))
    }
}

impl Known {
    /// The key with this id or, without an id, any key for this algorithm.
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        self.keys.iter().find(|key| key.algorithms.contains(&algorithm) && (id.is_none() || key.id.as_deref() == id))
    }
}

fn reason(kind: &ErrorKind) -> Denied {
    Denied::Invalid(match kind {
        ErrorKind::ExpiredSignature => "The token has expired.",
        ErrorKind::ImmatureSignature => "The token is not valid yet.",
        ErrorKind::InvalidIssuer => "The token is from another issuer.",
        ErrorKind::InvalidAudience => "The token is for another audience.",
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) | ErrorKind::Json(_) => {
            "The token lacks one of the claims exp, iss, aud and sub, or has it in another form."
        }
        _ => "The token is not valid.",
    })
}

fn trusting(path: &PathBuf) -> Result<ClientConfig, FetchError> {
    let failed = |problem: String| FetchError::Authorities(path.clone(), problem);
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed(io::Error::from(io::ErrorKind::InvalidData).to_string()));
    }
    let builder = rustls::ClientConfig::builder_with_provider(default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| failed(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    #[serde(flatten)]
    other: Map<String, Value>,
}

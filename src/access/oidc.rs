//! Access tokens (JWT) of an identity provider, checked with the keys that it publishes.
//! Sources: <https://openid.net/specs/openid-connect-discovery-1_0.html>; RFC 7519; RFC 8725, section 3.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{FutureExt as _, TryFutureExt as _, future::BoxFuture};
use http_body_util::{BodyExt as _, Limited};
use hyper::{Request, Response, Uri, body::Incoming, header::LOCATION};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::{
        legacy::{
            Client,
            connect::{HttpConnector, proxy::Tunnel},
        },
        proxy::matcher::Matcher,
    },
    rt::{TokioExecutor, TokioIo},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::{
    net::TcpStream,
    sync::Mutex,
    time::{Instant, timeout},
};
use tokio_rustls::rustls::{
    self, ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tower::Service;
use tracing::{info, warn};

use super::{
    Denied, Identity, Scopes,
    signatures::{self, Algorithm, Jwk, Key},
};
use crate::{
    config::access::{self, OidcConfig, Proxy},
    telemetry::error_chain,
};

/// How far this machine's clock and the provider's may differ.
const LEEWAY: TimeDelta = TimeDelta::seconds(30);
/// The most keys that are tried for a token that names none.
const TRIES: usize = 16;
/// The most redirects on the way to the keys.
const REDIRECTS: usize = 3;
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
    client: Client<HttpsConnector<Way>, Body>,
    known: RwLock<Known>,
    /// When keys were last requested. Locked during a request.
    fetching: Mutex<Option<Instant>>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Arc<[Key]>,
    fetched: Option<Instant>,
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
        let builder = HttpsConnectorBuilder::new();
        let builder = match &config.authorities {
            Some(path) => builder.with_tls_config(trusting(path)?),
            None => builder
                .with_provider_and_webpki_roots(default_provider())
                .map_err(|error| FetchError::Http("TLS".to_owned(), error.to_string()))?,
        };
        let way = Way::by(config.proxy.as_ref());
        let client =
            Client::builder(TokioExecutor::new()).build(builder.https_or_http().enable_http1().wrap_connector(way));
        Ok(Self { config, client, known: RwLock::default(), fetching: Mutex::default() })
    }

    /// Fetches the keys before the first token needs them, so that the log soon says whether that works.
    pub(super) async fn prepare(&self) {
        let _ = self.known(false).await;
    }

    /// The subject of an access token, and the scopes that it grants.
    pub(super) async fn check(&self, token: &str, now: DateTime<Utc>) -> Result<(Identity, Scopes), Denied> {
        let token = Token::read(token)?;
        let mut known = self.known(false).await?;
        if !known.verify(&token) {
            // The key may be new, also under the id of an old one.
            let before = known.fetched;
            known = self.known(true).await?;
            if known.fetched == before || !known.verify(&token) {
                return Err(if known.candidates(&token).next().is_some() {
                    Denied::Invalid("The token is not valid: no key of the identity provider has made its signature.")
                } else {
                    Denied::Invalid("The token is signed with a key that the identity provider has not.")
                });
            }
        }
        let claims = self.valid(token.claims, now)?;
        let expires = instant(claims.exp) + LEEWAY;
        let scopes = self.granted(&claims.other);
        Ok((Identity::Token { subject: claims.sub.into(), expires }, scopes))
    }

    /// The claims of a token whose signature is right.
    fn valid(&self, claims: Map<String, Value>, now: DateTime<Utc>) -> Result<Claims, Denied> {
        let claims: Claims = serde_json::from_value(Value::Object(claims)).map_err(|_| {
            Denied::Invalid("The token lacks one of the claims exp, iss, aud and sub, or has it in another form.")
        })?;
        let is_ours = match &claims.aud {
            Audience::One(audience) => *audience == self.config.audience,
            Audience::Many(audiences) => audiences.contains(&self.config.audience),
        };
        Err(Denied::Invalid(if instant(claims.exp) + LEEWAY < now {
            "The token has expired."
        } else if claims.nbf.is_some_and(|nbf| instant(nbf) > now + LEEWAY) {
            "The token is not valid yet."
        } else if without_slash(&claims.iss) != without_slash(&self.config.issuer) {
            "The token is from another issuer."
        } else if !is_ours {
            "The token is for another audience."
        } else {
            return Ok(claims);
        }))
    }

    /// The scopes that the claim's values grant. The claim is a text of words, or a list of texts.
    fn granted(&self, claims: &Map<String, Value>) -> Scopes {
        let values: Vec<&str> = match named(claims, &self.config.claim) {
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
            let issuer = without_slash(&self.config.issuer);
            let address = format!("{issuer}/.well-known/openid-configuration");
            let found: Discovered = self.fetch(&address, "its configuration").await?;
            if without_slash(&found.issuer) != issuer {
                return Err(FetchError::Form(address, "the configuration of OIDC_ISSUER"));
            }
            if found.issuer != self.config.issuer {
                let (configured, own) = (&self.config.issuer, &found.issuer);
                warn!(
                    configured,
                    own,
                    "the identity provider's own address differs from OIDC_ISSUER by a slash: tokens with either are accepted"
                );
            }
            found.jwks_uri
        };
        if !access::is_trustworthy(&address) {
            return Err(FetchError::Form(address, "keys at an address of https"));
        }
        let set: KeySet = self.fetch(&address, "a set of keys").await?;
        // Keys of kinds that are not known here are left out.
        let keys = set.keys.into_iter().filter_map(|key| Key::of(&serde_json::from_value::<Jwk>(key).ok()?));
        Ok(keys.collect())
    }

    async fn fetch<T: for<'de> Deserialize<'de>>(&self, address: &str, what: &'static str) -> Result<T, FetchError> {
        let fetched = timeout(FETCH_TIME, async {
            let failed = |error: &dyn std::error::Error| FetchError::Http(address.to_owned(), error_chain(error));
            let response = self.follow(address).await?;
            let body = Limited::new(response.into_body(), FETCH_BYTES).collect().await;
            Ok(body.map_err(|error| failed(&*error))?.to_bytes())
        });
        let body = fetched.await.map_err(|_| FetchError::TimedOut(address.to_owned()))??;
        serde_json::from_slice(&body).map_err(|_| FetchError::Form(address.to_owned(), what))
    }

    /// The answer of `address`, or of where it leads to. Every address on the way must be trustworthy.
    async fn follow(&self, address: &str) -> Result<Response<Incoming>, FetchError> {
        let mut uri: Uri = address.parse().map_err(|_| FetchError::Address(address.to_owned()))?;
        for _ in 0..=REDIRECTS {
            let failed = |error: &dyn std::error::Error| FetchError::Http(uri.to_string(), error_chain(error));
            let request = Request::get(uri.clone()).header("accept", "application/json").body(Body::empty());
            let request = request.map_err(|error| failed(&error))?;
            let response = self.client.request(request).await.map_err(|error| failed(&error))?;
            if response.status().is_success() {
                return Ok(response);
            }
            let place = response.headers().get(LOCATION).and_then(|place| place.to_str().ok());
            let Some(place) = place.filter(|_| response.status().is_redirection()) else {
                return Err(FetchError::Http(uri.to_string(), response.status().to_string()));
            };
            let next = redirected(&uri, place).filter(|next| access::is_trustworthy(&next.to_string()));
            uri = next.ok_or_else(|| FetchError::Form(uri.to_string(), "a redirect to an address of https"))?;
        }
        Err(FetchError::Form(address.to_owned(), "keys after three redirects"))
    }
}

/// Where a redirect leads: an address, or a path on the same host.
fn redirected(from: &Uri, place: &str) -> Option<Uri> {
    let to: Uri = place.parse().ok()?;
    if to.scheme().is_some() {
        return Some(to);
    }
    let mut parts = from.clone().into_parts();
    parts.path_and_query = Some(to.into_parts().path_and_query.filter(|path| path.as_str().starts_with('/'))?);
    Uri::from_parts(parts).ok()
}

/// The way to a host: straight, or through a proxy.
#[derive(Clone)]
struct Way {
    straight: HttpConnector,
    proxy: Option<Arc<Matcher>>,
}

impl Way {
    fn by(proxy: Option<&Proxy>) -> Self {
        use secrecy::ExposeSecret as _;
        let mut straight = HttpConnector::new();
        straight.enforce_http(false);
        let proxy = proxy.map(|Proxy { address, except }| {
            Arc::new(Matcher::builder().https(address.expose_secret()).no(except.as_str()).build())
        });
        Self { straight, proxy }
    }
}

impl Service<Uri> for Way {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.straight.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        match self.proxy.as_ref().and_then(|proxy| proxy.intercept(&to)) {
            Some(proxy) => {
                let tunnel = Tunnel::new(proxy.uri().clone(), self.straight.clone());
                let mut tunnel = match proxy.basic_auth() {
                    Some(login) => tunnel.with_auth(login.clone()),
                    None => tunnel,
                };
                tunnel.call(to).map_err(Into::into).boxed()
            }
            None => self.straight.call(to).map_err(Into::into).boxed(),
        }
    }
}

/// An access token that can be read, and whose signature is still to be checked.
struct Token<'a> {
    key: Option<String>,
    algorithm: Algorithm,
    claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    fn read(text: &'a str) -> Result<Self, Denied> {
        let parts = || {
            let (signed, signature) = text.rsplit_once('.').filter(|_| text.len() <= TOKEN_BYTES)?;
            let (header, claims) = signed.split_once('.')?;
            let header: Header = serde_json::from_slice(&signatures::bytes(header)?).ok()?;
            let claims = serde_json::from_slice(&signatures::bytes(claims)?).ok()?;
            Some((header, claims, signed, signatures::bytes(signature)?))
        };
        let (header, claims, signed, signature) =
            parts().ok_or(Denied::Invalid("The token is no JWT that can be read."))?;
        if header.crit.is_some() {
            return Err(Denied::Invalid("The token has an extension (crit) that this service does not know."));
        }
        if header.alg.starts_with("HS") {
            return Err(Denied::Invalid("The token is signed with a shared secret; a key pair's signature is needed."));
        }
        let algorithm = Algorithm::named(&header.alg).ok_or(Denied::Invalid(
            "The token is not signed with RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or Ed25519.",
        ))?;
        Ok(Self { key: header.kid, algorithm, claims, signed, signature })
    }
}

impl Known {
    /// The keys that may have signed the token: that of its key id, or else all that fit.
    fn candidates(&self, token: &Token<'_>) -> impl Iterator<Item = &Key> {
        let fits = move |key: &&Key| key.signs_with(token.algorithm);
        let is_meant = move |key: &&Key| token.key.is_none() || key.id.is_none() || key.id == token.key;
        self.keys.iter().filter(fits).filter(is_meant).take(TRIES)
    }

    fn verify(&self, token: &Token<'_>) -> bool {
        let (message, signature) = (token.signed.as_bytes(), &token.signature);
        self.candidates(token).any(|key| key.verifies(token.algorithm, message, signature))
    }
}

/// The claim with this name, or at this path: `realm_access.roles` is `roles` within `realm_access`.
fn named<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(claim) = claims.get(name) {
        return Some(claim);
    }
    name.match_indices('.').find_map(|(at, _)| named(claims.get(&name[..at])?.as_object()?, &name[at + 1..]))
}

/// The time of a claim, in seconds since 1970, perhaps with a fraction.
#[expect(clippy::cast_possible_truncation, reason = "a number beyond all times is the last one")]
fn instant(seconds: f64) -> DateTime<Utc> {
    let (first, last) = (DateTime::<Utc>::MIN_UTC + LEEWAY, DateTime::<Utc>::MAX_UTC - LEEWAY);
    let time = DateTime::from_timestamp_millis((seconds * 1_000.0) as i64);
    time.unwrap_or(if seconds < 0.0 { first } else { last }).clamp(first, last)
}

fn without_slash(address: &str) -> &str {
    address.strip_suffix('/').unwrap_or(address)
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
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

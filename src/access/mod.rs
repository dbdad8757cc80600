//! Who the caller is, and what they may see: scopes, API keys, access tokens of an identity provider, and rate limits.
//! This module knows neither HTTP nor reports.

pub mod keys;
mod oidc;
mod rate;
mod signatures;

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};

pub use self::rate::{Meter, RateLimit};
use self::{
    keys::{Keys, KeysError},
    oidc::{FetchError, Tokens},
};
pub use crate::scopes::{Scope, Scopes};
use crate::{clock::Clock, config::access::AccessConfig, shutdown::Ending};

/// The identity of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A caller without a credential.
    Anonymous,
    /// The owner of the API key with this name.
    Key {
        /// The key's name.
        name: Arc<str>,
        /// The SHA-256 of the key.
        hash: [u8; 32],
    },
    /// The subject of an access token from the identity provider.
    Token {
        /// The access token's `sub`.
        subject: Arc<str>,
        /// When the access token is no longer accepted, in UTC: 30 seconds after its `exp`, for clocks that differ.
        expires: DateTime<Utc>,
    },
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Key { name, .. } => write!(f, "key:{name}"),
            Self::Token { subject, .. } => write!(f, "token:{subject}"),
        }
    }
}

/// A caller, and what they may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who the caller is.
    pub identity: Identity,
    /// What the caller may see: the scopes of everybody, and those granted to the caller.
    pub scopes: Scopes,
}

impl Caller {
    /// Fails unless the caller has the scope.
    ///
    /// # Errors
    /// [`NotGranted::Unauthenticated`] for callers without a credential, [`NotGranted::Forbidden`] for others.
    pub fn require(&self, scope: Scope) -> Result<(), NotGranted> {
        if self.scopes.has(scope) {
            Ok(())
        } else if self.identity == Identity::Anonymous {
            Err(NotGranted::Unauthenticated(scope))
        } else {
            Err(NotGranted::Forbidden(scope))
        }
    }
}

#[cfg(test)]
impl Caller {
    /// A caller who may see every report.
    pub(crate) fn of_tests() -> Self {
        Self { identity: Identity::Anonymous, scopes: Scopes::parse("reports,members").unwrap_or_default() }
    }
}

/// A scope that the caller does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotGranted {
    /// The caller sent no credential.
    #[error("needs the scope `{}`: send an API key or a token (`Authorization: Bearer …`) that has it", .0.name())]
    Unauthenticated(Scope),
    /// The caller's key or access token does not have it.
    #[error("needs the scope `{}`, which your key or token does not have", .0.name())]
    Forbidden(Scope),
}

impl NotGranted {
    /// The scope that is missing.
    #[must_use]
    pub fn scope(self) -> Scope {
        let (Self::Unauthenticated(scope) | Self::Forbidden(scope)) = self;
        scope
    }
}

/// Why a credential is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The credential is not valid; the sentence says why.
    #[error("{0}")]
    Invalid(&'static str),
    /// The credential cannot be checked now.
    #[error("The keys of the identity provider are not available for now: try again shortly.")]
    Unavailable,
}

/// Identifies callers by their credentials. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authenticator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    anonymous: Scopes,
    keys: Keys,
    tokens: Option<Tokens>,
    clock: Clock,
}

/// Why callers cannot be identified.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The API keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The connection to the identity provider cannot be set up.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

impl Authenticator {
    /// Identifies callers as `config` says.
    ///
    /// # Errors
    /// When the API keys, or the certificate authorities for the identity provider, cannot be read.
    pub fn new(config: &AccessConfig, clock: Clock) -> Result<Self, AccessError> {
        let keys = Keys::read(config)?;
        let tokens = config.oidc.clone().map(Tokens::new).transpose()?;
        Ok(Self(Arc::new(Inner { anonymous: config.anonymous, keys, tokens, clock })))
    }

    /// The caller who sent this API key or access token; the anonymous caller when there is none.
    ///
    /// # Errors
    /// When the credential is not valid, or cannot be checked now.
    pub async fn caller(&self, credential: Option<&str>) -> Result<Caller, Denied> {
        let Inner { anonymous, keys, tokens, clock } = &*self.0;
        let (identity, scopes) = match (credential, tokens) {
            (None, _) => (Identity::Anonymous, Scopes::default()),
            (Some(token), Some(tokens)) if oidc::looks_like_token(token) => tokens.check(token, clock.now()).await?,
            (Some(key), _) => keys.find(key, clock.now())?,
        };
        Ok(Caller { identity, scopes: scopes.and(*anonymous) })
    }

    /// Whether the caller's credential is still valid: a key that is neither removed nor expired, or an access token
    /// that has not expired. For connections that stay open after a request.
    #[must_use]
    pub fn still_holds(&self, caller: &Caller) -> bool {
        let now = self.0.clock.now();
        match &caller.identity {
            Identity::Anonymous => true,
            Identity::Key { hash, .. } => self.0.keys.is_live(hash, now),
            Identity::Token { expires, .. } => now < *expires,
        }
    }

    /// The names of the API keys, with their scopes and their expiry in UTC; `None` for keys that do not expire.
    #[must_use]
    pub fn keys(&self) -> Vec<(Arc<str>, Scopes, Option<DateTime<Utc>>)> {
        self.0.keys.list()
    }

    /// Fetches the identity provider's keys, and keeps reading the file of API keys again until the process stops.
    pub async fn keep_current(self, ending: Ending) {
        let keep = async {
            if let Some(tokens) = &self.0.tokens {
                tokens.prepare().await;
            }
            self.0.keys.keep_current().await;
        };
        let _ = ending.stop.run_until_cancelled(keep).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for text in ["none", "reports", "members", "reports,members", "reports,members,admin"] {
            assert_eq!(Scopes::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Scopes::parse("admin reports").unwrap().to_string(), "reports,admin");
        assert_eq!(Scopes::parse("reports,everything"), None);
    }
}

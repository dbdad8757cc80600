//! Who asks, and what they may see: scopes, API keys, tokens of an identity provider, and how much of the
//! gateway's work a caller may use. Knows neither HTTP nor a report.

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

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Nobody that is known.
    Anonymous,
    /// Whoever has the API key with this name.
    Key {
        /// The key's name.
        name: Arc<str>,
        /// The SHA-256 of the key.
        hash: [u8; 32],
    },
    /// Whom the identity provider vouches for.
    Token {
        /// The token's `sub`.
        subject: Arc<str>,
        /// When the token expires, in UTC.
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

/// Who asks, and what they may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub identity: Identity,
    /// What they may see: what everybody may, and what was granted to them.
    pub scopes: Scopes,
}

impl Caller {
    /// Fails unless the caller has the scope.
    ///
    /// # Errors
    /// Tells callers who are not known apart from those who are.
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
    /// One who may see every report.
    pub(crate) fn of_tests() -> Self {
        Self { identity: Identity::Anonymous, scopes: Scopes::parse("reports,members").unwrap_or_default() }
    }
}

/// A scope that the caller does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotGranted {
    /// The caller did not say who they are.
    #[error("needs the scope `{}`: send an API key or a token (`Authorization: Bearer …`) that has it", .0.name())]
    Unauthenticated(Scope),
    /// The caller's key or token does not have it.
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

/// Why a caller is not who they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The credential is no good; the sentence says why.
    #[error("{0}")]
    Invalid(&'static str),
    /// It cannot be told for now.
    #[error("The keys of the identity provider are not available for now: try again shortly.")]
    Unavailable,
}

/// Tells who callers are. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authenticator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    anonymous: Scopes,
    keys: Keys,
    tokens: Option<Tokens>,
    clock: Clock,
}

/// Why callers cannot be told apart.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The API keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The identity provider cannot be asked.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

impl Authenticator {
    /// Tells callers apart as `config` says.
    ///
    /// # Errors
    /// When the keys, or the authorities of the identity provider, cannot be read.
    pub fn new(config: &AccessConfig, clock: Clock) -> Result<Self, AccessError> {
        let keys = Keys::read(config)?;
        let tokens = config.oidc.clone().map(Tokens::new).transpose()?;
        Ok(Self(Arc::new(Inner { anonymous: config.anonymous, keys, tokens, clock })))
    }

    /// The caller who sends this API key or token; the anonymous one where there is none.
    ///
    /// # Errors
    /// When it is not valid, or cannot be checked for now.
    pub async fn caller(&self, credential: Option<&str>) -> Result<Caller, Denied> {
        let Inner { anonymous, keys, tokens, clock } = &*self.0;
        let (identity, scopes) = match (credential, tokens) {
            (None, _) => (Identity::Anonymous, Scopes::default()),
            (Some(token), Some(tokens)) if oidc::looks_like_token(token) => tokens.check(token).await?,
            (Some(key), _) => keys.find(key, clock.now())?,
        };
        Ok(Caller { identity, scopes: scopes.and(*anonymous) })
    }

    /// Whether what the caller showed still holds: a key that is neither removed nor expired, a token that has
    /// not expired. For connections that outlive a request.
    #[must_use]
    pub fn still_holds(&self, caller: &Caller) -> bool {
        let now = self.0.clock.now();
        match &caller.identity {
            Identity::Anonymous => true,
            Identity::Key { hash, .. } => self.0.keys.is_live(hash, now),
            Identity::Token { expires, .. } => now < *expires,
        }
    }

    /// The names of the API keys with their scopes and their expiry, in UTC; none for those without.
    #[must_use]
    pub fn keys(&self) -> Vec<(Arc<str>, Scopes, Option<DateTime<Utc>>)> {
        self.0.keys.list()
    }

    /// Reads the file of API keys again whenever it changed, until the process ends.
    pub async fn keep_current(self, ending: Ending) {
        let _ = ending.stop.run_until_cancelled(self.0.keys.keep_current()).await;
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

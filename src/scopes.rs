//! What a caller may be granted, by name.

use std::fmt;

use serde::Serialize;

/// What a caller may be granted. No scope implies another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Aggregates, and the two legacy reports as the legacy service answered them.
    Reports,
    /// Names, and what a single member did.
    Members,
    /// The state of the service, and introspection where it is switched off for others.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reports, Self::Members, Self::Admin];

    /// The scope as configuration and identity providers write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reports => "reports",
            Self::Members => "members",
            Self::Admin => "admin",
        }
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Scopes(u8);

impl Scopes {
    /// Reads names, separated by commas or spaces; `none` is the empty set. None where a name is unknown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut names = text.split([',', ' ']).filter(|name| !name.is_empty() && *name != "none");
        names.try_fold(Self::default(), |scopes, name| {
            let scope = Scope::ALL.into_iter().find(|scope| scope.name() == name)?;
            Some(scopes.and(scope.into()))
        })
    }

    /// Whether the scope is among them.
    #[must_use]
    pub fn has(self, scope: Scope) -> bool {
        self.0 & Self::from(scope).0 != 0
    }

    /// These and those.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        Self(1 << scope as u8)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Scope::ALL.into_iter().filter(|scope| self.has(*scope)).map(Scope::name).collect();
        f.write_str(if names.is_empty() { "none".to_owned() } else { names.join(",") }.as_str())
    }
}

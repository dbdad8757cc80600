//! Scopes: what a caller may see.

use std::fmt;

use serde::Serialize;

/// A part of what a caller may see. No scope implies another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Aggregates, and the two legacy reports in the format of the legacy service.
    Reports,
    /// Members' names, and what single members did.
    Members,
    /// The state of the service, and introspection where it is off for other callers.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 3] = [Self::Reports, Self::Members, Self::Admin];

    /// The scope's name in the configuration and in grants of identity providers.
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
    /// Parses names separated by commas or spaces; `none` is the empty set. `None` for an unknown name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut names = text.split([',', ' ']).filter(|name| !name.is_empty() && *name != "none");
        names.try_fold(Self::default(), |scopes, name| {
            let scope = Scope::ALL.into_iter().find(|scope| scope.name() == name)?;
            Some(scopes.and(scope.into()))
        })
    }

    /// Whether the set has the scope.
    #[must_use]
    pub fn has(self, scope: Scope) -> bool {
        self.0 & Self::from(scope).0 != 0
    }

    /// The union of both sets.
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

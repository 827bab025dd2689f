//! What a request may do: that of its token, or everything where no token is asked for.

use zonecast_records::Name;

use zonecast_service::{Scope, Token};

use super::TokenRole;

/// The name, role and zones of the token that a request came with; a listener without tokens grants everything.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    name: String,
    role: TokenRole,
    scope: Scope,
}

impl Grant {
    /// Of a token.
    #[must_use]
    pub(super) fn of(token: &Token) -> Self {
        Self { name: token.name().to_owned(), role: token.role(), scope: token.scope().clone() }
    }

    /// Everything.
    #[must_use]
    pub(crate) fn everything() -> Self {
        Self { name: String::new(), role: TokenRole::Admin, scope: Scope::All }
    }

    /// Of the token; empty where no token is asked for.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it may what this role may.
    #[must_use]
    pub(crate) fn may(&self, role: TokenRole) -> bool {
        self.role >= role
    }

    /// What it may do.
    #[must_use]
    pub(crate) fn role(&self) -> TokenRole {
        self.role
    }

    /// Where.
    #[must_use]
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether it may do that in the zone with this apex.
    #[must_use]
    pub(crate) fn covers(&self, zone: &Name) -> bool {
        self.scope.covers(zone)
    }
}

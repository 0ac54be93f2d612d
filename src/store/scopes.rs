//! What keys of the management API may be used for, and the roles that people have.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What a key may be used for. None implies another, but `admin` the harmless ones: see [`ApiKey::may`](super::ApiKey::may).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// See calls and agents, without what was said and with numbers masked.
    Read,
    /// Place calls, and hang up, transfer or speak in those there are.
    Operate,
    /// See and revoke keys, and what gives them more for a while.
    Admin,
    /// See and change what is known of people: names, numbers, transcripts, records.
    Phi,
    /// See the audit trail.
    Audit,
    /// Take `phi` for a while, with a reason, in an emergency.
    BreakGlass,
}

/// What somebody is, as a set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sees calls, nothing private.
    Viewer,
    /// Sees what is private, too.
    Reviewer,
    /// Handles calls, sees nothing private.
    Operator,
    /// Handles keys, sees nothing private.
    Admin,
    /// Sees the audit trail and nothing else.
    Auditor,
}

impl Scope {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Read,
        Self::Operate,
        Self::Admin,
        Self::Phi,
        Self::Audit,
        Self::BreakGlass,
    ];

    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
            Self::Phi => "phi",
            Self::Audit => "audit",
            Self::BreakGlass => "break-glass",
        }
    }
}

impl Role {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Reviewer, Self::Operator, Self::Admin, Self::Auditor];

    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Reviewer => "reviewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
        }
    }

    /// What a key for it may be used for.
    pub fn scopes(self) -> BTreeSet<Scope> {
        let scopes: &[Scope] = match self {
            Self::Viewer => &[Scope::Read],
            Self::Reviewer => &[Scope::Read, Scope::Phi],
            Self::Operator => &[Scope::Read, Scope::Operate],
            Self::Admin => &[Scope::Admin],
            Self::Auditor => &[Scope::Audit],
        };
        scopes.iter().copied().collect()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not the name of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scope is one of read, operate, admin, phi, audit, break-glass")]
pub struct NoScope;

/// Not the name of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of viewer, reviewer, operator, admin, auditor")]
pub struct NoRole;

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        let mut all = Self::ALL.into_iter();
        all.find(|scope| scope.name() == text.trim()).ok_or(NoScope)
    }
}

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Self, NoRole> {
        let mut all = Self::ALL.into_iter();
        all.find(|role| role.name() == text.trim()).ok_or(NoRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_the_errors_name_them_all() {
        for scope in Scope::ALL {
            assert_eq!(scope.name().parse(), Ok(scope));
            assert!(NoScope.to_string().contains(scope.name()));
        }
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
            assert!(NoRole.to_string().contains(role.name()));
        }
        assert_eq!("owner".parse::<Role>(), Err(NoRole));
        assert_eq!("all".parse::<Scope>(), Err(NoScope));
    }

    #[test]
    fn only_a_reviewer_sees_what_is_private() {
        for role in Role::ALL {
            assert_eq!(role.scopes().contains(&Scope::Phi), role == Role::Reviewer);
            assert_eq!(role.scopes().contains(&Scope::Audit), role == Role::Auditor);
            assert!(!role.scopes().contains(&Scope::BreakGlass), "it is given by name");
        }
    }
}

//! Who runs a command, for the audit trail: the user of the system, and the machine.

use crate::store::{AuditEvent, Who};

/// Who, and from where.
pub(super) struct Operator {
    actor: String,
    origin: String,
}

impl Operator {
    /// Whoever runs this process. Who has become another user (`sudo`, `su`) is named by both, where the system knows.
    pub(super) fn here() -> Self {
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let user = rustix::process::geteuid().as_raw();
        // The kernel keeps who has logged in, whoever that becomes later.
        let login = std::fs::read_to_string("/proc/self/loginuid").ok();
        let login = login.and_then(|text| text.trim().parse().ok());
        Self {
            actor: format!("{} (command line)", who(&users, user, login)),
            origin: format!("command line on {}", node()),
        }
    }

    /// Who, for an event that is written elsewhere.
    pub(super) fn who(&self) -> Who<'_> {
        Who {
            actor: &self.actor,
            origin: &self.origin,
        }
    }

    /// An event of theirs.
    pub(super) fn event<'a>(
        &'a self,
        action: &'a str,
        subject: &'a str,
        outcome: &'a str,
        detail: &'a str,
    ) -> AuditEvent<'a> {
        AuditEvent {
            actor: &self.actor,
            action,
            subject,
            outcome,
            detail,
            origin: &self.origin,
        }
    }
}

/// The machine's name.
pub(super) fn node() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.trim().is_empty() {
        "this machine".to_owned()
    } else {
        name
    }
}

fn who(users: &str, user: u32, login: Option<u32>) -> String {
    match login.filter(|login| *login != user && *login != NOBODY_LOGGED_IN) {
        Some(login) => format!("{} as {}", name(users, login), name(users, user)),
        None => name(users, user),
    }
}

/// A user's name; of one that the file does not know (of a directory service), the number.
fn name(users: &str, id: u32) -> String {
    let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find_map(|fields| match fields.as_slice() {
        [name, _, uid, ..] if uid.parse() == Ok(id) && !name.is_empty() => Some((*name).to_owned()),
        _ => None,
    });
    found.unwrap_or_else(|| format!("uid {id}"))
}

/// What Linux says of processes that come from no login.
const NOBODY_LOGGED_IN: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_with_whom_they_have_become() {
        let users = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n::0\nbad\n";
        for (user, login, expected) in [
            (0, None, "root"),
            (0, Some(NOBODY_LOGGED_IN), "root"),
            (1000, Some(1000), "ann"),
            (0, Some(1000), "ann as root"),
            (1001, Some(4711), "uid 4711 as uid 1001"),
        ] {
            assert_eq!(who(users, user, login), expected);
        }
        assert!(!Operator::here().actor.is_empty() && !node().is_empty());
    }
}

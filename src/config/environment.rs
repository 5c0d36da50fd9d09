//! The environment of the process. It is passed in, and nothing else reads it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use super::layers::PREFIX;

/// The environment variables and the host name.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    host_name: Option<String>,
}

impl Environment {
    /// The environment of this process. Invalid UTF-8 in a value becomes U+FFFD, so that the value
    /// is rejected instead of silently ignored.
    pub fn of_process() -> Self {
        let readable = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok()?;
            Some((name, value.to_string_lossy().into_owned()))
        };
        let system = rustix::system::uname();
        Self {
            variables: std::env::vars_os().filter_map(readable).collect(),
            host_name: system.nodename().to_str().ok().map(str::to_owned),
        }
    }

    /// A made-up environment, for tests.
    pub fn new<'a>(
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
        host_name: Option<&str>,
    ) -> Self {
        let variables = variables.into_iter();
        Self {
            variables: variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            host_name: host_name.map(str::to_owned),
        }
    }

    /// A copy without the variables that name a real API and its credentials.
    #[must_use]
    pub fn without_accounts(&self) -> Self {
        let mut copy = self.clone();
        copy.variables.retain(|name, _| {
            let key = name.strip_prefix(PREFIX).unwrap_or(name);
            !key.starts_with("CLOUDFLARE_") && !key.starts_with("ACCOUNTS")
        });
        copy
    }

    /// A variable's value; an empty variable counts as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The non-empty variables that begin with `prefix`, sorted, and without it in their names.
    pub(super) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.variables
            .range(prefix.to_owned()..)
            .map_while(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
            .filter(|(_, value)| !value.is_empty())
    }

    /// The host name.
    pub(super) fn host_name(&self) -> Option<&str> {
        self.host_name.as_deref()
    }
}

/// Shows names only, because values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys())
            .field("host_name", &self.host_name)
            .finish()
    }
}

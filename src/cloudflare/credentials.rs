//! What an account proves itself with.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

/// Where a secret comes from.
#[derive(Debug, Clone)]
pub enum Secret {
    /// It was given as it is.
    Inline(SecretString),
    /// It is the content of a file, less white space around it; read again when it changes.
    File(PathBuf),
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Inline(one), Self::Inline(other)) => {
                one.expose_secret() == other.expose_secret()
            }
            (Self::File(one), Self::File(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Secret {}

/// The two ways to authenticate (API reference, "Authentication").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user's or an account's API token, sent as `Authorization: Bearer`.
    Token(Secret),
    /// A global API key, sent as `X-Auth-Email` and `X-Auth-Key`.
    Key {
        /// The user's e-mail address.
        email: String,
        /// The key.
        key: Secret,
    },
}

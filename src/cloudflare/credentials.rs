//! The credentials of an account.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

/// The source of a secret.
#[derive(Debug, Clone)]
pub enum Secret {
    /// The secret itself.
    Inline(SecretString),
    /// The content of a file, without surrounding white space; read again when it changes.
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
        /// The user's email address.
        email: String,
        /// The key.
        key: Secret,
    },
}

impl Credentials {
    /// The token or key.
    pub fn secret(&self) -> &Secret {
        let (Self::Token(secret) | Self::Key { key: secret, .. }) = self;
        secret
    }
}

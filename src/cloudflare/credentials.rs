//! What an account proves itself with.

use std::path::PathBuf;

use secrecy::SecretString;

/// Where a secret comes from.
#[derive(Debug, Clone)]
pub enum Secret {
    /// It was given as it is.
    Inline(SecretString),
    /// It is the content of a file, less white space around it; read again when it changes.
    File(PathBuf),
}

/// The two ways to authenticate (API reference, "Authentication").
#[derive(Debug, Clone)]
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

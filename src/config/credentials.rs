//! What an account proves itself with: a token, or an e-mail address with a key, each as it is or
//! in a file.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::environment::Environment;
use super::value::Folder;
use crate::cloudflare::{Credentials, Secret};
use crate::config_tree::{Collector, ConfigError, Field, Node, Place, ScalarKind, Section};

/// The names under which one source gives credentials.
struct Names {
    token: &'static str,
    token_file: &'static str,
    email: &'static str,
    key: &'static str,
    key_file: &'static str,
    /// How one of them is taken away.
    remove: &'static str,
}

const KEYS: Names = Names {
    token: "api_token",
    token_file: "api_token_file",
    email: "email",
    key: "api_key",
    key_file: "api_key_file",
    remove: "remove",
};

const VARIABLES: Names = Names {
    token: "CLOUDFLARE_API_TOKEN",
    token_file: "CLOUDFLARE_API_TOKEN_FILE",
    email: "CLOUDFLARE_EMAIL",
    key: "CLOUDFLARE_API_KEY",
    key_file: "CLOUDFLARE_API_KEY_FILE",
    remove: "unset",
};

/// A value that was given; a wrong one is reported already.
type Read<T> = Result<T, Reported>;

/// The error was added to the others.
struct Reported;

/// What was given.
struct Given {
    token: Option<Read<SecretString>>,
    token_file: Option<Read<PathBuf>>,
    email: Option<Read<String>>,
    key: Option<Read<SecretString>>,
    key_file: Option<Read<PathBuf>>,
}

/// Those of an account in the file; `None` where they are wrong, which is reported.
pub(super) fn of_account(
    account: &mut Section<'_>,
    place: &Field<'_>,
    folder: Folder<'_>,
) -> Option<Credentials> {
    let given = Given {
        token: account
            .get(KEYS.token)
            .map(|field| field.secret().ok_or(Reported)),
        token_file: account
            .get(KEYS.token_file)
            .map(|field| folder.path(&field).ok_or(Reported)),
        email: account
            .get(KEYS.email)
            .map(|field| email(&field).ok_or(Reported)),
        key: account
            .get(KEYS.key)
            .map(|field| field.secret().ok_or(Reported)),
        key_file: account
            .get(KEYS.key_file)
            .map(|field| folder.path(&field).ok_or(Reported)),
    };
    given.combine(&KEYS, NO_KEYS).unwrap_or_else(|problem| {
        place.reject(problem);
        None
    })
}

/// Those of the environment; `None` where they are wrong or missing, which is reported.
pub(super) fn of_environment(environment: &Environment, errors: &Collector) -> Option<Credentials> {
    let node = |name: &'static str| {
        let value = environment.get(name)?;
        Some(Node::scalar(value, ScalarKind::Text, Place::variable(name)))
    };
    let folder = Folder(Path::new(""));
    let secret = |name| node(name).map(|node| errors.root(&node).secret().ok_or(Reported));
    let path = |name| node(name).map(|node| folder.path(&errors.root(&node)).ok_or(Reported));
    let given = Given {
        token: secret(VARIABLES.token),
        token_file: path(VARIABLES.token_file),
        email: node(VARIABLES.email).map(|node| email(&errors.root(&node)).ok_or(Reported)),
        key: secret(VARIABLES.key),
        key_file: path(VARIABLES.key_file),
    };
    given
        .combine(&VARIABLES, NO_VARIABLES)
        .unwrap_or_else(|problem| {
            errors.push(ConfigError::whole(Place::Environment, problem));
            None
        })
}

const NO_KEYS: &str =
    "expected credentials: api_token, api_token_file, or email with api_key or api_key_file";
const NO_VARIABLES: &str = "no Cloudflare credentials: set CLOUDFLARE_API_TOKEN or \
    CLOUDFLARE_API_TOKEN_FILE, or name a file with accounts by --config.file, or try the command \
    \"demo\", which needs none";

impl Given {
    /// The credentials; `Ok(None)` where a single value is wrong, which is reported already. Fails
    /// where they contradict each other or are not whole, and with `nothing` where none is given.
    fn combine(self, names: &Names, nothing: &str) -> Result<Option<Credentials>, String> {
        let exclusive = |a: &str, b: &str| {
            Err(format!(
                "{a} and {b} exclude each other: {} one of them",
                names.remove
            ))
        };
        let one = |inline: Option<Read<SecretString>>,
                   inline_name: &'static str,
                   file: Option<Read<PathBuf>>,
                   file_name: &'static str| {
            match (inline, file) {
                (Some(_), Some(_)) => exclusive(inline_name, file_name).map(|()| None),
                (Some(secret), None) => Ok(Some((inline_name, secret.map(Secret::Inline)))),
                (None, Some(path)) => Ok(Some((file_name, path.map(Secret::File)))),
                (None, None) => Ok(None),
            }
        };
        let token = one(self.token, names.token, self.token_file, names.token_file)?;
        let key = one(self.key, names.key, self.key_file, names.key_file)?;
        match (token, self.email, key) {
            (Some((token, _)), _, Some((key, _))) => exclusive(token, key).map(|()| None),
            (Some((token, _)), Some(_), None) => exclusive(token, names.email).map(|()| None),
            (Some((_, secret)), None, None) => Ok(secret.ok().map(Credentials::Token)),
            (None, Some(email), Some((_, key))) => Ok(email
                .ok()
                .zip(key.ok())
                .map(|(email, key)| Credentials::Key { email, key })),
            (None, None, Some((key, _))) => Err(format!("{key} needs {} beside it", names.email)),
            (None, Some(_), None) => Err(format!(
                "{} needs {} or {} beside it",
                names.email, names.key, names.key_file
            )),
            (None, None, None) => Err(nothing.to_owned()),
        }
    }
}

/// An e-mail address, which travels in a header: visible ASCII with an `@`.
fn email(field: &Field<'_>) -> Option<String> {
    const MAX_BYTES: usize = 254;
    field.parse(|text| {
        let text = text.trim();
        let fits = text.len() <= MAX_BYTES && text.bytes().all(|b| b.is_ascii_graphic());
        if fits && text.contains('@') {
            Ok(text.to_owned())
        } else {
            Err("an e-mail address")
        }
    })
}

//! Checks whether a credential is plausible, without contacting Cloudflare.

use std::path::Path;

use secrecy::ExposeSecret as _;

use crate::cloudflare::Secret;
use crate::file_io;

/// The largest secret file; a token has a few dozen characters.
const MAX_BYTES: usize = 64 << 10;

/// Describes what is wrong with the credential, without revealing it.
pub(super) fn problem(secret: &Secret) -> Option<String> {
    match secret {
        Secret::Inline(secret) => {
            problem_of(secret.expose_secret()).map(|problem| format!("the credential {problem}"))
        }
        Secret::File(path) => {
            let problem = match read(path) {
                Ok(text) => problem_of(&text)?,
                Err(problem) => problem,
            };
            Some(format!("{} {problem}", path.display()))
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    if path.is_dir() {
        return Err("is a directory".to_owned());
    }
    let bytes =
        file_io::bounded(path, MAX_BYTES).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

fn problem_of(text: &str) -> Option<String> {
    let secret = text.trim();
    let lines = secret.lines().count();
    let assigned = secret.split_once('=').is_some_and(|(name, value)| {
        let name = name.trim_start_matches("export ");
        let mut bytes = name.bytes();
        !value.trim_matches('=').is_empty()
            && !name.is_empty()
            && bytes.all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    });
    let problem = if text.starts_with('\u{feff}') {
        "begins with a byte order mark"
    } else if secret.is_empty() {
        "is empty"
    } else if lines > 1 {
        return Some(format!("holds {lines} lines"));
    } else if secret.contains("${") || secret.starts_with('$') {
        "holds the name of a variable, such as ${TOKEN}, which nothing replaces"
    } else if assigned {
        "holds NAME=value; only the value belongs there"
    } else if secret.contains(['"', '\'']) {
        "holds quotes; it is expected without them"
    } else if secret.contains(char::is_whitespace) {
        "holds white space"
    } else if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        "holds characters that are not visible ASCII"
    } else {
        return None;
    };
    Some(problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_credential_is_named() {
        for (text, expected) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("a\nb\n", "holds 2 lines"),
            ("\u{feff}abc", "begins with a byte order mark"),
            ("\"abc\"", "holds quotes; it is expected without them"),
            ("'abc'", "holds quotes; it is expected without them"),
            (
                "CLOUDFLARE_API_TOKEN=abc",
                "holds NAME=value; only the value belongs there",
            ),
            (
                "${TOKEN}",
                "holds the name of a variable, such as ${TOKEN}, which nothing replaces",
            ),
            ("Bearer abc", "holds white space"),
            ("ab\u{e4}", "holds characters that are not visible ASCII"),
        ] {
            assert_eq!(problem_of(text).as_deref(), Some(expected), "{text:?}");
        }
        for good in ["v1.0-abc_DEF", "abc\n", "abc\r\n", "abc=="] {
            assert_eq!(problem_of(good), None);
        }
    }
}

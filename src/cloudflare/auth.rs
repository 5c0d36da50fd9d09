//! The headers that prove who asks, kept fresh.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::credentials::{Credentials, Secret};

/// A token has a few dozen characters; a larger file is something else.
const SECRET_FILE_LIMIT: u64 = 64 << 10;
/// A secret file is looked at no more often than this.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

const X_AUTH_EMAIL: HeaderName = HeaderName::from_static("x-auth-email");
const X_AUTH_KEY: HeaderName = HeaderName::from_static("x-auth-key");

/// Why no request can be made. Names the file, never its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CredentialsError {
    #[error("cannot read the secret in {}: {problem}", path.display())]
    File { path: PathBuf, problem: String },
    #[error("the configured token or key {0}")]
    Inline(&'static str),
    #[error("the configured e-mail address cannot stand in a header")]
    Email,
}

/// The headers of one secret.
#[derive(Debug)]
pub(super) struct Proof {
    headers: HeaderMap,
    secret: SecretString,
}

impl Proof {
    pub(super) fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    /// A foreign text without the secret, which a hostile peer could send back.
    pub(super) fn redact(&self, text: &str) -> String {
        text.replace(self.secret.expose_secret(), "[redacted]")
    }

    fn is_same(&self, other: &Self) -> bool {
        self.headers == other.headers
    }
}

/// Makes the headers of an account's requests. A secret file is read again when it changes; while
/// it cannot be read, the last good secret stays in use.
#[derive(Debug)]
pub(super) struct Authenticator {
    credentials: Credentials,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    proof: Option<Arc<Proof>>,
    seen: Option<Fingerprint>,
    checked: Option<Instant>,
    failing: bool,
}

impl Authenticator {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            cache: Mutex::default(),
        }
    }

    /// Whether this is an API token, which can be verified, rather than a global key.
    pub(super) fn is_token(&self) -> bool {
        matches!(self.credentials, Credentials::Token(_))
    }

    /// What to send now.
    pub(super) async fn proof(&self) -> Result<Arc<Proof>, CredentialsError> {
        let mut cache = self.cache.lock().await;
        let is_fresh = cache
            .checked
            .is_some_and(|checked| checked.elapsed() < CHECK_INTERVAL);
        match &cache.proof {
            Some(proof) if is_fresh => Ok(Arc::clone(proof)),
            _ => self.refresh(&mut cache).await,
        }
    }

    /// What to send after `used` was refused, if it is something else by now.
    pub(super) async fn newer_than(&self, used: &Proof) -> Option<Arc<Proof>> {
        let mut cache = self.cache.lock().await;
        // The file may have changed within the resolution of its time stamps.
        cache.seen = None;
        let proof = self.refresh(&mut cache).await.ok()?;
        (!proof.is_same(used)).then_some(proof)
    }

    async fn refresh(&self, cache: &mut Cache) -> Result<Arc<Proof>, CredentialsError> {
        cache.checked = Some(Instant::now());
        let secret = match self.secret() {
            Secret::Inline(secret) => {
                check(secret.expose_secret()).map_err(CredentialsError::Inline)?;
                secret.clone()
            }
            Secret::File(path) => match read_if_changed(path.clone(), cache.seen).await {
                Ok(read) => {
                    if std::mem::take(&mut cache.failing) {
                        tracing::info!(file = %path.display(), "the secret can be read again");
                    }
                    match (read, &cache.proof) {
                        (Some((seen, secret)), _) => {
                            cache.seen = Some(seen);
                            secret
                        }
                        (None, Some(proof)) => return Ok(Arc::clone(proof)),
                        // Unchanged since it was read: then there is a proof.
                        (None, None) => return Err(file_error(path, "it was not read yet")),
                    }
                }
                Err(problem) => {
                    let error = file_error(path, &problem);
                    return match &cache.proof {
                        Some(proof) => {
                            if !std::mem::replace(&mut cache.failing, true) {
                                tracing::warn!(%error, "the last good secret stays in use");
                            }
                            Ok(Arc::clone(proof))
                        }
                        None => Err(error),
                    };
                }
            },
        };
        let proof = Arc::new(self.prove(secret)?);
        if let Some(old) = cache.proof.replace(Arc::clone(&proof))
            && !old.is_same(&proof)
        {
            tracing::info!("the secret has changed; the new one is in use");
        }
        Ok(proof)
    }

    fn secret(&self) -> &Secret {
        match &self.credentials {
            Credentials::Token(secret) | Credentials::Key { key: secret, .. } => secret,
        }
    }

    fn prove(&self, secret: SecretString) -> Result<Proof, CredentialsError> {
        let header = |text: &str| {
            let mut value = HeaderValue::from_str(text).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        let bad_secret = || CredentialsError::Inline("cannot stand in a header");
        let mut headers = HeaderMap::new();
        match &self.credentials {
            Credentials::Token(_) => {
                let bearer = format!("Bearer {}", secret.expose_secret());
                headers.insert(AUTHORIZATION, header(&bearer).ok_or_else(bad_secret)?);
            }
            Credentials::Key { email, .. } => {
                let email = header(email).ok_or(CredentialsError::Email)?;
                let key = header(secret.expose_secret()).ok_or_else(bad_secret)?;
                headers.insert(X_AUTH_EMAIL, email);
                headers.insert(X_AUTH_KEY, key);
            }
        }
        Ok(Proof { headers, secret })
    }
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl From<&Metadata> for Fingerprint {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

type ReadSecret = Option<(Fingerprint, SecretString)>;

async fn read_if_changed(path: PathBuf, seen: Option<Fingerprint>) -> Result<ReadSecret, String> {
    tokio::task::spawn_blocking(move || read_secret(&path, seen))
        .await
        .map_err(|error| error.to_string())?
}

fn read_secret(path: &Path, seen: Option<Fingerprint>) -> Result<ReadSecret, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let fingerprint = Fingerprint::from(&metadata);
    if seen == Some(fingerprint) {
        return Ok(None);
    }
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(SECRET_FILE_LIMIT + 1).read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > SECRET_FILE_LIMIT {
        return Err(format!("it has more than {SECRET_FILE_LIMIT} bytes"));
    }
    let secret = text.trim();
    check(secret).map_err(|problem| format!("its content {problem}"))?;
    Ok(Some((fingerprint, SecretString::from(secret))))
}

fn check(secret: &str) -> Result<(), &'static str> {
    if secret.is_empty() {
        Err("is empty")
    } else if !secret.bytes().all(|b| b.is_ascii_graphic()) {
        Err("holds something other than visible ASCII characters")
    } else {
        Ok(())
    }
}

fn file_error(path: &Path, problem: &str) -> CredentialsError {
    CredentialsError::File {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(proof: &Proof) -> &str {
        proof.headers[AUTHORIZATION].to_str().unwrap()
    }

    fn from_file(path: &Path) -> Authenticator {
        Authenticator::new(Credentials::Token(Secret::File(path.to_owned())))
    }

    async fn a_second_later() {
        tokio::time::advance(CHECK_INTERVAL).await;
    }

    #[tokio::test]
    async fn a_key_is_sent_with_its_e_mail_address() {
        let authenticator = Authenticator::new(Credentials::Key {
            email: "ops@example.com".to_owned(),
            key: Secret::Inline(SecretString::from("s3cret")),
        });
        let proof = authenticator.proof().await.unwrap();
        assert_eq!(proof.headers["x-auth-email"], "ops@example.com");
        assert_eq!(proof.headers["x-auth-key"], "s3cret");
        assert!(!format!("{proof:?} {authenticator:?}").contains("s3cret"));
        assert_eq!(proof.redact("key s3cret!"), "key [redacted]!");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_trimmed_and_read_again_when_it_changes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), " one\r\n").unwrap();
        let authenticator = from_file(file.path());
        assert_eq!(bearer(&authenticator.proof().await.unwrap()), "Bearer one");
        std::fs::write(file.path(), "second\n").unwrap();
        a_second_later().await;
        assert_eq!(
            bearer(&authenticator.proof().await.unwrap()),
            "Bearer second"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_cannot_be_read_any_more_leaves_the_last_good_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let authenticator = from_file(&path);
        let error = authenticator.proof().await.unwrap_err().to_string();
        assert!(error.contains("token"), "{error}");
        std::fs::write(&path, "good").unwrap();
        assert_eq!(bearer(&authenticator.proof().await.unwrap()), "Bearer good");
        for bad in ["", "two words", "null\0"] {
            std::fs::write(&path, bad).unwrap();
            a_second_later().await;
            assert_eq!(bearer(&authenticator.proof().await.unwrap()), "Bearer good");
        }
        std::fs::remove_file(&path).unwrap();
        a_second_later().await;
        assert_eq!(bearer(&authenticator.proof().await.unwrap()), "Bearer good");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_refusal_the_file_is_read_at_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "one").unwrap();
        let authenticator = from_file(file.path());
        let used = authenticator.proof().await.unwrap();
        assert!(authenticator.newer_than(&used).await.is_none());
        std::fs::write(file.path(), "two").unwrap();
        let newer = authenticator.newer_than(&used).await.unwrap();
        assert_eq!(bearer(&newer), "Bearer two");
    }

    #[tokio::test]
    async fn what_can_be_no_secret_is_refused_without_being_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let too_long = "x".repeat(70_000);
        for bad in ["", " \n", "two words", "tab\tbed", "nöt-ascii", &too_long] {
            std::fs::write(file.path(), bad).unwrap();
            let error = from_file(file.path())
                .proof()
                .await
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(&file.path().display().to_string()),
                "{error}"
            );
            assert!(bad.trim().is_empty() || !error.contains(bad), "{error}");
        }
        let inline = Authenticator::new(Credentials::Token(Secret::Inline("a\nb".into())));
        assert!(inline.proof().await.is_err());
        let missing = from_file(Path::new("/nonexistent/token"));
        assert!(missing.proof().await.is_err());
        let directory = tempfile::tempdir().unwrap();
        assert!(from_file(directory.path()).proof().await.is_err());
    }
}

//! The authentication headers, kept up to date.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::credentials::{Credentials, Secret};
use super::secret_file::{self, SecretFile};
use super::secrets::{Known, Secrets};

/// The least time between two checks of a secret file.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

const X_AUTH_EMAIL: HeaderName = HeaderName::from_static("x-auth-email");
const X_AUTH_KEY: HeaderName = HeaderName::from_static("x-auth-key");

/// The headers with a secret.
#[derive(Debug)]
pub(super) struct AuthHeaders {
    pub(super) headers: HeaderMap,
    /// Redacts the secrets of this process from responses, because a hostile peer could echo them.
    pub(super) secrets: Secrets,
    /// Keeps the secret registered for redaction.
    _secret: Arc<Known>,
}

/// Builds the headers of an account's requests. A changed secret file is read again; while it
/// cannot be read, the last good secret stays in use.
#[derive(Debug)]
pub(super) struct Authenticator {
    pub(super) credentials: Credentials,
    pub(super) secrets: Secrets,
    cache: Mutex<Cache>,
}

#[derive(Debug)]
struct Cache {
    source: Source,
    auth: Option<Arc<AuthHeaders>>,
    checked: Option<Instant>,
    failing: bool,
}

/// The source of the secret.
#[derive(Debug)]
enum Source {
    /// Registered for redaction at once, before it is first sent.
    Inline(Arc<Known>),
    File(SecretFile),
}

impl Authenticator {
    /// Adds every secret that it uses to `secrets`.
    pub(super) fn new(credentials: Credentials, secrets: Secrets) -> Self {
        let source = match credentials.secret() {
            Secret::Inline(secret) => Source::Inline(secrets.add(secret)),
            Secret::File(path) => Source::File(SecretFile::new(path.clone())),
        };
        Self {
            credentials,
            secrets,
            cache: Mutex::new(Cache {
                source,
                auth: None,
                checked: None,
                failing: false,
            }),
        }
    }

    /// Whether this is an API token, which can be verified, rather than a global key.
    pub(super) fn is_token(&self) -> bool {
        matches!(self.credentials, Credentials::Token(_))
    }

    /// The current headers. Fails with the reason, which may name a file but never its content.
    pub(super) async fn current(&self) -> Result<Arc<AuthHeaders>, String> {
        let mut cache = self.cache.lock().await;
        let is_fresh = cache
            .checked
            .is_some_and(|checked| checked.elapsed() < CHECK_INTERVAL);
        match &cache.auth {
            Some(auth) if is_fresh => Ok(Arc::clone(auth)),
            _ => self.refresh(&mut cache).await,
        }
    }

    /// The headers to use after `used` was rejected, if they have changed.
    pub(super) async fn newer_than(&self, used: &AuthHeaders) -> Option<Arc<AuthHeaders>> {
        let mut cache = self.cache.lock().await;
        let auth = self.refresh(&mut cache).await.ok()?;
        (auth.headers != used.headers).then_some(auth)
    }

    async fn refresh(&self, cache: &mut Cache) -> Result<Arc<AuthHeaders>, String> {
        cache.checked = Some(Instant::now());
        let secret = match &mut cache.source {
            Source::Inline(known) => {
                let secret = &known.0;
                secret_file::check(secret.expose_secret())
                    .map_err(|problem| format!("the configured token or key {problem}"))?;
                secret.clone()
            }
            Source::File(file) => match file.read().await {
                Ok(secret) => {
                    if std::mem::take(&mut cache.failing) {
                        tracing::info!(file = %file.path.display(), "the secret can be read again");
                    }
                    secret
                }
                Err(problem) => {
                    let path = file.path.display();
                    let error = format!("cannot read the secret in {path}: {problem}");
                    let auth = cache.auth.as_ref().ok_or_else(|| error.clone())?;
                    if !std::mem::replace(&mut cache.failing, true) {
                        tracing::warn!(%error, "the last good secret stays in use");
                    }
                    return Ok(Arc::clone(auth));
                }
            },
        };
        let auth = self.build(&secret)?;
        if let Some(old) = &cache.auth {
            if old.headers == auth.headers {
                return Ok(Arc::clone(old));
            }
            tracing::info!("the secret has changed; the new one is in use");
        }
        Ok(Arc::clone(cache.auth.insert(Arc::new(auth))))
    }

    fn build(&self, secret: &SecretString) -> Result<AuthHeaders, String> {
        let header = |text: &str, name: &str| {
            let mut value = HeaderValue::from_str(text)
                .map_err(|_| format!("the configured {name} cannot be sent in a header"))?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        };
        let mut headers = HeaderMap::new();
        match &self.credentials {
            Credentials::Token(_) => {
                let bearer = format!("Bearer {}", secret.expose_secret());
                headers.insert(AUTHORIZATION, header(&bearer, "token or key")?);
            }
            Credentials::Key { email, .. } => {
                let key = secret.expose_secret();
                headers.insert(X_AUTH_EMAIL, header(email, "e-mail address")?);
                headers.insert(X_AUTH_KEY, header(key, "token or key")?);
            }
        }
        Ok(AuthHeaders {
            headers,
            secrets: self.secrets.clone(),
            _secret: self.secrets.add(secret),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::secret_file::tests::{hang, time_passes_by};
    use super::*;

    fn bearer(auth: &AuthHeaders) -> &str {
        auth.headers[AUTHORIZATION].to_str().unwrap()
    }

    fn authenticator(credentials: Credentials) -> Authenticator {
        Authenticator::new(credentials, Secrets::default())
    }

    fn from_file(path: &Path) -> Authenticator {
        authenticator(Credentials::Token(Secret::File(path.to_owned())))
    }

    async fn a_second_later() {
        tokio::time::advance(CHECK_INTERVAL).await;
    }

    #[tokio::test]
    async fn a_key_is_sent_with_its_e_mail_address() {
        let authenticator = authenticator(Credentials::Key {
            email: "ops@example.com".to_owned(),
            key: Secret::Inline(SecretString::from("s3cret")),
        });
        let auth = authenticator.current().await.unwrap();
        assert_eq!(auth.headers["x-auth-email"], "ops@example.com");
        assert_eq!(auth.headers["x-auth-key"], "s3cret");
        assert!(!format!("{auth:?} {authenticator:?}").contains("s3cret"));
        assert_eq!(auth.secrets.redact("key s3cret!"), "key [redacted]!");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_trimmed_and_read_again_when_it_changes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), " one\r\n").unwrap();
        let authenticator = from_file(file.path());
        assert_eq!(
            bearer(&authenticator.current().await.unwrap()),
            "Bearer one"
        );
        std::fs::write(file.path(), "second\n").unwrap();
        a_second_later().await;
        assert_eq!(
            bearer(&authenticator.current().await.unwrap()),
            "Bearer second"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_cannot_be_read_any_more_leaves_the_last_good_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let authenticator = from_file(&path);
        let error = authenticator.current().await.unwrap_err();
        assert!(error.contains("token"), "{error}");
        std::fs::write(&path, "good").unwrap();
        assert_eq!(
            bearer(&authenticator.current().await.unwrap()),
            "Bearer good"
        );
        for bad in ["", "two words", "null\0"] {
            std::fs::write(&path, bad).unwrap();
            a_second_later().await;
            assert_eq!(
                bearer(&authenticator.current().await.unwrap()),
                "Bearer good"
            );
        }
        std::fs::remove_file(&path).unwrap();
        a_second_later().await;
        assert_eq!(
            bearer(&authenticator.current().await.unwrap()),
            "Bearer good"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_hangs_leaves_the_last_good_secret() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "good").unwrap();
        let authenticator = from_file(file.path());
        let hang = async || match &mut authenticator.cache.lock().await.source {
            Source::File(file) => hang(file),
            Source::Inline(_) => panic!("no file"),
        };
        let hanging = hang().await;
        let (without, ()) = tokio::join!(authenticator.current(), time_passes_by());
        let error = without.unwrap_err();
        assert!(error.contains("not read within"), "{error}");
        drop(hanging);
        let good = loop {
            if let Ok(auth) = authenticator.current().await {
                break auth;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(bearer(&good), "Bearer good");
        let _hanging = hang().await;
        a_second_later().await;
        let (still, ()) = tokio::join!(authenticator.current(), time_passes_by());
        assert_eq!(bearer(&still.unwrap()), "Bearer good");
        a_second_later().await;
        // Later calls no longer wait for it.
        assert_eq!(
            bearer(&authenticator.current().await.unwrap()),
            "Bearer good"
        );
        assert!(authenticator.cache.lock().await.failing);
    }

    #[tokio::test]
    async fn the_secrets_of_all_accounts_are_known_and_those_that_were_replaced_too() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "first").unwrap();
        let secrets = Secrets::default();
        let inline = Credentials::Token(Secret::Inline("inline".into()));
        let inline = Authenticator::new(inline, secrets.clone());
        let from_file = Credentials::Token(Secret::File(file.path().to_owned()));
        let from_file = Authenticator::new(from_file, secrets);
        let first = from_file.current().await.unwrap();
        std::fs::write(file.path(), "second").unwrap();
        let second = from_file.newer_than(&first).await.unwrap();
        drop((first, from_file, inline));
        assert_eq!(
            second.secrets.redact("inline first second"),
            "[redacted] [redacted] [redacted]"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_refusal_the_file_is_read_at_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "one").unwrap();
        let authenticator = from_file(file.path());
        let used = authenticator.current().await.unwrap();
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
            let error = from_file(file.path()).current().await.unwrap_err();
            assert!(
                error.contains(&file.path().display().to_string()),
                "{error}"
            );
            assert!(bad.trim().is_empty() || !error.contains(bad), "{error}");
        }
        let inline = authenticator(Credentials::Token(Secret::Inline("a\nb".into())));
        assert!(inline.current().await.is_err());
        let missing = from_file(Path::new("/nonexistent/token"));
        assert!(missing.current().await.is_err());
        let directory = tempfile::tempdir().unwrap();
        assert!(from_file(directory.path()).current().await.is_err());
    }
}

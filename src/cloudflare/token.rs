//! Verification of API tokens.

use jiff::Timestamp;
use serde::Deserialize;

use super::attempt::Request;
use super::client::Client;
use super::envelope::{self, lenient};
use super::{ApiError, CallBudget, Operation, Reason};

/// What a verification says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenStatus {
    /// Whether the token is good.
    pub state: TokenState,
    /// When it expires, where it does.
    pub expires_on: Option<Timestamp>,
}

/// The state of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// It is good.
    Active,
    /// It was switched off.
    Disabled,
    /// Its time is over.
    Expired,
    /// A state that this program does not know.
    Unknown,
    /// The account has a global key, which cannot be verified; nothing was asked.
    NotAToken,
}

impl Client {
    /// Verifies the token as a user's and, where that is refused and `owner` is known, as one of
    /// the Cloudflare account `owner`. A failure proves nothing about the token, because each kind
    /// answers to its own address alone.
    pub async fn verify_token(
        &self,
        owner: Option<&str>,
        call: &CallBudget,
    ) -> Result<TokenStatus, ApiError> {
        if !self.has_token() {
            return Ok(TokenStatus {
                state: TokenState::NotAToken,
                expires_on: None,
            });
        }
        let as_user = self
            .verify(&["user", "tokens", "verify"], does_not_fit, call)
            .await;
        let status = match (as_user, owner) {
            (Err(error), Some(owner)) if does_not_fit(&error) => {
                let path = ["accounts", owner, "tokens", "verify"];
                self.verify(&path, |_| false, call).await?
            }
            (outcome, _) => outcome?,
        };
        match status.state {
            TokenState::Active => self.metrics().token_verified(true),
            TokenState::Disabled | TokenState::Expired => self.metrics().token_verified(false),
            TokenState::Unknown | TokenState::NotAToken => {}
        }
        self.metrics().token_expiry(status.expires_on);
        Ok(status)
    }

    async fn verify(
        &self,
        path: &[&str],
        expected: fn(&ApiError) -> bool,
        call: &CallBudget,
    ) -> Result<TokenStatus, ApiError> {
        let request = Request {
            operation: Operation::VerifyToken,
            url: &self.url(path),
            expected,
        };
        self.get(request, call, |body| {
            envelope::result(body).map(TokenRow::into_status)
        })
        .await
    }
}

/// The token may be of the other kind.
fn does_not_fit(error: &ApiError) -> bool {
    error
        .status
        .is_some_and(|status| (400..500).contains(&status))
        && error.reason != Reason::RateLimited
}

#[derive(Deserialize)]
pub(super) struct TokenRow {
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    expires_on: Option<String>,
}

impl TokenRow {
    pub(super) fn into_status(self) -> TokenStatus {
        TokenStatus {
            state: match self.status.as_deref() {
                Some("active") => TokenState::Active,
                Some("disabled") => TokenState::Disabled,
                Some("expired") => TokenState::Expired,
                _ => TokenState::Unknown,
            },
            expires_on: self.expires_on.and_then(|time| time.parse().ok()),
        }
    }
}

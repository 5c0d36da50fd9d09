//! Verification of API tokens.

use jiff::Timestamp;
use serde::Deserialize;

use super::attempt::Request;
use super::client::Client;
use super::envelope::{self, Lenient};
use super::{ApiError, CallBudget, Operation, Reason};

/// The result of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenStatus {
    /// The state of the token.
    pub state: TokenState,
    /// When it expires, if it does.
    pub expires_on: Option<Timestamp>,
}

/// The state of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenState {
    /// It is valid.
    Active,
    /// It is disabled.
    Disabled,
    /// It has expired.
    Expired,
    /// A state unknown to this program.
    #[serde(skip)]
    Unknown,
    /// The account uses a global key, which cannot be verified; no request was sent.
    #[serde(skip)]
    NotAToken,
}

impl Client {
    /// Verifies the token as a user token and, if that is refused and `owner` is known, as a token
    /// of the Cloudflare account `owner`. A failure proves nothing about the token, because each
    /// kind is accepted only at its own endpoint.
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
        self.metrics().standing().token_expiry = status.expires_on;
        Ok(status)
    }

    async fn verify(
        &self,
        path: &[&str],
        expected: fn(&ApiError) -> bool,
        call: &CallBudget,
    ) -> Result<TokenStatus, ApiError> {
        let url = &self.url(path);
        let request = Request::new(Operation::VerifyToken, url).expecting(expected);
        let read = |body: &[u8]| envelope::result(body).map(TokenRow::into_status);
        self.get(request, call, read).await
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
    status: Lenient<TokenState>,
    expires_on: Lenient<Timestamp>,
}

impl TokenRow {
    pub(super) fn into_status(self) -> TokenStatus {
        TokenStatus {
            state: self.status.0.unwrap_or(TokenState::Unknown),
            expires_on: self.expires_on.0,
        }
    }
}

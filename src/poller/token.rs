//! Tracks whether an account's credentials are accepted.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::Context;
use super::account::Account;
use super::tasks::Running;
use crate::cloudflare::{ApiError, Operation, Reason, TokenState, TokenStatus};

/// Tokens are rarely revoked and rarely expire, and a refused call triggers a verification anyway.
const VERIFY_INTERVAL: Duration = Duration::from_hours(1);
/// The least time between verifications triggered by refused calls, or the discovery interval if
/// that is shorter. Cloudflare penalises repeated failures.
const RECHECK: Duration = Duration::from_mins(1);

/// Whether the credentials are accepted, according to verification and calls.
#[derive(Debug)]
pub(super) struct TokenCheck {
    /// When the token is verified next.
    pub(super) due: Instant,
    /// The verification in progress.
    pub(super) verification: Option<Running>,
    /// When the last verification started.
    pub(super) asked: Option<Instant>,
    /// Whether the last verification refused the token.
    verification_refused: bool,
    /// Whether all calls of the last listing refused the credentials.
    pub(super) discovery_refused: bool,
    /// Whether verification and discovery refuse the credentials. If so, only discovery is tried
    /// until it succeeds.
    pub(super) refused: bool,
}

impl TokenCheck {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: now,
            verification: None,
            asked: None,
            verification_refused: false,
            discovery_refused: false,
            refused: false,
        }
    }

    /// Verifies the token soon after a refused call, unless it is known to be refused.
    fn suspect(&mut self, context: &Context) {
        if self.refused {
            return;
        }
        let now = context.now;
        let recheck = RECHECK.min(context.settings.discovery_interval);
        let earliest = self.asked.map_or(now, |at| (at + recheck).max(now));
        self.due = self.due.min(earliest);
    }

    /// The error of polls while the credentials are refused.
    pub(super) fn refusal() -> ApiError {
        let detail = "no request was sent, because the credentials are refused";
        ApiError::new(Operation::ListMappings, Reason::Unauthorized, detail)
    }
}

impl Account {
    /// Checks the credentials after a refused poll: verification and discovery show whether the
    /// zone or the credentials are the cause.
    pub(super) fn suspect_credentials(&mut self, context: &Context) {
        self.token.suspect(context);
        if self.token.due <= context.now {
            self.listing.due = self.listing.due.map(|due| due.min(context.now));
        }
    }

    pub(super) fn verified(&mut self, answer: &Result<TokenStatus, ApiError>, context: &Context) {
        self.token.verification = None;
        self.token.due = context.now + VERIFY_INTERVAL;
        let account = self.name();
        self.token.verification_refused = match answer {
            Ok(TokenStatus {
                state: TokenState::Active,
                expires_on,
            }) => {
                debug!(%account, ?expires_on, "token verified");
                false
            }
            Ok(TokenStatus { state, .. }) => {
                warn!(%account, ?state, "token is not active");
                matches!(state, TokenState::Disabled | TokenState::Expired)
            }
            Err(error) => {
                debug!(%account, %error, "token verification failed");
                error.reason == Reason::Unauthorized
            }
        };
        self.judge_credentials(context);
    }

    /// Combines the results of verification and discovery.
    pub(super) fn judge_credentials(&mut self, context: &Context) {
        let account = &self.state.name;
        if self.state.up == Some(true) {
            if std::mem::take(&mut self.token.refused) {
                info!(%account, "credentials are accepted again");
                self.poll_unauthorized_zones(context);
            }
            return;
        }
        if !self.token.discovery_refused || self.token.refused {
            return;
        }
        if self.token.verification_refused || !self.client.has_token() {
            error!(%account, "Cloudflare refuses the credentials of the account; only the listing \
                              of its zones is tried until it succeeds");
            self.token.refused = true;
            self.token.due = context.now + VERIFY_INTERVAL;
        } else {
            self.token.suspect(context);
        }
    }

    /// Makes zones due that failed because of the credentials.
    fn poll_unauthorized_zones(&mut self, context: &Context) {
        let waiting = self.zones.iter().filter(|(_, zone)| {
            zone.is_unauthorized() && zone.due.is_some_and(|due| due > context.now)
        });
        let waiting: Vec<_> = waiting.map(|(id, _)| id.clone()).collect();
        for id in waiting {
            self.schedule(&id, context.now, context);
        }
    }
}

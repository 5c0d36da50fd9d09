//! Whether an account's credentials are accepted.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::Context;
use super::account::Account;
use super::tasks::Running;
use crate::cloudflare::{ApiError, Operation, Reason, TokenState, TokenStatus};

/// Tokens are rarely revoked and rarely expire, and an answer that refuses one shows it at once.
const VERIFY_INTERVAL: Duration = Duration::from_hours(1);
/// The least time between two verifications because of refused calls, or the discovery interval
/// where that is shorter. Cloudflare punishes repeated failures.
const RECHECK: Duration = Duration::from_mins(1);

/// Whether the credentials are accepted, as the verification and the calls together show.
#[derive(Debug)]
pub(super) struct TokenCheck {
    /// When the token is verified next.
    pub(super) due: Instant,
    /// The verification that is under way.
    pub(super) verification: Option<Running>,
    /// When the last verification began.
    asked: Option<Instant>,
    /// The last verification says that the token is not accepted.
    verification_refused: bool,
    /// Every call of the last listing answered that the credentials are not accepted.
    pub(super) discovery_refused: bool,
    /// Verification and discovery are refused. Until discovery succeeds it is all that is tried.
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

    pub(super) fn started(&mut self, task: Running, now: Instant) {
        self.asked = Some(now);
        self.verification = Some(task);
    }

    /// Other credentials are in force.
    pub(super) fn replaced(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// A call was refused, so the token is verified soon, unless it is known to be refused.
    fn suspect(&mut self, context: &Context, now: Instant) {
        if self.refused {
            return;
        }
        let recheck = RECHECK.min(context.settings.discovery_interval);
        let earliest = self.asked.map_or(now, |at| (at + recheck).max(now));
        self.due = self.due.min(earliest);
    }

    /// Why polls fail while the credentials are refused.
    pub(super) fn refusal() -> ApiError {
        ApiError {
            operation: Operation::ListMappings,
            reason: Reason::Unauthorized,
            detail: "no request was sent, because the credentials are refused".to_owned(),
            status: None,
            codes: Vec::new(),
        }
    }
}

impl Account {
    /// A poll was refused: verification and discovery will show whether the zone or the credentials
    /// are the reason.
    pub(super) fn suspect_credentials(&mut self, context: &Context, now: Instant) {
        self.token.suspect(context, now);
        if self.token.due <= now {
            self.listing.due = self.listing.due.map(|due| due.min(now));
        }
    }

    pub(super) fn verified(
        &mut self,
        answer: &Result<TokenStatus, ApiError>,
        context: &Context,
        now: Instant,
    ) {
        self.token.verification = None;
        self.token.due = now + VERIFY_INTERVAL;
        let account = self.name();
        match answer {
            Ok(TokenStatus {
                state: TokenState::Active,
                expires_on,
            }) => {
                debug!(%account, ?expires_on, "token verified");
                self.token.verification_refused = false;
            }
            Ok(TokenStatus { state, .. }) => {
                warn!(%account, ?state, "token is not active");
                self.token.verification_refused =
                    matches!(state, TokenState::Disabled | TokenState::Expired);
            }
            Err(error) => {
                debug!(%account, %error, "token verification failed");
                self.token.verification_refused = error.reason == Reason::Unauthorized;
            }
        }
        self.judge_credentials(context, now);
    }

    /// Puts together what verification and discovery show.
    pub(super) fn judge_credentials(&mut self, context: &Context, now: Instant) {
        let account = &self.state.name;
        if self.state.up == Some(true) {
            if std::mem::take(&mut self.token.refused) {
                info!(%account, "credentials are accepted again");
                self.poll_unauthorized_zones(context, now);
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
            self.token.due = now + VERIFY_INTERVAL;
        } else {
            self.token.suspect(context, now);
        }
    }

    /// What failed because of the credentials is due now.
    fn poll_unauthorized_zones(&mut self, context: &Context, now: Instant) {
        let waiting = self
            .zones
            .iter()
            .filter(|(_, zone)| zone.is_unauthorized() && zone.due.is_some_and(|due| due > now));
        let waiting: Vec<_> = waiting.map(|(id, _)| id.clone()).collect();
        for id in waiting {
            self.schedule(&id, now, context);
        }
    }
}

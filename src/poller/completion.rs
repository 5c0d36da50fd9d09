//! Taking the answers of jobs.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{Id, JoinError};
use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::Poller;
use super::log_events;
use super::state::{self, Ended, Read};
use super::tasks::{Answer, Poll, Task};
use super::zone::PolledZone;
use crate::cloudflare::{ApiError, Operation, Reason, TokenState, TokenStatus, ZoneList};
use crate::domain::{Zone, ZoneId};
use crate::snapshot::ZoneState;

/// Tokens are revoked and expire rarely; an answer that refuses one tells it at once.
const VERIFY_EVERY: Duration = Duration::from_hours(1);

impl Poller {
    pub(super) fn finish(&mut self, done: Result<(Id, Answer), JoinError>) {
        let (id, answer) = match done {
            Ok((id, answer)) => (id, Ok(answer)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some((job, _)) = self.about.remove(&id) else {
            return;
        };
        match (job, answer) {
            (Task::List(index), Ok(Answer::Listed(list))) => self.listed(index, list),
            (Task::Name(index, id), Ok(Answer::Named(zone))) => self.named(index, id, zone),
            (Task::Poll(index, id), Ok(Answer::Polled { poll, duration })) => {
                self.polled(
                    index,
                    &id,
                    poll,
                    Ended {
                        at: Timestamp::now(),
                        duration,
                    },
                );
            }
            (Task::Enrichment { index, zone, asks }, Ok(Answer::Enriched(done))) => {
                self.followed_up(index, &zone, asks, *done);
            }
            (Task::Verify(index), Ok(Answer::Verified(answer))) => self.verified(index, &answer),
            (job, answer) => self.broken(job, answer.err().as_ref()),
        }
    }

    /// A job panicked. That is a defect of this program; it costs one poll and not the daemon.
    fn broken(&mut self, job: Task, error: Option<&JoinError>) {
        error!(
            ?job,
            ?error,
            "a task of the poller broke off; please report this"
        );
        let now = Instant::now();
        match job {
            Task::List(index) => self.listed(index, Err(defect(Operation::ListZones))),
            Task::Name(index, id) => self.named(index, id, Err(defect(Operation::GetZone))),
            Task::Poll(index, id) => {
                let ended = Ended {
                    at: Timestamp::now(),
                    duration: Duration::ZERO,
                };
                self.polled(index, &id, Err(defect(Operation::ListMappings)), ended);
            }
            Task::Enrichment { index, zone, asks } => {
                self.follow_up_ended(index, &zone, asks);
            }
            Task::Verify(index) => {
                if let Some(account) = self.accounts.get_mut(index) {
                    account.verification = Some(now + VERIFY_EVERY);
                }
            }
        }
    }

    fn listed(&mut self, index: usize, list: Result<ZoneList, ApiError>) {
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        match list {
            Ok(list) => {
                let zones = &self.zones;
                account.list(list, |id| zones.get(id).is_some_and(PolledZone::refused));
            }
            Err(error) => account.listing.error = Some(error),
        }
        self.listing_ended(index);
    }

    fn named(&mut self, index: usize, id: ZoneId, zone: Result<Zone, ApiError>) {
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        account.name(id, zone);
        self.listing_ended(index);
    }

    /// One of the answers that a listing waits for is there, or will never be.
    fn listing_ended(&mut self, index: usize) {
        let now = Instant::now();
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        account.listing.outstanding = account.listing.outstanding.saturating_sub(1);
        if account.listing.outstanding == 0 {
            account.conclude_listing(self.settings.discovery_interval, now, Timestamp::now());
            if self.once {
                account.listing.due = None;
            }
        }
        self.listings_changed = true;
    }

    fn polled(&mut self, index: usize, id: &ZoneId, poll: Result<Poll, ApiError>, ended: Ended) {
        self.poll_ended(index, id);
        let now = Instant::now();
        let retain = self.settings.retain;
        let poll = poll.map(|poll| self.judge_by_latest(id, poll, now));
        let Some(turns) = self.zones.get_mut(id) else {
            return;
        };
        let mut old = ZoneState::clone(&turns.slot.load());
        old.tiered_cache = turns.secondary.tiered_cache(now, retain);
        let due = match poll {
            Ok(Poll {
                mappings,
                rejected,
                findings,
                unconfirmed,
            }) => {
                if let Some(at) = turns.expiry.take() {
                    self.expiries.remove(&(at, id.clone()));
                }
                let due = turns.succeeded(&old, &rejected, now);
                turns.secondary.polled(unconfirmed);
                let read = Read {
                    mappings,
                    findings,
                    rejected: rejected.count,
                };
                let new = state::succeeded(&old, read, ended);
                log_events::tell_left_out(&old, &new);
                turns.slot.publish(new);
                due
            }
            Err(error) => {
                if turns.failures == 0 && old.data.is_some() {
                    let at = now + retain;
                    turns.expiry = Some(at);
                    self.expiries.insert((at, id.clone()));
                }
                let due = turns.failed(&old, &error, now);
                turns.slot.publish(state::failed(&old, &error, ended));
                due
            }
        };
        self.schedule(id, due);
        self.expire(now);
        self.queue_follow_up(id, now);
    }

    /// A poll that a follow-up overtook was judged by what was known when it began.
    fn judge_by_latest(&mut self, id: &ZoneId, poll: Poll, now: Instant) -> Poll {
        let turns = self.zones.get_mut(id);
        let overtaken = turns.is_some_and(|turns| turns.secondary.has_learnt());
        match self.criteria(id, now).filter(|_| overtaken) {
            Some(criteria) => Poll::judge(poll.mappings, poll.rejected, &criteria),
            None => poll,
        }
    }

    fn verified(&mut self, index: usize, answer: &Result<TokenStatus, ApiError>) {
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        account.verification = Some(Instant::now() + VERIFY_EVERY);
        let name = &account.state.name;
        match answer {
            Ok(TokenStatus {
                state: TokenState::Active,
                expires_on,
            }) => {
                debug!(account = %name, ?expires_on, "the token is good");
            }
            Ok(TokenStatus { state, .. }) => {
                warn!(account = %name, ?state, "the token is not good");
            }
            // Each kind of token answers to its own address alone, so this proves nothing.
            Err(error) => debug!(account = %name, %error, "the token could not be verified"),
        }
    }

    fn poll_ended(&mut self, index: usize, id: &ZoneId) {
        self.busy.remove(id);
        for account in &mut self.accounts {
            account.untried.remove(id);
        }
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        account.running = account.running.saturating_sub(1);
        account.settled |= account.first_round_over();
        self.metrics.lag.ended(&account.state.name, id);
    }
}

/// The failure of a call whose task panicked.
fn defect(operation: Operation) -> ApiError {
    ApiError {
        operation,
        reason: Reason::Malformed,
        detail: "this program failed on the answer; please report it".to_owned(),
        status: None,
        codes: Vec::new(),
    }
}

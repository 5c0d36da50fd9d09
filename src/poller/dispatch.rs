//! Starting what is due.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::tasks::{self, Answer, Task};
use super::{Poller, ZoneSelection};
use crate::domain::ZoneId;

impl Poller {
    pub(super) fn start_due_of(&mut self, index: usize, now: Instant) {
        let Some(account) = self.accounts.get(index) else {
            return;
        };
        if account.client.paused_until().is_none_or(|end| end <= now) {
            if account.listing.due.is_some_and(|due| due <= now) {
                self.start_listing(index);
            }
            while let Some((due, zone)) = self.next_due(index, now) {
                self.start_poll(index, zone, now.saturating_duration_since(due), now);
            }
            self.start_follow_ups(index, now);
            self.start_verification(index, now);
        }
        if let Some(account) = self.accounts.get(index) {
            let first_due = account.due.first_due();
            self.metrics.lag.waiting(&account.state.name, first_due);
        }
    }

    /// Takes the zone whose turn it is, if there is one and it may run now.
    fn next_due(&mut self, index: usize, now: Instant) -> Option<(Instant, ZoneId)> {
        let account = self.accounts.get_mut(index)?;
        if account.running >= account.most_running() {
            return None;
        }
        let next = account.due.pop(now, account.settled)?;
        if let Some(zone) = self.zones.get_mut(&next.1) {
            zone.due = None;
        }
        // Its old poll may be under way where it went and came back; the end of that schedules it.
        if self.busy.contains(&next.1) {
            self.next_due(index, now)
        } else {
            Some(next)
        }
    }

    fn start_listing(&mut self, index: usize) {
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        let client = account.client.clone();
        account.listing.due = None;
        account.listing.error = None;
        match account.selection.clone() {
            ZoneSelection::Filter { .. } => {
                account.listing.outstanding = 1;
                let had_zones = !account.zones.is_empty();
                self.spawn(Task::List(index), tasks::list(client, had_zones));
            }
            ZoneSelection::Ids(ids) => {
                account.listing.outstanding = ids.len();
                for id in ids {
                    self.spawn(
                        Task::Name(index, id.clone()),
                        tasks::name(client.clone(), id),
                    );
                }
            }
        }
    }

    fn start_poll(&mut self, index: usize, zone: ZoneId, late: Duration, now: Instant) {
        let Some(criteria) = self.criteria(&zone, now) else {
            return;
        };
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        account.running += 1;
        let client = account.client.clone();
        let call = tasks::poll_call();
        self.metrics
            .lag
            .started(&account.state.name, zone.clone(), late, Arc::clone(&call));
        self.busy.insert(zone.clone());
        if let Some(turns) = self.zones.get_mut(&zone) {
            turns.secondary.polling();
        }
        let job = Task::Poll(index, zone.clone());
        self.spawn(job, tasks::poll(client, zone, criteria, call));
    }

    /// The token is verified once the first round is over, so that readiness waits for nothing.
    fn start_verification(&mut self, index: usize, now: Instant) {
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        if account.verification_due().is_some_and(|due| due <= now) {
            account.verification = None;
            let owner = account.zones.values().find_map(|zone| zone.owner.clone());
            let client = account.client.clone();
            self.spawn(Task::Verify(index), tasks::verify(client, owner));
        }
    }

    pub(super) fn spawn(&mut self, job: Task, work: impl Future<Output = Answer> + Send + 'static) {
        let handle = self.jobs.spawn(work);
        self.about.insert(handle.id(), (job, handle));
    }

    /// Puts a zone that is not being polled into its account's queue.
    pub(super) fn schedule(&mut self, id: &ZoneId, due: Instant) {
        let Some(zone) = self.zones.get_mut(id) else {
            return;
        };
        let Some(account) = self.accounts.get_mut(zone.account) else {
            return;
        };
        if self.once && !account.untried.contains(id) {
            return;
        }
        if let Some(old) = zone.due.replace(due) {
            account.due.remove(old, id);
        }
        let is_new = account.untried.contains(id);
        account.due.insert(due, id.clone(), is_new);
        let ahead = due.saturating_duration_since(Instant::now());
        let due = Timestamp::now().saturating_add(ahead);
        zone.slot.announce_poll(due.unwrap_or(Timestamp::MAX));
    }
}

//! Keeps the rate limits across restarts: stores their state, and grants requests in advance.
//!
//! A killed process cannot store its last requests. So it stores beforehand how many it may send
//! until the next store, and sends no more. The next process counts all of these as sent.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::parts::Clients;
use crate::cloudflare::{Client, PastRequests, RateLimitState};
use crate::domain::AccountName;
use crate::storage::{Kind, Parts, Storage};

/// How often the state is stored while requests are made.
const STORE_EVERY: Duration = Duration::from_millis(750);
/// Requests less than this fraction of the window apart are stored as one entry, with the time of
/// the latest.
const ENTRIES_PER_WINDOW: u32 = 128;
/// The fewest requests to grant in advance.
const MIN_GRANT: u64 = 4;
/// The most requests to grant in advance, as a fraction of the budget.
const GRANTS_PER_BUDGET: u64 = 8;

/// The stored rate limit of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredWindow {
    /// Milliseconds since the Unix epoch, and the number of requests that ended by then.
    requests: Vec<(i64, u64)>,
    /// Requests that may have been sent since.
    granted: u64,
    blocked_until: Option<Timestamp>,
}

impl StoredWindow {
    fn new(state: &RateLimitState, granted: u64, window: Duration) -> Self {
        let apart = i64::try_from((window / ENTRIES_PER_WINDOW).as_millis()).unwrap_or(i64::MAX);
        let mut requests: Vec<(i64, u64)> = Vec::new();
        // Go backwards from the latest, so that an entry has the latest time of its requests.
        for past in state.requests.iter().rev() {
            let at = past.at.as_millisecond().saturating_add(1);
            match requests.last_mut() {
                Some((latest, count)) if latest.saturating_sub(at) < apart => *count += past.count,
                _ => requests.push((at, past.count)),
            }
        }
        Self {
            requests,
            granted,
            blocked_until: state.blocked_until,
        }
    }

    fn state(&self, now: Timestamp) -> RateLimitState {
        let requests = self.requests.iter().rev().map(|(at, count)| PastRequests {
            at: Timestamp::from_millisecond(*at).unwrap_or(now),
            count: *count,
        });
        let granted = (self.granted > 0).then_some(PastRequests {
            at: now,
            count: self.granted,
        });
        RateLimitState {
            requests: requests.chain(granted).collect(),
            blocked_until: self.blocked_until,
        }
    }
}

/// Stores the rate limits of all accounts and grants requests.
pub(super) struct RateLimits {
    clients: Arc<Clients>,
    storage: Storage,
    wanted: Arc<Notify>,
    accounts: HashMap<AccountName, Account>,
}

#[derive(Debug, Default)]
struct Account {
    /// The total number of requests at the last store.
    taken: u64,
    /// The total number of requests that are granted; 0 before the first grant.
    up_to: u64,
    blocked_until: Option<Timestamp>,
}

impl RateLimits {
    /// Restores the rate limits of an earlier process.
    pub(super) fn new(clients: Arc<Clients>, storage: Storage, stored: &Parts) -> Self {
        let wanted = Arc::new(Notify::new());
        let now = Timestamp::now();
        for client in clients.load().iter() {
            let key = client.account().as_str();
            if let Some(window) = stored.get::<StoredWindow>(Kind::Window, key) {
                client.restore_rate_limit(&window.state(now), now);
            }
            client.require_grants(&wanted);
        }
        Self {
            clients,
            storage,
            wanted,
            accounts: HashMap::new(),
        }
    }

    /// Stores and grants until the shutdown.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut turns = tokio::time::interval(STORE_EVERY);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let wanted = Arc::clone(&self.wanted);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = turns.tick() => {}
                () = wanted.notified() => {}
            }
            self.store().await;
        }
    }

    /// Stores the requests, with no further grants. Call this only after the last request.
    pub(super) fn store_last(clients: &Clients, storage: &Storage) {
        for client in clients.load().iter() {
            let (state, _) = client.rate_limit_state(Timestamp::now());
            let window = StoredWindow::new(&state, 0, client.rate_limit().window);
            storage.put(Kind::Window, client.account().as_str(), window);
        }
    }

    async fn store(&mut self) {
        let clients = self.clients.load_full();
        let mut grants = Vec::new();
        for client in clients.iter() {
            client.require_grants(&self.wanted);
            grants.extend(self.put(client).map(|up_to| (client.clone(), up_to)));
        }
        if grants.is_empty() {
            return;
        }
        // A failing disk, or one that takes more than a second, does not stop the polls.
        self.storage.flush().await;
        for (client, up_to) in grants {
            client.grant_requests(up_to);
        }
    }

    /// Passes an account's state to the storage if it changed. Returns the new total to grant.
    fn put(&mut self, client: &Client) -> Option<u64> {
        let (state, taken) = client.rate_limit_state(Timestamp::now());
        let account = self.accounts.entry(client.account().clone()).or_default();
        let is_new = taken != account.taken || account.up_to == 0;
        if !is_new && state.blocked_until == account.blocked_until {
            return None;
        }
        let recent = taken.saturating_sub(account.taken);
        let most = (u64::from(client.rate_limit().budget()) / GRANTS_PER_BUDGET).max(1);
        let grant = (2 * recent).max(MIN_GRANT).min(most);
        // Earlier grants may be used before this reaches the disk.
        let up_to = account.up_to.max(taken.saturating_add(grant));
        *account = Account {
            taken,
            up_to,
            blocked_until: state.blocked_until,
        };
        let window = StoredWindow::new(&state, up_to - taken, client.rate_limit().window);
        self.storage
            .put(Kind::Window, client.account().as_str(), window);
        Some(up_to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_stored_in_few_entries_that_forget_nothing_too_early() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let requests = (0..1000_u64).rev().map(|number| PastRequests {
            at: now - Duration::from_millis(300 * number),
            count: 1,
        });
        let state = RateLimitState {
            requests: requests.collect(),
            blocked_until: Some(now),
        };
        let stored = StoredWindow::new(&state, 5, Duration::from_mins(5));
        assert!(stored.requests.len() <= 130, "{}", stored.requests.len());
        let restored = stored.state(now);
        let count =
            |state: &RateLimitState| -> u64 { state.requests.iter().map(|past| past.count).sum() };
        assert_eq!(count(&restored), 1005);
        assert_eq!(restored.blocked_until, Some(now));
        // At any time in the window, at least as many requests count as before.
        for seconds in 0..300 {
            let since = now - Duration::from_secs(seconds);
            let later = |state: &RateLimitState| -> u64 {
                let past = state.requests.iter().filter(|past| past.at >= since);
                past.map(|past| past.count).sum()
            };
            assert!(later(&restored) >= later(&state), "{seconds}");
        }
    }
}

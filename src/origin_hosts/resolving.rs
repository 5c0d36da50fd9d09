//! The task that resolves every wanted host, and what it publishes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hickory_resolver::net::NetError;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::changes::Changes;
use super::dns::Resolver;
use super::host::{Failure, Outcome};
use super::schedule::Schedule;
use super::{Host, Metrics, Now, Settings, StoredHost};
use crate::domain::{HostName, ZoneId};
use crate::panics::{caught, lock};

/// Each host takes two queries, so at most 32 queries are in progress.
const HOSTS_IN_FLIGHT: usize = 16;
/// A host whose answers change nothing is stored again this often, to update the times of its
/// addresses; in milliseconds.
const STORE_EVERY: i64 = 10 * 60 * 1000;

/// The hosts that zones want, and what is known of each. Clones are handles to the same hosts.
#[derive(Clone)]
pub struct OriginHosts {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Something may be due.
    wake: Notify,
    changed: Changes,
    unsaved: Changes,
    metrics: Metrics,
    epoch: Instant,
}

struct State {
    schedule: Schedule,
    settings: Settings,
    resolver: Resolver,
    refused: usize,
}

impl OriginHosts {
    /// Knows no hosts yet. Fails if the resolver cannot be built.
    pub fn new(settings: Settings, metrics: Metrics) -> Result<Self, NetError> {
        let state = State {
            schedule: Schedule::default(),
            resolver: Resolver::new(&settings.nameservers)?,
            settings,
            refused: 0,
        };
        Ok(Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                wake: Notify::new(),
                changed: Changes::default(),
                unsaved: Changes::default(),
                metrics,
                epoch: Instant::now(),
            }),
        })
    }

    /// Replaces the hosts that a zone wants. The cost is proportional to that zone's hosts.
    pub fn want(&self, zone: &ZoneId, hosts: BTreeSet<HostName>) {
        if !hosts.is_empty() {
            self.shared.metrics.show();
        }
        let mut state = lock(&self.shared.state);
        let now = self.shared.now().monotonic;
        let forgotten = state.schedule.want(zone, hosts, now);
        self.shared.forget(state, forgotten);
        self.shared.wake.notify_one();
    }

    /// The zones that want a host.
    pub fn zones(&self, host: &HostName) -> Vec<ZoneId> {
        lock(&self.shared.state).schedule.zones(host).to_vec()
    }

    /// Whether every wanted host was looked up at least once.
    pub fn is_settled(&self) -> bool {
        let state = lock(&self.shared.state);
        let is_open = |host: &Host| host.state().is_none() && state.schedule.is_wanted(host.name());
        !state.schedule.all().any(|host| is_open(host))
    }

    /// What is known of a host; `None` if no zone wants it, or if there are too many.
    pub fn get(&self, host: &HostName) -> Option<Arc<Host>> {
        lock(&self.shared.state).schedule.get(host).cloned()
    }

    /// Every host, in no particular order, including some that no zone wants any more.
    pub fn all(&self) -> Vec<Arc<Host>> {
        lock(&self.shared.state).schedule.all().cloned().collect()
    }

    /// Waits until hosts change in anything that findings depend on, and takes their names. The
    /// first call takes the names of all hosts. There may be only one caller.
    pub async fn changed(&self) -> BTreeSet<HostName> {
        self.shared.changed.take(|| self.names()).await
    }

    /// Waits until hosts need to be stored, and takes their names. The first call takes the names
    /// of all hosts. If [`Self::get`] does not know a name any more, it is to be removed from the
    /// storage. There may be only one caller.
    pub async fn unsaved(&self) -> BTreeSet<HostName> {
        self.shared.unsaved.take(|| self.names()).await
    }

    /// Restores stored hosts. Call it before hosts are wanted.
    pub fn restore(&self, stored: &[StoredHost]) {
        let mut state = lock(&self.shared.state);
        let now = self.shared.now();
        for stored in stored {
            let host = Host::restore(stored, &state.settings, now);
            state.schedule.remember(host, now.monotonic);
        }
    }

    /// Applies other settings. Fails if the resolver cannot be built; then nothing changes.
    pub fn reconfigure(&self, settings: Settings) -> Result<(), NetError> {
        let mut state = lock(&self.shared.state);
        if settings == state.settings {
            return Ok(());
        }
        if settings.nameservers != state.settings.nameservers {
            state.resolver = Resolver::new(&settings.nameservers)?;
        }
        let others = state.schedule.all().filter_map(|host| {
            let other = host.under(&settings);
            other.differs(host).then_some(other)
        });
        let others: Vec<_> = others.collect();
        let changed: Vec<_> = others.iter().map(|host| host.name().clone()).collect();
        for host in others {
            state.schedule.put(host);
        }
        state.settings = settings;
        drop(state);
        self.shared.changed.add(changed);
        Ok(())
    }

    /// Resolves every wanted host when it is due, until shutdown.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut lookups = JoinSet::new();
        loop {
            let next = self.start_due(&mut lookups);
            let next = next.filter(|_| lookups.len() < HOSTS_IN_FLIGHT);
            let due = sleep_until(self.shared.instant(next.unwrap_or(0)));
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(Ok((host, outcome))) = lookups.join_next() => {
                    self.shared.apply(&host, &outcome);
                }
                () = due, if next.is_some() => {}
                () = self.shared.wake.notified() => {}
            }
        }
    }

    /// Starts lookups while there is room, and returns when there is something to do next.
    fn start_due(&self, lookups: &mut JoinSet<(HostName, Outcome)>) -> Option<i64> {
        let now = self.shared.now().monotonic;
        let mut state = lock(&self.shared.state);
        let forgotten = state.schedule.forget_idle(now);
        self.shared.forget(state, forgotten);
        let mut state = lock(&self.shared.state);
        while lookups.len() < HOSTS_IN_FLIGHT
            && let Some(host) = state.schedule.next(now)
        {
            let (resolver, metrics) = (state.resolver.clone(), self.shared.metrics.clone());
            lookups.spawn(async move {
                let outcome = caught(resolver.resolve(&host, &metrics)).await;
                (host, outcome.unwrap_or(Outcome::Failed(Failure::Other)))
            });
        }
        state.schedule.next_time()
    }

    fn names(&self) -> impl Iterator<Item = HostName> {
        self.all().into_iter().map(|host| host.name().clone())
    }
}

impl Shared {
    fn now(&self) -> Now {
        let elapsed = self.epoch.elapsed().as_millis();
        Now {
            monotonic: i64::try_from(elapsed).unwrap_or(i64::MAX),
            wall: Timestamp::now(),
        }
    }

    fn instant(&self, time: i64) -> Instant {
        let time = Duration::from_millis(u64::try_from(time).unwrap_or(0));
        self.epoch.checked_add(time).unwrap_or_else(Instant::now)
    }

    /// Warns if more hosts are refused than before, and marks forgotten hosts for removal from the
    /// storage.
    fn forget(&self, mut state: MutexGuard<'_, State>, forgotten: Vec<HostName>) {
        let refused = state.schedule.refused();
        if refused > state.refused {
            warn!(
                refused,
                limit = super::MAX_HOSTS,
                "too many origin hosts, some are not resolved"
            );
        }
        state.refused = refused;
        // A reader of the names locks the state while it holds their lock.
        drop(state);
        self.unsaved.add(forgotten);
    }

    fn apply(&self, name: &HostName, outcome: &Outcome) {
        let mut state = lock(&self.state);
        let now = self.now();
        let Some(before) = state.schedule.get(name).cloned() else {
            return;
        };
        let (host, pause) = before.after(outcome, &state.settings, now);
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        let due = now.monotonic.saturating_add(pause);
        state.schedule.finish(name, due, now.monotonic);
        let changed = host.differs(&before);
        let anyway = changed || host.negatives != before.negatives;
        let from = now.monotonic.saturating_sub(STORE_EVERY);
        let unsaved = state.schedule.offer(name, anyway, from, now.monotonic);
        log_transition(&before, &host);
        state.schedule.put(host);
        drop(state);
        if changed {
            self.changed.add([name.clone()]);
        }
        if unsaved {
            self.unsaved.add([name.clone()]);
        }
    }
}

fn log_transition(before: &Host, after: &Host) {
    let host = after.name();
    match (before.failure(), after.failure()) {
        (None, Some(failure)) => {
            info!(%host, reason = failure.as_str(), "origin host cannot be resolved");
        }
        (Some(_), None) => info!(%host, "origin host can be resolved again"),
        _ => {}
    }
}

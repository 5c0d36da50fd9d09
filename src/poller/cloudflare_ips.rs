//! Cloudflare's own addresses, which are not origins.

use std::time::Duration;

use ipnet::IpNet;
use tokio::time::Instant;
use tracing::warn;

use super::tasks::{Outcome, POLL_BUDGET, Running};
use super::{Account, Poller};
use crate::cloudflare::{ApiError, CallBudget, Client, Operation};
use crate::findings::ExpectSettings;

/// The ranges hardly ever change.
const INTERVAL: Duration = Duration::from_hours(24);
/// The wait after a failure.
const RETRY: Duration = Duration::from_mins(10);
/// The ranges published at <https://www.cloudflare.com/ips>, used until the API returns them.
const BUILT_IN: &str = include_str!("cloudflare_ips.txt");

/// Cloudflare's ranges, and when they are read next.
pub(super) struct CloudflareIps {
    pub(super) ranges: Vec<IpNet>,
    due: Instant,
    task: Option<Running>,
}

impl CloudflareIps {
    pub(super) fn new(now: Instant) -> Self {
        let built_in = BUILT_IN.lines();
        Self {
            ranges: built_in.filter_map(|range| range.parse().ok()).collect(),
            due: now,
            task: None,
        }
    }
}

impl Poller {
    /// Reads the ranges if they are due and origins are discovered. Any account's credentials work.
    pub(super) fn start_cloudflare_ips(&mut self) {
        let now = self.context.now;
        let ips = &mut self.context.cloudflare_ips;
        if ips.task.is_some() || ips.due > now || !discovers(&self.context.evaluation.expect) {
            return;
        }
        let is_usable = |account: &&Account| {
            !account.token.refused && account.client.paused_until().is_none_or(|end| end <= now)
        };
        if let Some(account) = self.accounts.values().find(is_usable) {
            let work = |client: Client| async move {
                client.cloudflare_ips(&CallBudget::new(POLL_BUDGET)).await
            };
            let (tasks, operation) = (&mut self.context.tasks, Operation::CloudflareIps);
            let task = tasks.spawn(&account.client, operation, work, Outcome::CloudflareIps);
            ips.task = Some(task);
        }
    }

    pub(super) fn cloudflare_ips_read(&mut self, answer: Result<Vec<IpNet>, ApiError>) {
        let now = self.context.now;
        let ips = &mut self.context.cloudflare_ips;
        ips.task = None;
        match answer {
            Ok(ranges) => {
                ips.due = now + INTERVAL;
                if ips.ranges != ranges {
                    ips.ranges = ranges;
                    let accounts = self.accounts.values_mut();
                    accounts.for_each(Account::request_evaluations);
                }
            }
            Err(error) => {
                ips.due = now + RETRY;
                warn!(%error, "reading Cloudflare's own addresses failed, using those known so far");
            }
        }
    }

    /// When the ranges are due, if origins are discovered.
    pub(super) fn cloudflare_ips_due(&self) -> Option<Instant> {
        let ips = &self.context.cloudflare_ips;
        let is_wanted = ips.task.is_none() && discovers(&self.context.evaluation.expect);
        // A paused account wakes the poller anyway.
        is_wanted.then_some(ips.due)
    }
}

fn discovers(expect: &ExpectSettings) -> bool {
    let declares_hosts = || expect.zones.iter().any(|zone| !zone.hosts.is_empty());
    expect.from_dns || expect.from_load_balancers || expect.from_rules || declares_hosts()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_ranges_are_ranges() {
        let ips = CloudflareIps::new(Instant::now());
        assert_eq!(ips.ranges.len(), BUILT_IN.lines().count());
    }
}

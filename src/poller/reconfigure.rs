//! Applies a new configuration while polls continue.

use super::account::Account;
use super::discovery::Released;
use super::enrichment::refresh::Regions;
use super::token::TokenCheck;
use super::{Configuration, ConfiguredAccount, Poller};

impl Poller {
    /// Keeps the state of remaining accounts and zones.
    pub(super) fn reconfigure(&mut self, change: Configuration) {
        let Configuration {
            settings,
            evaluation,
            accounts,
        } = change;
        let metrics = &self.context.metrics;
        metrics.interval.set(settings.interval.as_secs_f64());
        self.context.evaluation = evaluation;
        self.context.settings = settings;
        let released = self.replace_accounts(accounts);
        self.ranges_changed = self.context.evaluation.ranges.changed();
        let soonest = self.context.now + self.context.settings.discovery_interval;
        let evaluation = &self.context.evaluation;
        for account in self.accounts.values_mut() {
            account.listing.due = account.listing.due.map(|due| due.min(soonest));
            for zone in account.zones.values_mut() {
                zone.enrichment.reconfigure(evaluation);
            }
            if !evaluation.verify.supported_regions {
                account.regions = Regions::default();
            }
            account.request_evaluations();
        }
        self.show_upper_tiers();
        self.reassign(released);
        self.retry_audit_logs();
    }

    /// Remaining accounts keep their zones and schedules. Returns the zones of removed accounts,
    /// which another account may list too. The tasks of removed accounts are cancelled, so that
    /// removed credentials are no longer used.
    pub(super) fn replace_accounts(&mut self, accounts: Vec<ConfiguredAccount>) -> Released {
        let now = self.context.now;
        let mut old = std::mem::take(&mut self.accounts);
        for new in accounts {
            let ConfiguredAccount {
                client,
                zones,
                credentials_changed,
            } = new;
            let name = client.account().clone();
            let account = match old.swap_remove(&name) {
                Some(mut account) => {
                    account.listing.select(zones, now);
                    if credentials_changed {
                        account.logged.clear();
                        account.token = TokenCheck::new(now);
                    }
                    account
                }
                None => Account::new(client, zones, now),
            };
            self.accounts.insert(name, account);
        }
        let mut released = Released::new();
        for (name, mut account) in old {
            released.extend(account.release(|_| true));
            // There may be no such series.
            let lag = &self.context.metrics.lag;
            let _ = lag.remove_label_values(&[name.as_str()]);
            self.context.metrics.audit_log.forget(&name);
        }
        released
    }
}

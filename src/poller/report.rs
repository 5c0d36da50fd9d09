//! Reports the results of all calls except polls, in a single round.

use std::collections::HashMap;
use std::time::Duration;

use super::Poller;
use crate::cloudflare::{ApiError, Operation, Rows};
use crate::domain::{AccountName, ZoneId};

/// The results of a single round.
#[derive(Debug)]
pub struct Round {
    /// The results of the calls other than polls.
    pub readings: Vec<SourceReading>,
    /// The interval that would fit the budget of each account for which the configured one is too
    /// short.
    pub fitting_intervals: HashMap<AccountName, Duration>,
}

/// The result of one call.
#[derive(Debug, Clone)]
pub struct SourceReading {
    /// The account whose credentials were used.
    pub account: AccountName,
    /// The name of the zone; empty for a call that serves all zones.
    pub zone: String,
    /// The call.
    pub operation: Operation,
    /// The result.
    pub outcome: SourceOutcome,
}

/// The result of a call.
#[derive(Debug, Clone)]
pub enum SourceOutcome {
    /// It succeeded.
    Read,
    /// It succeeded, but some rows could not be read.
    PartlyRead,
    /// It was not made, because nothing needs its response.
    NotNeeded,
    /// The zone does not support it.
    NotAvailable,
    /// It failed.
    Failed(ApiError),
}

impl SourceOutcome {
    pub(super) fn of<T>(answer: &Result<T, ApiError>) -> Self {
        match answer {
            Ok(_) => Self::Read,
            Err(error) => Self::Failed(error.clone()),
        }
    }

    pub(super) fn of_rows<T>(answer: Result<&Rows<T>, &ApiError>) -> Self {
        match answer {
            Ok(rows) if rows.is_complete() => Self::Read,
            Ok(_) => Self::PartlyRead,
            Err(error) => Self::Failed(error.clone()),
        }
    }
}

impl Poller {
    /// Records the result of a call in a single round.
    pub(super) fn report(
        &mut self,
        account: &AccountName,
        id: Option<&ZoneId>,
        operation: Operation,
        outcome: &SourceOutcome,
    ) {
        if !self.context.once {
            return;
        }
        let zone = id.map_or_else(String::new, |id| self.zone_name(account, id));
        self.readings.push(SourceReading {
            account: account.clone(),
            zone,
            operation,
            outcome: outcome.clone(),
        });
    }

    /// The name of a listed zone, polled or not.
    fn zone_name(&self, account: &AccountName, id: &ZoneId) -> String {
        let account = self.accounts.get(account);
        let listed = account.and_then(|account| account.listing.zones.get(id));
        listed.map_or_else(|| id.to_string(), |zone| zone.name.to_string())
    }
}

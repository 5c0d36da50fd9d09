//! Names of changed hosts, for one reader.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::domain::HostName;

/// A set of names that a reader waits for and takes. It contains each name once, so its size is
/// bounded by the number of hosts.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// `None` until there is a reader.
    names: Mutex<Option<BTreeSet<HostName>>>,
    added: Notify,
}

impl Changes {
    /// Adds names, if there is a reader.
    pub(super) fn add(&self, names: impl IntoIterator<Item = HostName>) {
        let added = {
            let mut set = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(set) = set.as_mut() else { return };
            set.extend(names);
            !set.is_empty()
        };
        if added {
            self.added.notify_one();
        }
    }

    /// Waits for names and takes them. The first call starts with `all`. No names are lost if the
    /// caller stops waiting.
    pub(super) async fn take<I: Iterator<Item = HostName>>(
        &self,
        all: impl FnOnce() -> I,
    ) -> BTreeSet<HostName> {
        {
            let mut set = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            if set.is_none() {
                *set = Some(all().collect());
            }
        }
        loop {
            let taken = {
                let mut set = self.names.lock().unwrap_or_else(PoisonError::into_inner);
                set.as_mut().map(std::mem::take).unwrap_or_default()
            };
            if !taken.is_empty() {
                return taken;
            }
            self.added.notified().await;
        }
    }
}

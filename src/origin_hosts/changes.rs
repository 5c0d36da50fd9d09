//! Names of changed hosts, for one reader.

use std::collections::BTreeSet;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::domain::HostName;
use crate::panics::lock;

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
        let mut names = names.into_iter().peekable();
        if names.peek().is_some()
            && let Some(waiting) = lock(&self.names).as_mut()
        {
            waiting.extend(names);
            self.added.notify_one();
        }
    }

    /// Waits for names and takes them. The first call starts with `all`. No names are lost if the
    /// caller stops waiting.
    pub(super) async fn take<I: Iterator<Item = HostName>>(
        &self,
        all: impl FnOnce() -> I,
    ) -> BTreeSet<HostName> {
        lock(&self.names).get_or_insert_with(|| all().collect());
        loop {
            let taken = lock(&self.names).as_mut().map(std::mem::take);
            if let Some(taken) = taken.filter(|taken| !taken.is_empty()) {
                return taken;
            }
            self.added.notified().await;
        }
    }
}

//! The published hosts by name, read without a lock.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Host;
use crate::domain::HostName;

/// Enough to keep buckets small with 10,000 hosts, because each change replaces a whole bucket.
const BUCKETS: usize = 256;

type Bucket = ArcSwap<Vec<Arc<Host>>>;

/// The hosts. There is one writer. Readers see each host as it was before or after a change.
#[derive(Debug)]
pub(super) struct Directory {
    buckets: Box<[Bucket]>,
}

impl Directory {
    pub(super) fn new() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| ArcSwap::default()).collect(),
        }
    }

    pub(super) fn get(&self, name: &HostName) -> Option<Arc<Host>> {
        let bucket = self.bucket(name)?.load();
        let at = bucket.binary_search_by(|host| host.name().cmp(name)).ok()?;
        bucket.get(at).cloned()
    }

    /// Every host, in no particular order.
    pub(super) fn all(&self) -> impl Iterator<Item = Arc<Host>> {
        self.buckets.iter().flat_map(|bucket| {
            let hosts: Vec<_> = bucket.load().iter().cloned().collect();
            hosts
        })
    }

    /// Adds or replaces a host.
    pub(super) fn put(&self, host: Arc<Host>) {
        let Some(bucket) = self.bucket(host.name()) else {
            return;
        };
        let mut hosts = Vec::clone(&bucket.load());
        match hosts.binary_search_by(|other| other.name().cmp(host.name())) {
            Ok(at) => {
                if let Some(place) = hosts.get_mut(at) {
                    *place = host;
                }
            }
            Err(at) => hosts.insert(at, host),
        }
        hosts.shrink_to_fit();
        bucket.store(Arc::new(hosts));
    }

    pub(super) fn remove(&self, name: &HostName) {
        if let Some(bucket) = self.bucket(name) {
            let others = bucket
                .load()
                .iter()
                .filter(|host| host.name() != name)
                .cloned()
                .collect();
            bucket.store(Arc::new(others));
        }
    }

    fn bucket(&self, name: &HostName) -> Option<&Bucket> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        let hash = usize::try_from(hash % BUCKETS as u64).ok()?;
        self.buckets.get(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_replaced_and_removed() {
        let directory = Directory::new();
        let name = |n: u32| HostName::parse(&format!("h{n}.example")).unwrap();
        for n in 0..1000 {
            directory.put(Arc::new(Host::new(name(n))));
        }
        directory.put(Arc::new(Host::new(name(7))));
        assert_eq!(directory.all().count(), 1000);
        assert_eq!(directory.get(&name(7)).unwrap().name(), &name(7));
        directory.remove(&name(7));
        directory.remove(&name(1000));
        assert!(directory.get(&name(7)).is_none());
        assert_eq!(directory.all().count(), 999);
    }
}

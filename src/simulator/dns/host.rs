//! The names that the simulated DNS knows.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::QuestionKind;

/// The default time to live of records.
const TTL: u32 = 60;

/// Every name, in lower case and without the root dot. Other names do not exist.
#[derive(Debug, Default)]
pub struct DnsHosts {
    hosts: HashMap<String, DnsHost>,
}

/// The records of a name, and how queries for it fail.
#[derive(Debug, Clone, Default)]
pub struct DnsHost {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) alias: Option<String>,
    pub(super) ttl: Option<u32>,
    /// The number of addresses in one response; `None` for all of them.
    pub(super) at_once: Option<usize>,
    /// The index of the first address of the next response.
    pub(super) next: usize,
    pub(super) trouble: Option<DnsTrouble>,
    /// The only kind of question that fails; `None` for all kinds.
    pub(super) troubled_kind: Option<QuestionKind>,
}

/// How queries for a name fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsTrouble {
    /// SERVFAIL.
    ServerFailure,
    /// REFUSED.
    Refused,
    /// NXDOMAIN, although the name has records.
    NxDomain,
    /// No records, although the name has some.
    Empty,
    /// No response at all.
    Silent,
    /// The response is delayed.
    Slow(Duration),
    /// Over UDP, a truncated response without records.
    Truncated,
}

impl DnsHosts {
    /// Adds a name, or replaces its records.
    pub fn set(&mut self, name: &str, host: DnsHost) {
        self.hosts.insert(normal(name), host);
    }

    /// Removes a name. It no longer exists afterwards.
    pub fn remove(&mut self, name: &str) {
        self.hosts.remove(&normal(name));
    }

    /// A name, for changing it; `None` if it does not exist.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut DnsHost> {
        self.hosts.get_mut(&normal(name))
    }
}

impl DnsHost {
    /// A name with addresses.
    ///
    /// # Panics
    ///
    /// If a text is not an IP address.
    #[expect(clippy::panic, reason = "tests and the demo write these addresses")]
    pub fn addresses<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Self {
        let parse = |text: &str| {
            text.parse()
                .unwrap_or_else(|_| panic!("no address: {text}"))
        };
        Self {
            addresses: addresses.into_iter().map(parse).collect(),
            ..Self::default()
        }
    }

    /// A name with a CNAME record to another name.
    pub fn alias(target: &str) -> Self {
        Self {
            alias: Some(normal(target)),
            ..Self::default()
        }
    }

    /// Sets the time to live of its records, in seconds.
    #[must_use]
    pub fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = Some(seconds);
        self
    }

    /// Limits a response to this many of the addresses, in rotation.
    #[must_use]
    pub fn rotating(mut self, at_once: usize) -> Self {
        self.at_once = Some(at_once);
        self
    }

    /// Makes queries for it fail.
    #[must_use]
    pub fn trouble(mut self, trouble: DnsTrouble) -> Self {
        self.trouble = Some(trouble);
        self
    }

    /// Makes questions of one kind fail.
    #[must_use]
    pub fn trouble_for(mut self, kind: QuestionKind, trouble: DnsTrouble) -> Self {
        self.troubled_kind = Some(kind);
        self.trouble(trouble)
    }

    /// The failure of questions of this kind.
    pub(super) fn trouble_of(&self, kind: QuestionKind) -> Option<DnsTrouble> {
        self.trouble
            .filter(|_| self.troubled_kind.is_none_or(|troubled| troubled == kind))
    }

    pub(super) fn ttl_seconds(&self) -> u32 {
        self.ttl.unwrap_or(TTL)
    }

    /// The addresses of the next response.
    pub(super) fn next_addresses(&mut self, kind: QuestionKind) -> Vec<IpAddr> {
        let of_kind = |ip: &&IpAddr| match kind {
            QuestionKind::A => ip.is_ipv4(),
            QuestionKind::Aaaa => ip.is_ipv6(),
            QuestionKind::Other => false,
        };
        let all: Vec<_> = self.addresses.iter().filter(of_kind).copied().collect();
        let Some(at_once) = self.at_once.filter(|at_once| *at_once < all.len()) else {
            return all;
        };
        let start = self.next % all.len();
        self.next = self.next.wrapping_add(at_once);
        all.iter()
            .cycle()
            .skip(start)
            .take(at_once)
            .copied()
            .collect()
    }
}

pub(super) fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

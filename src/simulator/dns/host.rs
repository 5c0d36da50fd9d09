//! The names that the simulated DNS knows.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::QuestionKind;

/// The time to live of records that do not say otherwise.
const TTL: u32 = 60;

/// Every name, in lower case and without the root dot. A name that is not here does not exist.
#[derive(Debug, Default)]
pub struct DnsHosts {
    hosts: HashMap<String, DnsHost>,
}

/// What a name has, and how questions about it end.
#[derive(Debug, Clone, Default)]
pub struct DnsHost {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) alias: Option<String>,
    pub(super) ttl: Option<u32>,
    /// How many addresses one answer holds; all of them where it is left out.
    pub(super) at_once: Option<usize>,
    /// Where the next answer begins.
    pub(super) next: usize,
    pub(super) trouble: Option<DnsTrouble>,
    /// The kind of question that the trouble is limited to.
    pub(super) troubled_kind: Option<QuestionKind>,
}

/// What goes wrong with the questions about a name.
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
    /// No answer at all.
    Silent,
    /// The answer comes late.
    Slow(Duration),
    /// Over UDP only the truncated head of the answer.
    Truncated,
}

impl DnsHosts {
    /// Adds a name, or replaces what it has.
    pub fn set(&mut self, name: &str, host: DnsHost) {
        self.hosts.insert(normal(name), host);
    }

    /// Takes a name away; it does not exist any more.
    pub fn remove(&mut self, name: &str) {
        self.hosts.remove(&normal(name));
    }

    /// A name that exists, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut DnsHost> {
        self.hosts.get_mut(&normal(name))
    }
}

impl DnsHost {
    /// A name with addresses.
    ///
    /// # Panics
    ///
    /// If a text is no address.
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

    /// A name that is a CNAME of another.
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

    /// Lets an answer hold only some of the addresses, in turns.
    #[must_use]
    pub fn rotating(mut self, at_once: usize) -> Self {
        self.at_once = Some(at_once);
        self
    }

    /// Lets questions about it go wrong.
    #[must_use]
    pub fn trouble(mut self, trouble: DnsTrouble) -> Self {
        self.trouble = Some(trouble);
        self
    }

    /// Lets questions of one kind go wrong.
    #[must_use]
    pub fn trouble_for(mut self, kind: QuestionKind, trouble: DnsTrouble) -> Self {
        self.troubled_kind = Some(kind);
        self.trouble(trouble)
    }

    /// What goes wrong with a question of this kind.
    pub(super) fn trouble_of(&self, kind: QuestionKind) -> Option<DnsTrouble> {
        self.trouble
            .filter(|_| self.troubled_kind.is_none_or(|troubled| troubled == kind))
    }

    pub(super) fn ttl_seconds(&self) -> u32 {
        self.ttl.unwrap_or(TTL)
    }

    /// The addresses of one answer.
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

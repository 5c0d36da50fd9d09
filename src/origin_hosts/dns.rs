//! Resolves hosts by DNS.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::Metrics;
use super::host::{Addresses, Failure, IpKind, Outcome};
use crate::domain::{HostName, OriginIp};

/// The timeout of one attempt of a query.
const TRY: Duration = Duration::from_secs(3);
/// Attempts after the first one.
const RETRIES: usize = 1;
/// The timeout of a whole query: two attempts, and a moment for the second one to report its
/// timeout.
const QUESTION: Duration = Duration::from_millis(6500);
/// The most CNAMEs that are followed in an answer.
const MAX_CHAIN: usize = 16;

/// A resolver of fully qualified names. It uses no search domains, no hosts file and no cache.
#[derive(Clone)]
pub(super) struct Resolver {
    inner: TokioResolver,
}

/// The answer to one query, which is for one kind of address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Ok(Addresses),
    NoRecords(Option<Duration>),
    NxDomain(Option<Duration>),
    Failed(Failure),
}

impl Answer {
    pub(super) const RESULTS: [&'static str; 4] = ["ok", "no_records", "nxdomain", "failed"];

    /// The label value.
    pub(super) fn result(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::NoRecords(_) => "no_records",
            Self::NxDomain(_) => "nxdomain",
            Self::Failed(_) => "failed",
        }
    }

    fn failure(&self) -> Option<Failure> {
        match self {
            Self::Failed(failure) => Some(*failure),
            _ => None,
        }
    }

    fn negative_ttl(&self) -> Option<Duration> {
        match self {
            Self::NoRecords(ttl) | Self::NxDomain(ttl) => *ttl,
            Self::Ok(_) | Self::Failed(_) => None,
        }
    }
}

impl Resolver {
    /// Queries `nameservers`, or the system's if there are none.
    pub(super) fn new(nameservers: &[SocketAddr]) -> Result<Self, NetError> {
        let servers = if nameservers.is_empty() {
            system_name_servers()
        } else {
            nameservers.iter().copied().map(name_server).collect()
        };
        let config = ResolverConfig::from_name_servers(servers);
        let mut options = ResolverOpts::default();
        options.timeout = TRY;
        options.attempts = RETRIES;
        options.cache_size = 0;
        options.num_concurrent_reqs = 1;
        options.use_hosts_file = ResolveHosts::Never;
        options.preserve_intermediates = true;
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Ok(Self {
            inner: builder.with_options(options).build()?,
        })
    }

    /// Resolves a host, with concurrent queries for A and AAAA.
    pub(super) async fn resolve(&self, host: &HostName, metrics: &Metrics) -> Outcome {
        let (v4, v6) = tokio::join!(
            self.ask(host, RecordType::A, metrics),
            self.ask(host, RecordType::AAAA, metrics),
        );
        combine(v4, v6)
    }

    async fn ask(&self, host: &HostName, kind: RecordType, metrics: &Metrics) -> Answer {
        let started = Instant::now();
        // The root dot disables search domains.
        let answer = match Name::from_ascii(format!("{host}.")) {
            Ok(name) => {
                let lookup = self.inner.lookup(name.clone(), kind);
                let result = timeout(QUESTION, lookup).await;
                read(&name, result.unwrap_or(Err(NetError::Timeout)))
            }
            Err(error) => Err(error.into()),
        };
        let answer = answer.unwrap_or_else(|error| {
            debug!(%host, %kind, %error, "DNS question failed");
            Answer::Failed(failure(&error))
        });
        metrics.observe(&answer, started.elapsed());
        answer
    }
}

/// The name servers of resolv.conf, or this host if there are none, like the C library.
fn system_name_servers() -> Vec<NameServerConfig> {
    match hickory_resolver::system_conf::read_system_conf() {
        Ok((config, _)) => config.name_servers,
        Err(error) => {
            warn!(%error, "system name servers are not known, asking 127.0.0.1");
            vec![name_server((Ipv4Addr::LOCALHOST, 53).into())]
        }
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    NameServerConfig::new(address.ip(), true, connections.map(at_port).into())
}

fn read(name: &Name, result: Result<Lookup, NetError>) -> Result<Answer, NetError> {
    match result {
        Ok(lookup) => Ok(addresses(name, &lookup)),
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
            let ttl = none.negative_ttl.map(|ttl| Duration::from_secs(ttl.into()));
            match none.response_code {
                ResponseCode::NXDomain => Ok(Answer::NxDomain(ttl)),
                ResponseCode::NoError => Ok(Answer::NoRecords(ttl)),
                _ => Err(NetError::Dns(DnsError::NoRecordsFound(none))),
            }
        }
        Err(error) => Err(error),
    }
}

fn failure(error: &NetError) -> Failure {
    match error {
        NetError::Timeout => Failure::Timeout,
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => Failure::ServerFailure,
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => Failure::Refused,
        _ => Failure::Other,
    }
}

/// The addresses of a name in an answer, following the CNAMEs in the answer. Other records are
/// ignored.
fn addresses(name: &Name, lookup: &Lookup) -> Answer {
    let records = lookup.answers();
    let mut current = name;
    let mut names = vec![name];
    let mut chain = Vec::new();
    let mut ttl = u32::MAX;
    while let Some((target, record)) = records.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == *current => Some((&target.0, record)),
        _ => None,
    }) {
        if names.contains(&target) || names.len() > MAX_CHAIN {
            break;
        }
        ttl = ttl.min(record.ttl);
        chain.extend(HostName::parse(&target.to_ascii()));
        names.push(target);
        current = target;
    }
    let mut ips = Vec::new();
    for record in records.iter().filter(|record| record.name == *current) {
        let ip: IpAddr = match record.data {
            RData::A(a) => a.0.into(),
            RData::AAAA(aaaa) => aaaa.0.into(),
            _ => continue,
        };
        ips.push(OriginIp::from(ip));
        ttl = ttl.min(record.ttl);
    }
    if ips.is_empty() {
        Answer::NoRecords(None)
    } else {
        Answer::Ok(Addresses {
            ips,
            chain,
            ttl: Duration::from_secs(ttl.into()),
            unanswered: None,
        })
    }
}

/// Combines the answers to a host's two queries. NXDOMAIN for one kind of address holds for both,
/// unless the other query found addresses.
fn combine(v4: Answer, v6: Answer) -> Outcome {
    match (v4, v6) {
        (Answer::Ok(v4), Answer::Ok(v6)) => Outcome::Addresses(Addresses {
            ips: [v4.ips, v6.ips].concat(),
            ttl: v4.ttl.min(v6.ttl),
            ..v4
        }),
        (Answer::Ok(v4), v6) => Outcome::Addresses(Addresses {
            unanswered: v6.failure().map(|failure| (IpKind::V6, failure)),
            ..v4
        }),
        (v4, Answer::Ok(v6)) => Outcome::Addresses(Addresses {
            unanswered: v4.failure().map(|failure| (IpKind::V4, failure)),
            ..v6
        }),
        (Answer::NxDomain(ttl), other) | (other, Answer::NxDomain(ttl)) => Outcome::None {
            ttl: ttl.or(other.negative_ttl()),
        },
        (Answer::NoRecords(a), Answer::NoRecords(b)) => Outcome::None {
            ttl: a.into_iter().chain(b).min(),
        },
        (Answer::Failed(failure), _) | (_, Answer::Failed(failure)) => Outcome::Failed(failure),
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::Query;
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::{A, CNAME};

    use super::*;

    fn ok(ip: &str, ttl: u64) -> Answer {
        Answer::Ok(Addresses {
            ips: vec![OriginIp::parse(ip).unwrap()],
            chain: Vec::new(),
            ttl: Duration::from_secs(ttl),
            unanswered: None,
        })
    }

    fn found(ips: &[&str], ttl: u64, unanswered: Option<(IpKind, Failure)>) -> Outcome {
        Outcome::Addresses(Addresses {
            ips: ips.iter().map(|ip| OriginIp::parse(ip).unwrap()).collect(),
            chain: Vec::new(),
            ttl: Duration::from_secs(ttl),
            unanswered,
        })
    }

    #[test]
    fn two_questions_make_one_outcome() {
        let seconds = |s| Some(Duration::from_secs(s));
        let none = |ttl| Outcome::None { ttl };
        let (v4, v6) = ("192.0.2.1", "2001:db8::1");
        for (a, aaaa, outcome) in [
            (ok(v4, 60), ok(v6, 30), found(&[v4, v6], 30, None)),
            (
                ok(v4, 60),
                Answer::NoRecords(seconds(5)),
                found(&[v4], 60, None),
            ),
            (
                ok(v4, 60),
                Answer::Failed(Failure::Timeout),
                found(&[v4], 60, Some((IpKind::V6, Failure::Timeout))),
            ),
            (Answer::NoRecords(None), ok(v6, 60), found(&[v6], 60, None)),
            (
                Answer::Failed(Failure::Timeout),
                ok(v6, 60),
                found(&[v6], 60, Some((IpKind::V4, Failure::Timeout))),
            ),
            (
                Answer::NxDomain(seconds(9)),
                ok(v6, 60),
                found(&[v6], 60, None),
            ),
            (
                Answer::NxDomain(seconds(9)),
                Answer::NxDomain(None),
                none(seconds(9)),
            ),
            (
                Answer::NxDomain(seconds(9)),
                Answer::Failed(Failure::Timeout),
                none(seconds(9)),
            ),
            (
                Answer::NoRecords(seconds(9)),
                Answer::NoRecords(seconds(5)),
                none(seconds(5)),
            ),
            (Answer::NoRecords(None), Answer::NoRecords(None), none(None)),
            (
                Answer::NoRecords(None),
                Answer::Failed(Failure::Timeout),
                Outcome::Failed(Failure::Timeout),
            ),
            (
                Answer::Failed(Failure::Timeout),
                Answer::Failed(Failure::Timeout),
                Outcome::Failed(Failure::Timeout),
            ),
        ] {
            let asked = format!("{a:?} {aaaa:?}");
            assert_eq!(combine(a, aaaa), outcome, "{asked}");
        }
    }

    #[test]
    fn an_answer_is_followed_along_its_chain_and_what_else_it_holds_is_left_out() {
        let name = |text: &str| Name::from_ascii(text).unwrap();
        let cname = |from: &str, to: &str| {
            Record::from_rdata(name(from), 300, RData::CNAME(CNAME(name(to))))
        };
        let a = |at: &str, ttl, last| {
            Record::from_rdata(name(at), ttl, RData::A(A::new(192, 0, 2, last)))
        };
        let lookup = |records: Vec<Record>| {
            let query = Query::query(name("www.example."), RecordType::A);
            Lookup::new_with_max_ttl(query, records)
        };
        let records = vec![
            a("end.example.", 60, 1),
            cname("www.example.", "Mid.example."),
            a("end.example.", 50, 2),
            cname("mid.example.", "end.example."),
            a("other.example.", 1, 3),
        ];
        assert_eq!(
            addresses(&name("www.example."), &lookup(records)),
            Answer::Ok(Addresses {
                ips: ["192.0.2.1", "192.0.2.2"]
                    .map(|ip| OriginIp::parse(ip).unwrap())
                    .into(),
                chain: ["mid.example", "end.example"]
                    .map(|n| HostName::parse(n).unwrap())
                    .into(),
                ttl: Duration::from_secs(50),
                unanswered: None,
            })
        );
        let looped = vec![
            cname("www.example.", "mid.example."),
            cname("mid.example.", "www.example."),
        ];
        assert_eq!(
            addresses(&name("www.example."), &lookup(looped)),
            Answer::NoRecords(None)
        );
    }
}

//! Responses to queries.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::host::{DnsHosts, DnsTrouble, normal};

/// The maximum number of CNAMEs to follow.
const MAX_ALIASES: usize = 16;
/// The lifetime of a negative response, in seconds.
const NEGATIVE_TTL: u32 = 30;

/// The record type that a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionKind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Any other type. There are no such records.
    Other,
}

/// The question of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The name, in lower case and without the root dot.
    pub name: String,
    /// The record type.
    pub kind: QuestionKind,
}

/// How to respond to a question.
#[derive(Debug)]
pub(super) enum Reply {
    Silence,
    Message {
        message: Box<Message>,
        after: Duration,
        /// Whether the message is truncated over UDP: sent without records.
        truncated: bool,
    },
}

/// The question of a query; `None` if there is none.
pub(super) fn question(query: &Message) -> Option<Question> {
    if query.metadata.message_type != MessageType::Query {
        return None;
    }
    let asked = query.queries.first()?;
    Some(Question {
        name: normal(&asked.name().to_ascii()),
        kind: match asked.query_type() {
            RecordType::A => QuestionKind::A,
            RecordType::AAAA => QuestionKind::Aaaa,
            _ => QuestionKind::Other,
        },
    })
}

/// Responds to a query that has a question.
pub(super) fn answer(hosts: &mut DnsHosts, query: &Message, question: &Question) -> Reply {
    let mut response = Message::response(query.metadata.id, OpCode::Query);
    response.metadata.recursion_desired = query.metadata.recursion_desired;
    response.metadata.recursion_available = true;
    response.add_queries(query.queries.iter().cloned());
    if query.metadata.op_code != OpCode::Query {
        response.metadata.response_code = ResponseCode::NotImp;
        return now(response);
    }
    let asked = query.queries.first().map(Query::name).cloned();
    let mut owner = asked.unwrap_or_default();
    let mut after = Duration::ZERO;
    let mut truncated = false;
    for _ in 0..=MAX_ALIASES {
        let Some(host) = hosts.get_mut(&owner.to_ascii()) else {
            return now(negative(response, ResponseCode::NXDomain));
        };
        match host.trouble_of(question.kind) {
            Some(DnsTrouble::ServerFailure) => {
                return now(failed(response, ResponseCode::ServFail));
            }
            Some(DnsTrouble::Refused) => return now(failed(response, ResponseCode::Refused)),
            Some(DnsTrouble::NxDomain) => return now(negative(response, ResponseCode::NXDomain)),
            Some(DnsTrouble::Empty) => return now(negative(response, ResponseCode::NoError)),
            Some(DnsTrouble::Silent) => return Reply::Silence,
            Some(DnsTrouble::Slow(late)) => after = late,
            Some(DnsTrouble::Truncated) => truncated = true,
            None => {}
        }
        let ttl = host.ttl_seconds();
        if let Some(target) = host.alias.as_ref().and_then(|name| full_name(name)) {
            let data = RData::CNAME(CNAME(target.clone()));
            response.add_answer(Record::from_rdata(owner, ttl, data));
            owner = target;
            continue;
        }
        let ips = host.next_addresses(question.kind);
        if ips.is_empty() {
            response = negative(response, ResponseCode::NoError);
        }
        for ip in ips {
            let data = match ip {
                IpAddr::V4(ip) => RData::A(A(ip)),
                IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
            };
            response.add_answer(Record::from_rdata(owner.clone(), ttl, data));
        }
        return Reply::Message {
            message: Box::new(response),
            after,
            truncated,
        };
    }
    // A loop, reported as resolvers do.
    now(failed(response, ResponseCode::ServFail))
}

fn now(message: Message) -> Reply {
    Reply::Message {
        message: Box::new(message),
        after: Duration::ZERO,
        truncated: false,
    }
}

fn failed(mut response: Message, code: ResponseCode) -> Message {
    response.answers.clear();
    response.metadata.response_code = code;
    response
}

/// A negative response, with the SOA record that gives its lifetime.
fn negative(mut response: Message, code: ResponseCode) -> Message {
    response.metadata.response_code = code;
    if let Some(server) = full_name("ns.example") {
        let soa = SOA::new(server.clone(), server, 1, 3600, 600, 86_400, NEGATIVE_TTL);
        let record = Record::from_rdata(Name::root(), NEGATIVE_TTL, RData::SOA(soa));
        response.add_authority(record);
    }
    response
}

fn full_name(name: &str) -> Option<Name> {
    Name::from_ascii(format!("{name}.")).ok()
}

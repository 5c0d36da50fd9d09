//! A name server for the demo and the tests: a resolver that knows every name there is.
//!
//! It answers as a recursive resolver does, with the whole CNAME chain, over UDP and TCP. A
//! [`DnsHost`] may rotate its addresses, or fail in the ways that real ones do.

mod answer;
mod host;
mod server;

pub use answer::{Question, QuestionKind};
pub use host::{DnsHost, DnsHosts, DnsTrouble};
pub use server::{NameServer, RecordedQuestion, Transport};

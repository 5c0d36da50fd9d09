//! A name server for the demo and the tests.
//!
//! It responds like a recursive resolver, with the whole CNAME chain, over UDP and TCP. A
//! [`DnsHost`] can rotate its addresses, or fail in the ways that real ones do.

mod answer;
mod host;
mod server;

pub use answer::{Question, QuestionKind};
pub use host::{DnsHost, DnsHosts, DnsTrouble};
pub use server::{NameServer, RecordedQuestion, Transport};

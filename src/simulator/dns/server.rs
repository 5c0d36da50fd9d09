//! Serves the names over UDP and TCP.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::answer::{self, Question, Reply};
use super::host::DnsHosts;

/// The number of questions to remember. The oldest are forgotten first.
const REMEMBERED_QUESTIONS: usize = 100_000;
/// The largest UDP query, in bytes.
const DATAGRAM: usize = 4096;
/// The maximum number of delayed responses and TCP connections at once. More are dropped.
const AT_ONCE: usize = 1024;
/// The idle timeout of a TCP connection.
const IDLE: Duration = Duration::from_secs(10);
/// The number of ports to try until one is free for both UDP and TCP.
const PORTS: usize = 20;
/// The pause after a failed accept, to avoid a busy loop while file descriptors are exhausted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running name server. Clones are handles of the same one.
#[derive(Clone)]
pub struct NameServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    room: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    hosts: DnsHosts,
    questions: VecDeque<RecordedQuestion>,
}

/// How a question was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

/// A received question.
#[derive(Debug, Clone)]
pub struct RecordedQuestion {
    /// When it was received.
    pub at: Instant,
    /// The question.
    pub question: Question,
    /// How it was sent.
    pub transport: Transport,
}

impl NameServer {
    /// Serves names on a free port of this host until the shutdown. Fails if no port is free.
    pub async fn local(hosts: DnsHosts, shutdown: CancellationToken) -> io::Result<Self> {
        let (udp, tcp) = bind().await?;
        let server = Self {
            address: udp.local_addr()?,
            state: Arc::new(Mutex::new(State {
                hosts,
                questions: VecDeque::new(),
            })),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        };
        let token = shutdown.clone();
        tokio::spawn(token.run_until_cancelled_owned(server.clone().serve_udp(udp)));
        tokio::spawn(server.clone().serve_tcp(tcp, shutdown));
        Ok(server)
    }

    /// The address, which is the same for UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the names atomically.
    pub fn update<T>(&self, change: impl FnOnce(&mut DnsHosts) -> T) -> T {
        change(&mut self.state().hosts)
    }

    /// The questions so far, at most the latest 100,000.
    pub fn questions(&self) -> Vec<RecordedQuestion> {
        self.state().questions.iter().cloned().collect()
    }

    /// The number of remembered questions about a name.
    pub fn count(&self, name: &str) -> usize {
        let state = self.state();
        let asked = state.questions.iter();
        asked.filter(|asked| asked.question.name == name).count()
    }

    async fn serve_udp(self, socket: UdpSocket) {
        let socket = Arc::new(socket);
        let mut buffer = [0; DATAGRAM];
        loop {
            // The error concerns a client that is gone.
            let Ok((size, client)) = socket.recv_from(&mut buffer).await else {
                continue;
            };
            let Some(query) = buffer
                .get(..size)
                .and_then(|bytes| Message::from_vec(bytes).ok())
            else {
                continue;
            };
            let Reply::Message {
                message,
                after,
                truncated,
            } = self.answer(&query, Transport::Udp)
            else {
                continue;
            };
            let Some(bytes) = datagram(&message, truncated, query.max_payload()) else {
                continue;
            };
            if after.is_zero() {
                drop(socket.send_to(&bytes, client).await);
            } else if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
                let socket = Arc::clone(&socket);
                tokio::spawn(async move {
                    sleep(after).await;
                    drop(socket.send_to(&bytes, client).await);
                    drop(room);
                });
            }
        }
    }

    async fn serve_tcp(self, listener: TcpListener, shutdown: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.cancelled() => return,
            };
            let Ok((stream, _)) = accepted else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
                let server = self.clone();
                let connection = async move {
                    // The client may have closed the connection; that is not an error.
                    drop(server.serve_connection(stream).await);
                    drop(room);
                };
                tokio::spawn(shutdown.clone().run_until_cancelled_owned(connection));
            }
        }
    }

    async fn serve_connection(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let length = timeout(IDLE, stream.read_u16()).await??;
            let mut bytes = vec![0; length.into()];
            timeout(IDLE, stream.read_exact(&mut bytes)).await??;
            let query = Message::from_vec(&bytes).map_err(io::Error::other)?;
            if let Reply::Message { message, after, .. } = self.answer(&query, Transport::Tcp) {
                sleep(after).await;
                let bytes = message.to_vec().map_err(io::Error::other)?;
                let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
                stream.write_u16(length).await?;
                stream.write_all(&bytes).await?;
            }
        }
    }

    fn answer(&self, query: &Message, transport: Transport) -> Reply {
        let Some(question) = answer::question(query) else {
            return Reply::Silence;
        };
        let mut state = self.state();
        let reply = answer::answer(&mut state.hosts, query, &question);
        if state.questions.len() == REMEMBERED_QUESTIONS {
            state.questions.pop_front();
        }
        state.questions.push_back(RecordedQuestion {
            at: Instant::now(),
            question,
            transport,
        });
        reply
    }

    /// Ignores poisoning: a test that panics while it holds the lock must not hide its own message.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Binds one port for both protocols.
async fn bind() -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = io::Error::other("no port is free for both UDP and TCP");
    for _ in 0..PORTS {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The bytes of a message for UDP, truncated if requested or if it is too long.
fn datagram(message: &Message, truncated: bool, limit: u16) -> Option<Vec<u8>> {
    let bytes = message.to_vec().ok()?;
    if truncated || bytes.len() > usize::from(limit) {
        message.truncate().to_vec().ok()
    } else {
        Some(bytes)
    }
}

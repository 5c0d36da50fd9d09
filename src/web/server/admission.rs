//! Decides which connections stay open, and which are closed to make room.
//!
//! Anyone can open connections and send nothing, or send requests and not read. If new connections
//! had to wait for these, a few hundred would lock out every scraper. So nothing waits: a new
//! connection takes a free place, or replaces a connection that can be closed (see [`Spare`](super::activity::Spare)),
//! from the peer with the most. If all are busy, it gets one of a few reserved places, which serve
//! only health checks.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::peer::Peer;
use crate::panics::lock;

/// Places beyond the limit, for health checks when all others are taken.
pub(super) const RESERVED: usize = 16;
/// A peer may use the limit divided by this, so that no single peer takes all places.
const PEER_SHARE: usize = 2;
/// How long to wait for a closed connection to release its descriptor. It takes microseconds.
const CUT_TIMEOUT: Duration = Duration::from_millis(100);

/// The open connections on all listeners.
#[derive(Debug)]
pub(super) struct Admission {
    limit: usize,
    /// Connections that still hold a descriptor, including closed ones.
    descriptors: Arc<Semaphore>,
    /// Oldest first.
    open: Mutex<Vec<Arc<Connection>>>,
}

/// A connection that has a place.
#[derive(Debug)]
pub(in crate::web) struct Connection {
    pub(super) address: SocketAddr,
    pub(in crate::web) peer: Peer,
    /// Whether it serves only health checks.
    pub(in crate::web) reserved: bool,
    pub(super) activity: Arc<Activity>,
}

/// The place of a connection, which is freed on drop.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) connection: Arc<Connection>,
    admission: Arc<Admission>,
    descriptor: Option<OwnedSemaphorePermit>,
}

impl Admission {
    /// Room for `limit` connections, plus [`RESERVED`].
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            descriptors: Arc::new(Semaphore::new(limit + RESERVED)),
            open: Mutex::default(),
        })
    }

    /// Finds a place for a new connection, which must end when `cut` is cancelled. `None` if no
    /// connection can be closed and the reserved places are taken.
    pub(super) async fn admit(
        self: &Arc<Self>,
        address: SocketAddr,
        cut: CancellationToken,
    ) -> Option<Place> {
        let mut place = Place {
            connection: self.enter(address, cut)?,
            admission: Arc::clone(self),
            descriptor: None,
        };
        let descriptor = Arc::clone(&self.descriptors).acquire_owned();
        place.descriptor = Some(timeout(CUT_TIMEOUT, descriptor).await.ok()?.ok()?);
        Some(place)
    }

    fn enter(&self, address: SocketAddr, cut: CancellationToken) -> Option<Arc<Connection>> {
        let peer = Peer::from(address.ip());
        let mut open = lock(&self.open);
        let is_regular = |connection: &Connection| !connection.reserved;
        let is_own = |connection: &Connection| !connection.reserved && connection.peer == peer;
        let regular = open.iter().filter(|other| is_regular(other)).count();
        let own = open.iter().filter(|other| is_own(other)).count();
        let reserved = open.len() - regular;
        let has_room = if own >= (self.limit / PEER_SHARE).max(1) {
            cut_one(&mut open, is_own)
        } else {
            regular < self.limit || cut_one(&mut open, is_regular)
        };
        if !has_room && reserved >= RESERVED && !cut_one(&mut open, |other| other.reserved) {
            return None;
        }
        let connection = Arc::new(Connection {
            address,
            peer,
            reserved: !has_room,
            activity: Activity::new(cut),
        });
        open.push(Arc::clone(&connection));
        Some(connection)
    }

    /// Closes the most expendable connection. Returns whether there was one.
    pub(super) fn cut_one(&self) -> bool {
        cut_one(&mut lock(&self.open), |_| true)
    }
}

/// Closes a connection of the first kind in the order of `Spare`. Within a kind it takes the peer
/// with the most connections, and of these the one longest in this state, or else the oldest.
fn cut_one(open: &mut Vec<Arc<Connection>>, among: impl Fn(&Connection) -> bool) -> bool {
    let mut of_peer = HashMap::<_, usize>::new();
    for connection in open.iter().filter(|connection| !connection.reserved) {
        *of_peer.entry(connection.peer).or_default() += 1;
    }
    let candidates = open.iter().enumerate().filter(|(_, other)| among(other));
    let spare = candidates.filter_map(|(index, connection)| {
        let (kind, time) = connection.activity.spare()?;
        let of_peer = of_peer.get(&connection.peer);
        Some((kind, Reverse(of_peer), Reverse(time), index))
    });
    let Some((.., index)) = spare.min() else {
        return false;
    };
    open.remove(index).activity.cut();
    true
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.admission.open).retain(|other| !Arc::ptr_eq(other, &self.connection));
    }
}

#[cfg(test)]
mod tests {
    use super::super::activity::InFlight;
    use super::*;

    struct Client {
        place: Place,
        cut: CancellationToken,
        busy: Option<Arc<InFlight>>,
    }

    /// A connection from the peer `192.0.2.{peer}`.
    async fn open(admission: &Arc<Admission>, peer: u8) -> Option<Client> {
        let address = SocketAddr::from(([192, 0, 2, peer], 0));
        let cut = CancellationToken::new();
        let place = admission.admit(address, cut.clone()).await?;
        Some(Client {
            place,
            cut,
            busy: None,
        })
    }

    impl Client {
        fn busy(mut self) -> Self {
            self.busy = Some(self.place.connection.activity.begin());
            self
        }

        fn is_cut(&self) -> bool {
            self.cut.is_cancelled()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_silent_one_that_has_waited_longest_makes_room() {
        let admission = Admission::new(4);
        let speaking = open(&admission, 1).await.unwrap();
        speaking.place.connection.activity.mark_received();
        let first = open(&admission, 1).await.unwrap();
        let second = open(&admission, 2).await.unwrap();
        let third = open(&admission, 2).await.unwrap();
        let fourth = open(&admission, 3).await;
        assert!(fourth.is_some() && first.is_cut());
        assert!(![speaking, second, third].iter().any(Client::is_cut));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_with_its_share_replaces_its_own_and_leaves_the_rest() {
        let admission = Admission::new(8);
        let other = open(&admission, 2).await.unwrap();
        let mut storm = Vec::new();
        for _ in 0..20 {
            storm.push(open(&admission, 1).await.unwrap());
        }
        assert!(!other.is_cut());
        assert_eq!(storm.iter().filter(|client| client.is_cut()).count(), 16);
        assert!(!storm.last().unwrap().is_cut());
    }

    #[tokio::test(start_paused = true)]
    async fn busy_connections_stay_and_the_next_get_reserved_places() {
        let admission = Admission::new(2);
        let one = open(&admission, 1).await.unwrap().busy();
        let two = open(&admission, 2).await.unwrap().busy();
        let mut spare = Vec::new();
        for _ in 0..RESERVED {
            let client = open(&admission, 3).await.unwrap().busy();
            assert!(client.place.connection.reserved);
            spare.push(client);
        }
        assert!(open(&admission, 4).await.is_none());
        assert!(!one.is_cut() && !two.is_cut());
        drop(one);
        let next = open(&admission, 4).await.unwrap();
        assert!(!next.place.connection.reserved);
        drop(spare);
        assert!(open(&admission, 4).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_makes_room_first() {
        let admission = Admission::new(2);
        let silent = open(&admission, 1).await.unwrap();
        let stalled = open(&admission, 2).await.unwrap().busy();
        stalled.busy.as_ref().unwrap().send(Duration::MAX);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(open(&admission, 3).await.is_some());
        assert!(stalled.is_cut() && !silent.is_cut());
    }

    #[tokio::test]
    async fn a_connection_that_ended_leaves_nothing_behind() {
        let admission = Admission::new(1);
        drop(open(&admission, 1).await.unwrap().busy());
        assert!(admission.open.lock().unwrap().is_empty());
        assert_eq!(admission.descriptors.available_permits(), 1 + RESERVED);
    }
}

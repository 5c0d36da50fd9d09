//! Decides which connections stay open, and which are closed to make room.
//!
//! Anyone can open connections and send nothing, or send requests and not read. If new connections
//! had to wait for these, a few hundred would lock out every scraper. So nothing waits: a new
//! connection takes a free place, or replaces a connection that can be closed (see [`Spare`](super::activity::Spare)),
//! from the peer with the most. If all are busy, it gets one of a few reserved places, which serve
//! only health checks.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
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
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next_id: u64,
    connections: HashMap<u64, Connection>,
    by_peer: HashMap<Peer, usize>,
    reserved: usize,
}

#[derive(Debug)]
struct Connection {
    peer: Peer,
    reserved: bool,
    activity: Arc<Activity>,
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
        address: IpAddr,
        cut: CancellationToken,
    ) -> Option<Place> {
        let peer = Peer::from(address);
        let activity = Activity::new(cut);
        let (id, reserved) = self.enter(peer, &activity)?;
        let entry = Entry {
            admission: Arc::clone(self),
            id,
        };
        let descriptor = Arc::clone(&self.descriptors).acquire_owned();
        Some(Place {
            activity,
            reserved,
            _descriptor: timeout(CUT_TIMEOUT, descriptor).await.ok()?.ok()?,
            _entry: entry,
        })
    }

    fn enter(&self, peer: Peer, activity: &Arc<Activity>) -> Option<(u64, bool)> {
        let mut open = lock(&self.open);
        let of_peer = open.by_peer.get(&peer).copied().unwrap_or(0);
        let has_room = if of_peer >= (self.limit / PEER_SHARE).max(1) {
            open.cut_one(|connection| !connection.reserved && connection.peer == peer)
        } else {
            let regular = open.connections.len() - open.reserved;
            regular < self.limit || open.cut_one(|connection| !connection.reserved)
        };
        let reserved = !has_room;
        if reserved && open.reserved >= RESERVED && !open.cut_one(|other| other.reserved) {
            return None;
        }
        Some((open.insert(peer, reserved, Arc::clone(activity)), reserved))
    }

    /// Closes the most expendable connection. Returns whether there was one.
    pub(super) fn cut_one(&self) -> bool {
        lock(&self.open).cut_one(|_| true)
    }
}

impl Open {
    /// Closes a connection of the first kind in the order of `Spare`. Within a kind it takes
    /// the peer with the most connections, and of these the one longest in this state.
    fn cut_one(&mut self, among: impl Fn(&Connection) -> bool) -> bool {
        let spare = self
            .connections
            .iter()
            .filter(|(_, connection)| among(connection))
            .filter_map(|(&id, connection)| {
                let (kind, time) = connection.activity.spare()?;
                let of_peer = self.by_peer.get(&connection.peer).copied().unwrap_or(0);
                // The identifier decides between equal times: the oldest goes first.
                Some(((kind, Reverse(of_peer), Reverse(time), id), id))
            })
            .min();
        if let Some((_, id)) = spare
            && let Some(connection) = self.remove(id)
        {
            connection.activity.cut();
            return true;
        }
        false
    }

    fn insert(&mut self, peer: Peer, reserved: bool, activity: Arc<Activity>) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        if reserved {
            self.reserved += 1;
        } else {
            *self.by_peer.entry(peer).or_default() += 1;
        }
        let connection = Connection {
            peer,
            reserved,
            activity,
        };
        self.connections.insert(id, connection);
        id
    }

    fn remove(&mut self, id: u64) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        if connection.reserved {
            self.reserved -= 1;
        } else if let Some(count) = self.by_peer.get_mut(&connection.peer) {
            *count -= 1;
            if *count == 0 {
                self.by_peer.remove(&connection.peer);
            }
        }
        Some(connection)
    }
}

/// The place of a connection, which is freed on drop.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) activity: Arc<Activity>,
    /// Whether it serves only health checks.
    pub(super) reserved: bool,
    _descriptor: OwnedSemaphorePermit,
    _entry: Entry,
}

#[derive(Debug)]
struct Entry {
    admission: Arc<Admission>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.admission.open).remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::activity::Busy;
    use super::*;

    struct Client {
        place: Place,
        cut: CancellationToken,
        busy: Option<Busy>,
    }

    /// A connection from the peer `192.0.2.{peer}`.
    async fn open(admission: &Arc<Admission>, peer: u8) -> Option<Client> {
        let address = Ipv4Addr::new(192, 0, 2, peer).into();
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
            self.busy = Some(self.place.activity.busy());
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
        speaking.place.activity.mark_received();
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
            assert!(client.place.reserved);
            spare.push(client);
        }
        assert!(open(&admission, 4).await.is_none());
        assert!(!one.is_cut() && !two.is_cut());
        drop(one);
        let next = open(&admission, 4).await.unwrap();
        assert!(!next.place.reserved);
        drop(spare);
        assert!(open(&admission, 4).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_makes_room_first() {
        let admission = Admission::new(2);
        let silent = open(&admission, 1).await.unwrap();
        let stalled = open(&admission, 2).await.unwrap().busy();
        stalled.place.activity.set_blocked(true);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(open(&admission, 3).await.is_some());
        assert!(stalled.is_cut() && !silent.is_cut());
    }

    #[tokio::test]
    async fn a_connection_that_ended_leaves_nothing_behind() {
        let admission = Admission::new(1);
        drop(open(&admission, 1).await.unwrap().busy());
        let open = admission.open.lock().unwrap();
        assert!(open.connections.is_empty() && open.by_peer.is_empty());
        assert_eq!(admission.descriptors.available_permits(), 1 + RESERVED);
    }
}

//! A few workers that many peers wait for, each of them served in turn.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::web::server::Peer;

/// Clones share the workers.
#[derive(Debug, Clone)]
pub(super) struct FairQueue {
    state: Arc<Mutex<State>>,
    most_waiting: usize,
    most_of_peer: usize,
}

#[derive(Debug)]
struct State {
    idle_workers: usize,
    waiting: usize,
    by_peer: HashMap<Peer, VecDeque<oneshot::Sender<Turn>>>,
    /// The peers with somebody waiting, the next one first.
    turns: VecDeque<Peer>,
}

/// A worker's time. Dropping it passes the worker on.
#[derive(Debug)]
pub(super) struct Turn(FairQueue);

impl FairQueue {
    /// `most_waiting` may wait at once, and `most_of_peer` of them for one peer.
    pub(super) fn new(workers: usize, most_waiting: usize, most_of_peer: usize) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                idle_workers: workers,
                waiting: 0,
                by_peer: HashMap::new(),
                turns: VecDeque::new(),
            })),
            most_waiting,
            most_of_peer,
        }
    }

    /// Waits for the peer's turn. `None` if too many are waiting, then or later.
    pub(super) async fn turn(&self, peer: Peer) -> Option<Turn> {
        let turn = {
            let mut state = self.state();
            if state.idle_workers > 0 {
                state.idle_workers -= 1;
                return Some(Turn(self.clone()));
            }
            if !state.has_room(peer, self.most_waiting, self.most_of_peer) {
                return None;
            }
            state.wait(peer)
        };
        turn.await.ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// If all are waiting, the peer with the most of them loses its last one.
    fn has_room(&mut self, peer: Peer, most_waiting: usize, most_of_peer: usize) -> bool {
        let of_peer = self.by_peer.get(&peer).map_or(0, VecDeque::len);
        if of_peer >= most_of_peer {
            return false;
        }
        if self.waiting < most_waiting {
            return true;
        }
        let largest = self
            .by_peer
            .values_mut()
            .max_by_key(|waiting| waiting.len());
        let Some(largest) = largest.filter(|waiting| waiting.len() > of_peer + 1) else {
            return false;
        };
        largest.pop_back();
        self.waiting -= 1;
        true
    }

    fn wait(&mut self, peer: Peer) -> oneshot::Receiver<Turn> {
        let (sender, receiver) = oneshot::channel();
        let waiting = self.by_peer.entry(peer).or_default();
        if waiting.is_empty() {
            self.turns.push_back(peer);
        }
        waiting.push_back(sender);
        self.waiting += 1;
        receiver
    }

    /// The next one, whose peer then goes to the end of the line.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let peer = self.turns.pop_front()?;
        let waiting = self.by_peer.get_mut(&peer)?;
        let next = waiting.pop_front()?;
        self.waiting -= 1;
        if waiting.is_empty() {
            self.by_peer.remove(&peer);
        } else {
            self.turns.push_back(peer);
        }
        Some(next)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.state();
            let next = state.next();
            if next.is_none() {
                state.idle_workers += 1;
            }
            next
        };
        if let Some(next) = next {
            // Where nobody waits any more the turn comes back, and its drop passes it on.
            drop(next.send(Self(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use tokio::task::{JoinHandle, yield_now};

    use super::*;

    fn peer(last: u8) -> Peer {
        IpAddr::from(Ipv4Addr::new(192, 0, 2, last)).into()
    }

    async fn wait(queue: &FairQueue, last: u8) -> JoinHandle<Option<Turn>> {
        let queue = queue.clone();
        let waiting = tokio::spawn(async move { queue.turn(peer(last)).await });
        yield_now().await;
        waiting
    }

    #[tokio::test]
    async fn peers_take_turns_however_many_wait_for_one() {
        let queue = FairQueue::new(1, 100, 50);
        let working = queue.turn(peer(1)).await.unwrap();
        let mut crowd = Vec::new();
        for _ in 0..10 {
            crowd.push(wait(&queue, 1).await);
        }
        let other = wait(&queue, 2).await;
        drop(working);
        let first = crowd.remove(0).await.unwrap().unwrap();
        assert!(!other.is_finished());
        drop(first);
        assert!(other.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_full_queue_has_room_for_another_peer() {
        let queue = FairQueue::new(1, 4, 4);
        let working = queue.turn(peer(1)).await.unwrap();
        let mut crowd = Vec::new();
        for _ in 0..4 {
            crowd.push(wait(&queue, 1).await);
        }
        assert!(queue.turn(peer(1)).await.is_none());
        let other = wait(&queue, 2).await;
        let last = crowd.pop().unwrap();
        assert!(last.await.unwrap().is_none(), "the last one made room");
        drop(working);
        assert!(crowd.remove(0).await.unwrap().is_some());
        assert!(other.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_turn_of_somebody_who_left_goes_to_the_next() {
        let queue = FairQueue::new(1, 100, 50);
        let working = queue.turn(peer(1)).await.unwrap();
        let mut gone = Vec::new();
        for _ in 0..50 {
            gone.push(wait(&queue, 1).await);
        }
        let staying = wait(&queue, 2).await;
        for task in gone {
            task.abort();
            let _ = task.await;
        }
        drop(working);
        drop(staying.await.unwrap().unwrap());
        let state = queue.state();
        assert_eq!((state.idle_workers, state.waiting), (1, 0));
        assert!(state.by_peer.is_empty() && state.turns.is_empty());
    }
}

//! A small pool of workers that serves waiting peers in turn.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use indexmap::IndexMap;
use tokio::sync::oneshot;

use crate::panics::lock;
use crate::web::server::Peer;

/// A handle to the queue. Clones share the workers.
#[derive(Debug, Clone)]
pub(super) struct FairQueue(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    idle_workers: usize,
    max_waiting: usize,
    max_of_peer: usize,
    /// The waiting requests of each peer. The next peer, and its next request, come first.
    waiting: IndexMap<Peer, VecDeque<(Attempt, oneshot::Sender<Turn>)>>,
}

/// Whether the same credentials have come before. If so, they go ahead of new ones from their peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Attempt {
    Returning,
    New,
}

/// The use of a worker. Dropping it passes the worker on.
#[derive(Debug)]
pub(super) struct Turn(FairQueue);

impl FairQueue {
    /// At most `max_waiting` requests may wait, and `max_of_peer` from one peer.
    pub(super) fn new(workers: usize, max_waiting: usize, max_of_peer: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            idle_workers: workers,
            max_waiting,
            max_of_peer,
            waiting: IndexMap::new(),
        })))
    }

    /// Takes an idle worker, or waits for the peer's turn. `None` if too many are waiting, now or
    /// later.
    pub(super) async fn turn(&self, peer: Peer, attempt: Attempt) -> Option<Turn> {
        let turn = {
            let mut state = lock(&self.0);
            if state.idle_workers > 0 {
                state.idle_workers -= 1;
                return Some(Turn(self.clone()));
            }
            state.wait(peer, attempt)?
        };
        turn.await.ok()
    }
}

impl State {
    /// If a peer uses all its places, a returning request replaces its last new one. If all places
    /// are taken, the peer with the most loses its last one.
    fn wait(&mut self, peer: Peer, attempt: Attempt) -> Option<oneshot::Receiver<Turn>> {
        let of_peer = self.waiting.get(&peer).map_or(0, VecDeque::len);
        let all: usize = self.waiting.values().map(VecDeque::len).sum();
        if of_peer < self.max_of_peer && all >= self.max_waiting {
            let peers = self.waiting.values_mut();
            let largest = peers.max_by_key(|largest| largest.len())?;
            (largest.len() > of_peer + 1).then(|| largest.pop_back())?;
        }
        let own = self.waiting.entry(peer).or_default();
        if own.len() >= self.max_of_peer {
            own.pop_back_if(|(last, _)| attempt < *last)?;
        }
        let (sender, receiver) = oneshot::channel();
        let place = own.partition_point(|(other, _)| *other <= attempt);
        own.insert(place, (attempt, sender));
        Some(receiver)
    }

    /// The next request. Its peer moves to the end of the line.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let (peer, mut own) = self.waiting.shift_remove_index(0)?;
        let (_, next) = own.pop_front()?;
        if !own.is_empty() {
            self.waiting.insert(peer, own);
        }
        Some(next)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut state = lock(&self.0.0);
            let next = state.next();
            state.idle_workers += usize::from(next.is_none());
            next
        };
        if let Some(next) = next {
            // If the receiver is gone, the turn comes back, and dropping it passes it on.
            drop(next.send(Self(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use tokio::task::{JoinHandle, yield_now};
    use tokio::time::timeout;

    use super::*;

    fn peer(last: u8) -> Peer {
        IpAddr::from(Ipv4Addr::new(192, 0, 2, last)).into()
    }

    async fn wait(queue: &FairQueue, last: u8) -> JoinHandle<Option<Turn>> {
        wait_as(queue, last, Attempt::New).await
    }

    async fn wait_as(queue: &FairQueue, last: u8, attempt: Attempt) -> JoinHandle<Option<Turn>> {
        let queue = queue.clone();
        let waiting = tokio::spawn(async move { queue.turn(peer(last), attempt).await });
        yield_now().await;
        waiting
    }

    #[tokio::test]
    async fn peers_take_turns_however_many_wait_for_one() {
        let queue = FairQueue::new(1, 100, 50);
        let working = queue.turn(peer(9), Attempt::New).await.unwrap();
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
        let working = queue.turn(peer(9), Attempt::New).await.unwrap();
        let mut crowd = Vec::new();
        for _ in 0..4 {
            crowd.push(wait(&queue, 1).await);
        }
        assert!(queue.turn(peer(1), Attempt::New).await.is_none());
        let other = wait(&queue, 2).await;
        let last = crowd.pop().unwrap();
        assert!(last.await.unwrap().is_none(), "the last one made room");
        drop(working);
        assert!(crowd.remove(0).await.unwrap().is_some());
        assert!(other.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_request_that_returns_goes_before_the_new_ones_of_its_peer() {
        let queue = FairQueue::new(1, 100, 4);
        let working = queue.turn(peer(9), Attempt::New).await.unwrap();
        let mut crowd = Vec::new();
        for _ in 0..4 {
            crowd.push(wait(&queue, 1).await);
        }
        let returning = wait_as(&queue, 1, Attempt::Returning).await;
        let last = crowd.pop().unwrap();
        assert!(last.await.unwrap().is_none(), "the last one made room");
        drop(working);
        let first = timeout(Duration::from_secs(20), returning).await;
        drop(first.expect("it goes first").unwrap().unwrap());
        for task in crowd {
            assert!(task.await.unwrap().is_some());
        }
    }

    #[tokio::test]
    async fn requests_that_return_keep_their_order_and_do_not_replace_each_other() {
        let queue = FairQueue::new(1, 100, 2);
        let working = queue.turn(peer(9), Attempt::New).await.unwrap();
        let first = wait_as(&queue, 1, Attempt::Returning).await;
        let second = wait_as(&queue, 1, Attempt::Returning).await;
        assert!(queue.turn(peer(1), Attempt::Returning).await.is_none());
        drop(working);
        let turn = first.await.unwrap().unwrap();
        assert!(!second.is_finished());
        drop(turn);
        assert!(second.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_turn_of_somebody_who_left_goes_to_the_next() {
        let queue = FairQueue::new(1, 100, 50);
        let working = queue.turn(peer(9), Attempt::New).await.unwrap();
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
        let state = queue.0.lock().unwrap();
        assert_eq!(state.idle_workers, 1);
        assert!(state.waiting.is_empty());
    }
}

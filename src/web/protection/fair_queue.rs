//! A small pool of workers that serves waiting peers in turn.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use crate::panics::lock;
use crate::web::server::Peer;

/// A handle to the queue. Clones share the workers.
#[derive(Debug, Clone)]
pub(super) struct FairQueue {
    state: Arc<Mutex<State>>,
    max_waiting: usize,
    max_of_peer: usize,
}

#[derive(Debug)]
struct State {
    idle_workers: usize,
    waiting: usize,
    by_peer: HashMap<Peer, Waiting>,
    /// The peers with waiting requests, next one first.
    turns: VecDeque<Peer>,
}

/// The waiting requests of a peer, in the order in which they are served.
#[derive(Debug, Default)]
struct Waiting {
    returning: VecDeque<oneshot::Sender<Turn>>,
    new: VecDeque<oneshot::Sender<Turn>>,
}

/// Whether the request has waited before. If so, it goes ahead of new ones from its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    New,
    Returning,
}

/// The use of a worker. Dropping it passes the worker on.
#[derive(Debug)]
pub(super) struct Turn(FairQueue);

impl FairQueue {
    /// At most `max_waiting` requests may wait, and `max_of_peer` from one peer.
    pub(super) fn new(workers: usize, max_waiting: usize, max_of_peer: usize) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                idle_workers: workers,
                waiting: 0,
                by_peer: HashMap::new(),
                turns: VecDeque::new(),
            })),
            max_waiting,
            max_of_peer,
        }
    }

    /// Takes an idle worker, if there is one.
    pub(super) fn idle(&self) -> Option<Turn> {
        let is_idle = lock(&self.state).take_idle();
        is_idle.then(|| Turn(self.clone()))
    }

    /// Waits for the peer's turn. `None` if too many are waiting, now or later.
    pub(super) async fn turn(&self, peer: Peer, attempt: Attempt) -> Option<Turn> {
        let turn = {
            let mut state = lock(&self.state);
            if state.take_idle() {
                return Some(Turn(self.clone()));
            }
            if !state.has_room(peer, attempt, self.max_waiting, self.max_of_peer) {
                return None;
            }
            state.wait(peer, attempt)
        };
        turn.await.ok()
    }
}

impl State {
    fn take_idle(&mut self) -> bool {
        let is_idle = self.idle_workers > 0;
        self.idle_workers -= usize::from(is_idle);
        is_idle
    }

    /// If a peer uses all its places, a returning request replaces its last new one. If all places
    /// are taken, the peer with the most loses its last one.
    fn has_room(
        &mut self,
        peer: Peer,
        attempt: Attempt,
        max_waiting: usize,
        max_of_peer: usize,
    ) -> bool {
        let of_peer = self.by_peer.get(&peer).map_or(0, Waiting::len);
        let loser = if of_peer >= max_of_peer {
            let own = self.by_peer.get_mut(&peer);
            own.filter(|own| attempt == Attempt::Returning && !own.new.is_empty())
        } else if self.waiting < max_waiting {
            return true;
        } else {
            let largest = self.by_peer.values_mut().max_by_key(|peer| peer.len());
            largest.filter(|largest| largest.len() > of_peer + 1)
        };
        let made_room = loser.is_some_and(Waiting::drop_last);
        self.waiting -= usize::from(made_room);
        made_room
    }

    fn wait(&mut self, peer: Peer, attempt: Attempt) -> oneshot::Receiver<Turn> {
        let (sender, receiver) = oneshot::channel();
        let waiting = self.by_peer.entry(peer).or_default();
        if waiting.len() == 0 && !self.turns.contains(&peer) {
            self.turns.push_back(peer);
        }
        match attempt {
            Attempt::New => waiting.new.push_back(sender),
            Attempt::Returning => waiting.returning.push_back(sender),
        }
        self.waiting += 1;
        receiver
    }

    /// The next request. Its peer moves to the end of the line.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let peer = self.turns.pop_front()?;
        let waiting = self.by_peer.get_mut(&peer)?;
        let next = waiting.returning.pop_front();
        let next = next.or_else(|| waiting.new.pop_front())?;
        self.waiting -= 1;
        if waiting.len() == 0 {
            self.by_peer.remove(&peer);
        } else {
            self.turns.push_back(peer);
        }
        Some(next)
    }
}

impl Waiting {
    fn len(&self) -> usize {
        self.returning.len() + self.new.len()
    }

    fn drop_last(&mut self) -> bool {
        self.new
            .pop_back()
            .or_else(|| self.returning.pop_back())
            .is_some()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut state = lock(&self.0.state);
            let next = state.next();
            if next.is_none() {
                state.idle_workers += 1;
            }
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
        let working = queue.idle().unwrap();
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
        let working = queue.idle().unwrap();
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
        let working = queue.idle().unwrap();
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
        let working = queue.idle().unwrap();
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
        let working = queue.idle().unwrap();
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
        let state = queue.state.lock().unwrap();
        assert_eq!((state.idle_workers, state.waiting), (1, 0));
        assert!(state.by_peer.is_empty() && state.turns.is_empty());
    }
}

//! Users and passwords of basic authentication (RFC 7617).
//!
//! A check is slow on purpose, so clients with wrong passwords could lock out a scraper with the
//! right one. Therefore known good credentials pass without a check, known bad ones are rejected
//! without one, and the rest wait. Peers take turns, and within a peer, credentials that have
//! waited before go first: a scraper repeats its credentials, a client that guesses does not.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::Mutex;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use ring::hmac;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret as _, SecretSlice};
use tokio::task::spawn_blocking;

use super::fair_queue::{Attempt, FairQueue, Turn};
use crate::panics::lock;
use crate::web::PasswordHash;
use crate::web::server::Peer;

/// Concurrent password checks. Each takes 50 ms or more of a core, and guesses must not starve
/// polls and scrapes.
const CHECKS: usize = 2;
/// The most requests that wait for a check; the longest wait is about ten seconds.
const MAX_WAITING: usize = 256;
/// The most waiting requests of one peer.
const MAX_WAITING_OF_PEER: usize = 64;
/// The most wrong credentials to remember.
const MAX_WRONG: usize = 4096;
/// The most credentials to remember that have waited: 4 MB, and two minutes of a thousand guesses a
/// second.
const MAX_WAITED: usize = 1 << 17;

/// A keyed hash of name and password. The key is private to this process, so the hash is useless
/// elsewhere, and comparing hashes leaks nothing through timing.
type Tag = Box<[u8]>;

/// The users with access.
pub(super) struct Users {
    by_name: BTreeMap<String, User>,
    key: hmac::Key,
    checks: FairQueue,
    wrong: Mutex<Recent<Tag>>,
    /// The start of the tags that have waited for a check.
    waited: Mutex<Recent<u64>>,
}

struct User {
    hash: PasswordHash,
    /// The last accepted credentials.
    right: Mutex<Option<Tag>>,
}

/// The last values that were inserted, at most `limit`.
struct Recent<T> {
    values: HashSet<T>,
    /// Oldest first.
    by_age: VecDeque<T>,
    limit: usize,
}

/// The result of checking a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// The request is allowed.
    Granted,
    /// It has no valid user name and password.
    Denied,
    /// Too many passwords are waiting to be checked.
    Busy,
}

impl Users {
    /// Fails if the operating system provides no random numbers.
    pub(super) fn new(
        users: BTreeMap<String, PasswordHash>,
    ) -> Result<Self, ring::error::Unspecified> {
        let users = users.into_iter().map(|(name, hash)| {
            let right = Mutex::default();
            (name, User { hash, right })
        });
        Ok(Self {
            by_name: users.collect(),
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?,
            checks: FairQueue::new(CHECKS, MAX_WAITING, MAX_WAITING_OF_PEER),
            wrong: Mutex::new(Recent::new(MAX_WRONG)),
            waited: Mutex::new(Recent::new(MAX_WAITED)),
        })
    }

    /// Takes over the queue, and the accepted credentials of users whose password did not change.
    pub(super) fn inherit(&mut self, old: &Self) {
        self.key = old.key.clone();
        self.checks = old.checks.clone();
        for (name, user) in &mut self.by_name {
            if let Some(old) = old.by_name.get(name).filter(|old| old.hash == user.hash) {
                user.right = Mutex::new(lock(&old.right).clone());
            }
        }
    }

    /// Checks the credentials of a request.
    pub(super) async fn check(&self, headers: &HeaderMap, peer: Peer) -> Access {
        let Some(credentials) = Credentials::read(headers) else {
            return Access::Denied;
        };
        let tag = self.tag(&credentials);
        let user = self.by_name.get(&credentials.name);
        if let Some(access) = self.remembered(user, &tag) {
            return access;
        }
        let Some(turn) = self.turn(peer, &tag).await else {
            return Access::Busy;
        };
        // Another request with the same credentials may have been checked in the meantime.
        if let Some(access) = self.remembered(user, &tag) {
            return access;
        }
        let hash = user.map(|user| &user.hash);
        let hash = hash.or_else(|| self.decoy(&credentials.name));
        let Some(hash) = hash.cloned() else {
            return Access::Denied;
        };
        // The check continues if the client disconnects, so it must own the turn.
        let verified = spawn_blocking(move || {
            let right = hash.verify(credentials.password.expose_secret());
            drop(turn);
            right
        });
        match (user, verified.await) {
            (Some(user), Ok(true)) => {
                *lock(&user.right) = Some(tag);
                Access::Granted
            }
            (_, Ok(_)) => {
                lock(&self.wrong).insert(tag);
                Access::Denied
            }
            (_, Err(_)) => Access::Denied,
        }
    }

    fn tag(&self, credentials: &Credentials) -> Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(credentials.name.as_bytes());
        // A name contains no colon, so different credentials give different bytes.
        context.update(b":");
        context.update(credentials.password.expose_secret());
        context.sign().as_ref().into()
    }

    /// The result of an earlier check.
    fn remembered(&self, user: Option<&User>, tag: &Tag) -> Option<Access> {
        if user.is_some_and(|user| lock(&user.right).as_ref() == Some(tag)) {
            return Some(Access::Granted);
        }
        let is_wrong = lock(&self.wrong).values.contains(tag);
        is_wrong.then_some(Access::Denied)
    }

    /// Waits for a check. Waiting credentials are recorded, because the client may give up early.
    async fn turn(&self, peer: Peer, tag: &Tag) -> Option<Turn> {
        if let Some(turn) = self.checks.idle() {
            return Some(turn);
        }
        let start = tag.first_chunk().copied().map_or(0, u64::from_be_bytes);
        let attempt = if lock(&self.waited).insert(start) {
            Attempt::New
        } else {
            Attempt::Returning
        };
        self.checks.turn(peer, attempt).await
    }

    /// The hash to check an unknown user's password against, without effect. A name always gets the
    /// same one of the real hashes, so that timing does not reveal which names exist.
    fn decoy(&self, name: &str) -> Option<&PasswordHash> {
        let tag = hmac::sign(&self.key, name.as_bytes());
        let (start, _) = tag.as_ref().split_first_chunk()?;
        let count = u64::try_from(self.by_name.len()).ok()?;
        let index = u64::from_be_bytes(*start).checked_rem(count)?;
        let mut hashes = self.by_name.values().map(|user| &user.hash);
        hashes.nth(usize::try_from(index).ok()?)
    }
}

impl<T: Clone + Eq + Hash> Recent<T> {
    fn new(limit: usize) -> Self {
        Self {
            values: HashSet::new(),
            by_age: VecDeque::new(),
            limit,
        }
    }

    /// Returns whether the value is new.
    fn insert(&mut self, value: T) -> bool {
        let is_new = self.values.insert(value.clone());
        if is_new {
            self.by_age.push_back(value);
        }
        if self.by_age.len() > self.limit
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.values.remove(&oldest);
        }
        is_new
    }
}

struct Credentials {
    name: String,
    password: SecretSlice<u8>,
}

/// The user name in a request, for `fuzzing`.
pub(in crate::web) fn named(headers: &HeaderMap) -> Option<String> {
    Credentials::read(headers).map(|credentials| credentials.name)
}

impl Credentials {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(AUTHORIZATION)?.as_bytes();
        let (scheme, encoded) = value.split_at_checked("Basic ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Basic ") {
            return None;
        }
        let mut name = BASE64_STANDARD.decode(encoded).ok()?;
        let colon = name.iter().position(|&byte| byte == b':')?;
        let password = name.split_off(colon + 1);
        name.truncate(colon);
        Some(Self {
            // User names are valid UTF-8.
            name: String::from_utf8(name).ok()?,
            password: password.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use tokio::task::yield_now;

    use super::*;

    const COST: u32 = 6;

    fn users() -> Users {
        let hash =
            |password: &str| PasswordHash::parse(&bcrypt::hash(password, COST).unwrap()).unwrap();
        Users::new(BTreeMap::from([
            ("alice".to_owned(), hash("wonder:land")),
            ("bob".to_owned(), hash("builder")),
        ]))
        .unwrap()
    }

    fn peer(last: u8) -> Peer {
        IpAddr::from([192, 0, 2, last]).into()
    }

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        headers
    }

    fn basic(credentials: &str) -> HeaderMap {
        headers(&format!("Basic {}", BASE64_STANDARD.encode(credentials)))
    }

    #[test]
    fn the_oldest_values_are_forgotten_first() {
        let mut recent = Recent::new(2);
        assert!(recent.insert(1) && recent.insert(2));
        assert!(!recent.insert(1));
        assert!(recent.insert(3));
        assert_eq!(recent.values, HashSet::from([2, 3]));
        assert_eq!(recent.by_age, [2, 3]);
    }

    #[tokio::test]
    async fn only_the_right_password_of_the_right_user_passes() {
        let users = users();
        for (headers, expected) in [
            (basic("alice:wonder:land"), Access::Granted),
            (basic("bob:builder"), Access::Granted),
            (basic("alice:builder"), Access::Denied),
            (basic("bob:"), Access::Denied),
            (basic("carol:builder"), Access::Denied),
            (basic("bob"), Access::Denied),
            (HeaderMap::new(), Access::Denied),
            (headers("Bearer abc"), Access::Denied),
            (headers("Basic !"), Access::Denied),
        ] {
            // The second result comes from memory.
            for _ in 0..2 {
                assert_eq!(
                    users.check(&headers, peer(1)).await,
                    expected,
                    "{headers:?}"
                );
            }
        }
        let any_case = headers("basic Ym9iOmJ1aWxkZXI=");
        assert_eq!(users.check(&any_case, peer(1)).await, Access::Granted);
    }

    /// Users without workers, so that no credentials can be checked.
    fn without_workers(users: Users) -> Users {
        Users {
            checks: FairQueue::new(0, 0, 0),
            ..users
        }
    }

    #[tokio::test]
    async fn the_same_credentials_are_checked_once() {
        let users = users();
        let (right, wrong) = (basic("bob:builder"), basic("bob:wrong"));
        assert_eq!(users.check(&right, peer(1)).await, Access::Granted);
        assert_eq!(users.check(&wrong, peer(1)).await, Access::Denied);
        let users = without_workers(users);
        assert_eq!(users.check(&right, peer(2)).await, Access::Granted);
        assert_eq!(users.check(&wrong, peer(2)).await, Access::Denied);
        assert_eq!(users.check(&basic("bob:x"), peer(2)).await, Access::Busy);
    }

    #[tokio::test]
    async fn an_unknown_user_is_checked_like_a_known_one() {
        let users = users();
        let hashes = ["alice", "bob"].map(|name| users.by_name[name].hash.clone());
        for name in ["nobody", "somebody", ""] {
            let decoy = users.decoy(name).unwrap();
            assert!(hashes.contains(decoy) && users.decoy(name) == Some(decoy));
        }
        let users = without_workers(users);
        for credentials in ["nobody:wrong", "bob:wrong"] {
            let access = users.check(&basic(credentials), peer(1)).await;
            assert_eq!(access, Access::Busy, "{credentials}");
        }
    }

    /// A single worker that is busy until the turn is dropped, with few places to wait.
    fn busy(users: Users) -> (Users, Turn) {
        let users = Users {
            checks: FairQueue::new(1, 256, 2),
            ..users
        };
        let turn = users.checks.idle().unwrap();
        (users, turn)
    }

    #[tokio::test]
    async fn a_scraper_among_guesses_from_its_own_address_gets_in_with_its_second_attempt() {
        let (users, turn) = busy(users());
        let users = Arc::new(users);
        let mut guesses = Vec::new();
        for number in 0..10 {
            let users = Arc::clone(&users);
            guesses.push(tokio::spawn(async move {
                let guess = basic(&format!("bob:{number}"));
                users.check(&guess, peer(1)).await
            }));
            yield_now().await;
        }
        let scraper = basic("bob:builder");
        assert_eq!(users.check(&scraper, peer(1)).await, Access::Busy);
        let second = users.check(&scraper, peer(1));
        let (access, ()) = tokio::join!(second, async { drop(turn) });
        assert_eq!(access, Access::Granted);
        let denied = guesses.into_iter().map(async |guess| guess.await.unwrap());
        let mut waited = 0;
        for access in denied {
            waited += usize::from(access.await == Access::Denied);
        }
        assert_eq!(waited, 1, "one of the two that waited made room");
    }

    #[tokio::test]
    async fn what_is_known_of_a_password_survives_a_reload_that_leaves_it() {
        let old = users();
        for good in ["bob:builder", "alice:wonder:land"] {
            assert_eq!(old.check(&basic(good), peer(1)).await, Access::Granted);
        }
        let bob = old.by_name["bob"].hash.clone();
        let alice = PasswordHash::parse(&bcrypt::hash("other", COST).unwrap()).unwrap();
        let hashes = [("bob".to_owned(), bob), ("alice".to_owned(), alice)];
        let mut new = Users::new(BTreeMap::from(hashes)).unwrap();
        new.inherit(&old);
        let _turns: Vec<_> = std::iter::from_fn(|| old.checks.idle()).collect();
        let access = new.check(&basic("bob:builder"), peer(1)).await;
        assert_eq!(access, Access::Granted);
        assert!(new.checks.idle().is_none(), "the queue is the same");
        let tag = |text: &str| new.tag(&Credentials::read(&basic(text)).unwrap());
        let user = &new.by_name["alice"];
        assert_eq!(new.remembered(Some(user), &tag("alice:wonder:land")), None);
    }
}

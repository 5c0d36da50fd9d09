//! Users and passwords of basic authentication (RFC 7617).
//!
//! A check is slow on purpose, so clients with wrong passwords could lock out a scraper with the
//! right one. Therefore known good credentials pass without a check, known bad ones are rejected
//! without one, and the rest wait. Peers take turns, and within a peer, credentials that have
//! come before go first: a scraper repeats its credentials, a client that guesses does not.

use std::collections::{BTreeMap, HashSet};
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

use super::fair_queue::{Attempt, FairQueue};
use crate::panics::lock;
use crate::web::PasswordHash;
use crate::web::server::Peer;

/// Concurrent password checks. Each takes 50 ms or more of a core, and guesses must not starve
/// polls and scrapes.
const CHECKS: usize = 2;
/// The most requests that wait for a check; with hashes of the usual cost, for up to ten seconds.
const MAX_WAITING: usize = 256;
/// The most waiting requests of one peer.
const MAX_WAITING_OF_PEER: usize = 64;
/// The most wrong credentials to remember.
const MAX_WRONG: usize = 4096;
/// The most credentials to recognise if they return: 4 MB, and two minutes of a thousand guesses a
/// second.
const MAX_SEEN: usize = 1 << 17;

/// A keyed hash of name and password. The key is private to this process, so the hash is useless
/// elsewhere, and comparing hashes leaks nothing through timing.
type Tag = Box<[u8]>;

/// The users with access.
pub(super) struct Users {
    by_name: BTreeMap<String, User>,
    key: hmac::Key,
    checks: FairQueue,
    wrong: Mutex<HashSet<Tag>>,
    /// The start of the tags that needed a check.
    seen: Mutex<HashSet<u64>>,
}

struct User {
    hash: PasswordHash,
    /// The last accepted credentials.
    right: Mutex<Option<Tag>>,
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
            wrong: Mutex::default(),
            seen: Mutex::default(),
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
        let Some(turn) = self.checks.turn(peer, self.attempt(&tag)).await else {
            return Access::Busy;
        };
        // Another request with the same credentials may have been checked in the meantime.
        if let Some(access) = self.remembered(user, &tag) {
            return access;
        }
        let Some(checked) = user.or_else(|| self.decoy(&credentials.name)) else {
            return Access::Denied;
        };
        let hash = checked.hash.clone();
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
                remember(&self.wrong, tag, MAX_WRONG);
                Access::Denied
            }
            // Not checked, so not known to be wrong.
            (_, Err(_)) => Access::Denied,
        }
    }

    /// The user against whose hash an unknown user's password is checked, without effect. A name
    /// always gets the same one, so that timing does not reveal which names exist.
    fn decoy(&self, name: &str) -> Option<&User> {
        let tag = hmac::sign(&self.key, name.as_bytes());
        let start = usize::from_be_bytes(*tag.as_ref().first_chunk()?);
        let index = start.checked_rem(self.by_name.len())?;
        self.by_name.values().nth(index)
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
        let is_wrong = lock(&self.wrong).contains(tag);
        is_wrong.then_some(Access::Denied)
    }

    /// Records credentials that need a check, because the client may give up before it has a result.
    fn attempt(&self, tag: &Tag) -> Attempt {
        let start = tag.first_chunk().copied().map_or(0, u64::from_be_bytes);
        if remember(&self.seen, start, MAX_SEEN) {
            Attempt::New
        } else {
            Attempt::Returning
        }
    }
}

/// Returns whether the value is new. A set that is full starts again from empty.
fn remember<T: Eq + Hash>(values: &Mutex<HashSet<T>>, value: T, limit: usize) -> bool {
    let mut values = lock(values);
    if values.len() >= limit && !values.contains(&value) {
        values.clear();
    }
    values.insert(value)
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

    use super::super::fair_queue::Turn;
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
    fn a_full_memory_starts_again() {
        let values = Mutex::default();
        assert!(remember(&values, 1, 2) && remember(&values, 2, 2));
        assert!(remember(&values, 3, 2) && !remember(&values, 3, 2));
        assert_eq!(*lock(&values), HashSet::from([3]));
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
        let users = without_workers(users);
        for credentials in ["nobody:wrong", "bob:wrong"] {
            let access = users.check(&basic(credentials), peer(1)).await;
            assert_eq!(access, Access::Busy, "{credentials}");
        }
    }

    /// A single worker that is busy until the turn is dropped, with few places to wait.
    async fn busy(users: Users) -> (Users, Turn) {
        let users = Users {
            checks: FairQueue::new(1, 100, 2),
            ..users
        };
        let turn = users.checks.turn(peer(9), Attempt::New).await.unwrap();
        (users, turn)
    }

    #[tokio::test]
    async fn a_scraper_among_guesses_from_its_own_address_gets_in_with_its_second_attempt() {
        let (users, turn) = busy(users()).await;
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
        let turn = || new.checks.turn(peer(9), Attempt::New);
        let _turns = (turn().await, turn().await);
        let access = new.check(&basic("bob:builder"), peer(1)).await;
        assert_eq!(access, Access::Granted);
        tokio::select! {
            biased;
            _ = old.checks.turn(peer(9), Attempt::New) => panic!("the queue is another one"),
            () = yield_now() => {}
        }
        let tag = |text: &str| new.tag(&Credentials::read(&basic(text)).unwrap());
        let user = &new.by_name["alice"];
        assert_eq!(new.remembered(Some(user), &tag("alice:wonder:land")), None);
    }
}

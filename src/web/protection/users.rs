//! Names and passwords of basic authentication (RFC 7617).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use ring::hmac::{self, Tag};
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret as _, SecretSlice};
use tokio::task::spawn_blocking;

use super::fair_queue::FairQueue;
use crate::web::PasswordHash;
use crate::web::server::Peer;

/// Passwords that are checked at once. A check is slow on purpose (50 ms and more of a core), and
/// guesses must not take the machine from the polls and scrapes.
const CHECKS: usize = 2;
/// Requests that may wait for a check, for some ten seconds at worst. A scraper seldom waits here,
/// because its password is remembered.
const MAX_WAITING: usize = 256;
/// The same for one peer, so that wrong passwords from one place do not keep out another.
const MAX_WAITING_OF_PEER: usize = 64;

/// Who may read.
pub(super) struct Users {
    by_name: BTreeMap<String, User>,
    /// Of this process alone, so that what is remembered is of no use to anybody else.
    key: hmac::Key,
    checks: FairQueue,
}

struct User {
    hash: PasswordHash,
    /// The last good password, by its keyed hash.
    good: Mutex<Option<Tag>>,
}

/// Whether a request may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// It may.
    Granted,
    /// No user's name and password came with it.
    Denied,
    /// Too many passwords wait to be checked.
    Busy,
}

impl Users {
    /// Fails where the operating system has no random numbers.
    pub(super) fn new(
        users: &BTreeMap<String, PasswordHash>,
    ) -> Result<Self, ring::error::Unspecified> {
        let user = |hash: &PasswordHash| User {
            hash: hash.clone(),
            good: Mutex::default(),
        };
        Ok(Self {
            by_name: users
                .iter()
                .map(|(name, hash)| (name.clone(), user(hash)))
                .collect(),
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?,
            checks: FairQueue::new(CHECKS, MAX_WAITING, MAX_WAITING_OF_PEER),
        })
    }

    /// Checks the credentials of a request.
    pub(super) async fn check(&self, headers: &HeaderMap, peer: Peer) -> Access {
        let Some(credentials) = Credentials::read(headers) else {
            return Access::Denied;
        };
        let tag = hmac::sign(&self.key, credentials.password.expose_secret());
        let user = self.by_name.get(&credentials.name);
        if user.is_some_and(|user| user.remembers(&tag)) {
            return Access::Granted;
        }
        let Some(turn) = self.checks.turn(peer).await else {
            return Access::Busy;
        };
        // Another request with the same password may have been checked meanwhile.
        if user.is_some_and(|user| user.remembers(&tag)) {
            return Access::Granted;
        }
        let Some(hash) =
            user.map_or_else(|| self.decoy(&credentials.name), |user| Some(&user.hash))
        else {
            return Access::Denied;
        };
        let hash = hash.clone();
        // The check goes on if the client goes away, and so its turn goes with it.
        let verified = spawn_blocking(move || {
            let good = hash.verify(credentials.password.expose_secret());
            drop(turn);
            good
        });
        match (user, verified.await) {
            (Some(user), Ok(true)) => {
                *user.good.lock().unwrap_or_else(PoisonError::into_inner) = Some(tag);
                Access::Granted
            }
            _ => Access::Denied,
        }
    }

    /// The hash that an unknown user's password is compared with, to no effect: always the same
    /// one of the real ones for a name, so that the time tells no more about an unknown name than
    /// about a known one.
    fn decoy(&self, name: &str) -> Option<&PasswordHash> {
        let tag = hmac::sign(&self.key, name.as_bytes());
        let (start, _) = tag.as_ref().split_first_chunk()?;
        let count = u64::try_from(self.by_name.len()).ok()?;
        let index = u64::from_be_bytes(*start).checked_rem(count)?;
        let mut hashes = self.by_name.values().map(|user| &user.hash);
        hashes.nth(usize::try_from(index).ok()?)
    }
}

impl User {
    fn remembers(&self, tag: &Tag) -> bool {
        let good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        good.as_ref().is_some_and(|good| equal(good, tag))
    }
}

/// Both are made with a key that nobody knows, so the time that this takes tells nothing.
fn equal(one: &Tag, other: &Tag) -> bool {
    one.as_ref() == other.as_ref()
}

struct Credentials {
    name: String,
    password: SecretSlice<u8>,
}

/// The user that a request names, for `fuzzing`.
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
            // A name that is no text is nobody's.
            name: String::from_utf8(name).ok()?,
            password: password.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::{Duration, Instant};

    use super::*;

    const COST: u32 = 6;

    fn users() -> Users {
        let hash =
            |password: &str| PasswordHash::parse(&bcrypt::hash(password, COST).unwrap()).unwrap();
        Users::new(&BTreeMap::from([
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
            // The second time the good ones are remembered.
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

    /// The shortest of several checks, which a busy machine disturbs least.
    async fn fastest(users: &Users, credentials: &str) -> Duration {
        let mut best = Duration::MAX;
        for _ in 0..10 {
            let start = Instant::now();
            users.check(&basic(credentials), peer(1)).await;
            best = best.min(start.elapsed());
        }
        best
    }

    #[tokio::test]
    async fn a_good_password_is_remembered_and_a_bad_one_is_not() {
        let users = users();
        let good = fastest(&users, "bob:builder").await;
        let wrong = fastest(&users, "bob:wrong").await;
        assert!(good * 4 < wrong, "{good:?} {wrong:?}");
    }

    #[tokio::test]
    async fn a_wrong_user_costs_as_much_as_a_wrong_password() {
        let users = users();
        let password = fastest(&users, "bob:wrong").await;
        let user = fastest(&users, "nobody:wrong").await;
        assert!(
            user * 2 > password && password * 2 > user,
            "{user:?} {password:?}"
        );
    }

    #[tokio::test]
    async fn a_peer_with_too_many_checks_waits_no_longer() {
        let users = Users {
            checks: FairQueue::new(1, 256, 0),
            ..users()
        };
        let checking = users.checks.turn(peer(2)).await;
        assert_eq!(
            users.check(&basic("bob:builder"), peer(1)).await,
            Access::Busy
        );
        drop(checking);
        assert_eq!(
            users.check(&basic("bob:builder"), peer(1)).await,
            Access::Granted
        );
    }
}

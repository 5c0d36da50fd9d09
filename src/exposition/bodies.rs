//! Rendered bodies: shared by scrapes in quick succession, then reused as buffers.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Body, Form};

/// A body is shared for this multiple of its rendering time. While a body takes up to 20 ms to
/// render, rendering uses at most a fiftieth of the time, regardless of the number of scrapes.
/// Sharing of larger bodies is bounded by [`SHARED_AT_MOST`].
const SHARED_FOR_COST: u32 = 50;

/// The longest time for which a body is shared. Also the largest error of an age.
pub const SHARED_AT_MOST: Duration = Duration::from_secs(1);

/// A body with the time as of which its ages are.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The body.
    pub body: Body,
    /// At most one second before its rendering.
    pub as_of: Instant,
}

/// The last body of each form.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    /// Locked only to look up or replace a body.
    bodies: Mutex<Vec<SharedBody>>,
}

#[derive(Debug)]
struct SharedBody {
    form: Form,
    rendered: Rendered,
    until: Instant,
}

impl Bodies {
    /// The body that a scrape can share now.
    pub(super) fn shared(&self, form: Form) -> Option<Rendered> {
        let now = Instant::now();
        self.lock()
            .iter()
            .find(|shared| shared.form == form && now < shared.until)
            .map(|shared| shared.rendered.clone())
    }

    /// Drops the bodies that are too old to share, and every body of this form. Returns the buffer
    /// of the latter, unless a scrape is still reading it.
    pub(super) fn retire(&self, form: Form) -> ReusableBuffer {
        let now = Instant::now();
        // Freeing a large body takes a while, so it happens outside the lock.
        let retired: Vec<_> = self
            .lock()
            .extract_if(.., |shared| shared.form == form || shared.until <= now)
            .collect();
        let spare = retired.into_iter().find(|shared| shared.form == form);
        match spare.map(|shared| shared.rendered.body) {
            Some(Body::Whole(bytes)) if bytes.is_unique() => ReusableBuffer(bytes.into()),
            _ => ReusableBuffer::default(),
        }
    }

    /// Shares a body whose rendering started at `started` and has just finished.
    pub(super) fn share(&self, form: Form, rendered: Rendered, started: Instant) {
        let latest = rendered.as_of + SHARED_AT_MOST;
        let shared_until = match rendered.body {
            Body::Whole(_) => (started + started.elapsed() * SHARED_FOR_COST).min(latest),
            // Clients take a while to read it. If they share it, they retain the same states.
            Body::InPieces(_) => latest,
        };
        self.share_until(form, rendered, shared_until);
    }

    /// Shares a body with scrapes that start before `shared_until`.
    pub(super) fn share_until(&self, form: Form, rendered: Rendered, shared_until: Instant) {
        self.lock().push(SharedBody {
            form,
            rendered,
            until: shared_until,
        });
    }

    pub(super) fn forget(&self) {
        // As in `retire`: freed outside the lock.
        let forgotten = std::mem::take(&mut *self.lock());
        drop(forgotten);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<SharedBody>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer for a body. Bodies are large, and getting new pages from the system takes as long as
/// copying the text into them.
#[derive(Debug, Default)]
pub(super) struct ReusableBuffer(Vec<u8>);

impl ReusableBuffer {
    /// An empty buffer with a capacity of at least `len` bytes, and less than about twice that.
    pub(super) fn with_room(mut self, len: usize) -> Vec<u8> {
        // The next body may be slightly longer.
        let room = len + len / 16;
        if self.0.capacity() < len || self.0.capacity() / 2 > room {
            return Vec::with_capacity(room);
        }
        self.0.clear();
        self.0
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::Format;
    use super::*;

    const GZIP: Form = Form::TEXT_GZIP;
    const IDENTITY: Form = Form::TEXT;

    fn now(bytes: Bytes) -> Rendered {
        Rendered {
            body: bytes.into(),
            as_of: Instant::now(),
        }
    }

    fn finished(form: Form, len: usize) -> (Bodies, Bytes) {
        let bodies = Bodies::default();
        let body = Bytes::from(vec![b'x'; len]);
        let later = Instant::now() + Duration::from_hours(1);
        bodies.share_until(form, now(body.clone()), later);
        (bodies, body)
    }

    fn shared(bodies: &Bodies, form: Form) -> Option<Bytes> {
        bodies
            .shared(form)
            .map(|rendered| rendered.body.into_bytes())
    }

    #[test]
    fn a_body_is_shared_until_it_is_retired() {
        let (bodies, body) = finished(GZIP, 10);
        assert_eq!(shared(&bodies, GZIP), Some(body));
        assert_eq!(shared(&bodies, IDENTITY), None);
        bodies.retire(IDENTITY);
        assert!(bodies.shared(GZIP).is_some());
        let openmetrics = Form {
            format: Format::OpenMetrics,
            ..GZIP
        };
        assert_eq!(shared(&bodies, openmetrics), None);
        bodies.retire(GZIP);
        assert_eq!(shared(&bodies, GZIP), None);
    }

    #[test]
    fn a_body_is_shared_for_a_second_at_most() {
        let bodies = Bodies::default();
        // Ages are at most one second old, as the documentation promises.
        let second = Duration::from_secs(1);
        let as_of = Instant::now().checked_sub(2 * second).unwrap();
        let body = Bytes::new().into();
        bodies.share(GZIP, Rendered { body, as_of }, as_of);
        assert_eq!(bodies.lock()[0].until, as_of + second);
        assert_eq!(shared(&bodies, GZIP), None);
    }

    #[test]
    fn a_body_past_its_window_goes_with_the_next_of_any_encoding() {
        let (bodies, body) = finished(GZIP, 10);
        bodies.share_until(IDENTITY, now(body), Instant::now());
        bodies.retire(GZIP);
        assert!(bodies.lock().is_empty());
    }

    #[test]
    fn the_next_body_takes_the_memory_of_the_last() {
        let (bodies, body) = finished(GZIP, 1000);
        drop(body);
        let next = bodies.retire(GZIP).with_room(990);
        assert!(next.is_empty());
        // A new buffer would be slightly larger.
        assert_eq!(next.capacity(), 1000);
    }

    #[test]
    fn a_body_that_is_still_read_stays_as_it_is() {
        let (bodies, body) = finished(GZIP, 1000);
        let mut next = bodies.retire(GZIP).with_room(1000);
        next.extend_from_slice(&[b'y'; 1000]);
        assert_eq!(body, vec![b'x'; 1000]);
    }

    #[test]
    fn memory_that_does_not_suit_is_not_kept() {
        for len in [100, 1001] {
            let (bodies, _) = finished(GZIP, 1000);
            let next = bodies.retire(GZIP).with_room(len);
            assert!(
                (len..=len + len / 16).contains(&next.capacity()),
                "{len}: {}",
                next.capacity()
            );
        }
    }
}

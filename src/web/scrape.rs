//! Serves the metrics.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use hyper::{HeaderMap, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tracing::error;

use super::negotiation::negotiate;
use super::quota::Quota;
use super::reply::Reply;
use crate::exposition::{Body, Exposition, Form, RenderError, Rendered, SHARED_AT_MOST};
use crate::panics::lock;

/// The memory for bodies that are being sent. Two bodies of each encoding are always allowed, however
/// large, so that a slow reader does not block others.
const BODY_BUDGET_BYTES: usize = 64 << 20;
/// How long a scrape waits for bodies to be sent. Longer than it takes until a slow response may be
/// aborted, and shorter than Prometheus' default time-out of 10 s.
const ROOM_TIMEOUT: Duration = Duration::from_secs(6);
/// How often to check for freed bodies.
const ROOM_CHECK: Duration = Duration::from_millis(5);

/// Serves a limited number of scrapes at once, from a limited amount of memory.
pub(super) struct Scrapes {
    exposition: Exposition,
    limit: usize,
    quota: Quota,
    bodies: Mutex<Bodies>,
    /// Held from the check for room until the body is counted, so that two scrapes never take the
    /// same room. Bodies are rendered one after the other in any case.
    turn: tokio::sync::Mutex<()>,
}

/// The bodies being sent, oldest first.
#[derive(Debug, Default)]
struct Bodies {
    alive: Vec<Weak<Counted>>,
    /// The memory that the last body of each form holds.
    last_bytes: HashMap<Form, usize>,
}

/// A body of one exposition. It counts once, however many clients read it.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) body: Body,
    form: Form,
    /// The time of its ages.
    as_of: Instant,
}

impl Scrapes {
    /// Allows at most `limit` scrapes at once; 0 means no limit.
    pub(super) fn new(exposition: Exposition, limit: usize) -> Self {
        let permits = match limit {
            0 => Semaphore::MAX_PERMITS,
            limit => limit.min(Semaphore::MAX_PERMITS),
        };
        Self {
            exposition,
            limit,
            quota: Quota::new(permits),
            bodies: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(super) async fn answer(&self, headers: &HeaderMap) -> Reply {
        let Some(lease) = self.quota.acquire().await else {
            return Reply::unavailable(&format!(
                "{} scrapes are being served already, as many as --web.max-requests allows.",
                self.limit
            ));
        };
        let form = negotiate(headers);
        match self.body(form).await {
            Ok(Some(body)) => Reply::metrics(body, form, lease),
            Ok(None) => Reply::unavailable("Slow clients hold too much memory. Try again."),
            Err(error) => {
                error!(%error, "a scrape failed");
                Reply::text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "The metrics could not be rendered.",
                )
            }
        }
    }

    /// `None` if slow clients hold too many bodies and the newest of them is too old to share.
    async fn body(&self, form: Form) -> Result<Option<Arc<Counted>>, RenderError> {
        if let Some(rendered) = self.exposition.shared(form)
            && let Some(counted) = lock(&self.bodies).counted(&rendered, form)
        {
            return Ok(Some(counted));
        }
        let _turn = self.turn.lock().await;
        if lock(&self.bodies).has_room(form) || self.make_room(form).await {
            let rendered = self.exposition.render(form).await?;
            return Ok(Some(lock(&self.bodies).enter(rendered, form)));
        }
        Ok(lock(&self.bodies).newest(form))
    }

    /// Waits for room for another body, and aborts responses to slow clients meanwhile. Returns
    /// early if the newest body can be shared.
    async fn make_room(&self, form: Form) -> bool {
        let start = Instant::now();
        while start.elapsed() < ROOM_TIMEOUT {
            if lock(&self.bodies).newest(form).is_some() {
                return false;
            }
            self.quota.cut_slowest();
            sleep(ROOM_CHECK).await;
            if lock(&self.bodies).has_room(form) {
                return true;
            }
        }
        false
    }
}

impl Bodies {
    /// Whether another body may be rendered. Assumes that it holds as much as the last one.
    fn has_room(&mut self, form: Form) -> bool {
        self.alive.retain(|body| body.strong_count() > 0);
        let next = self.last_bytes.get(&form).copied().unwrap_or(0);
        let alive: Vec<_> = self.alive.iter().filter_map(Weak::upgrade).collect();
        let bytes: usize = alive.iter().map(|counted| counted.body.retained()).sum();
        let similar = alive
            .iter()
            .filter(|counted| counted.form.encoding == form.encoding);
        similar.count() < 2 || bytes + next <= BODY_BUDGET_BYTES
    }

    /// The entry of a body that is already being sent to others.
    fn counted(&self, rendered: &Rendered, form: Form) -> Option<Arc<Counted>> {
        let mut alive = self.alive.iter().filter_map(Weak::upgrade);
        alive.find(|counted| counted.form == form && counted.body.is(&rendered.body))
    }

    /// Records a body that will be sent. Reuses the entry if it is already being sent to others.
    fn enter(&mut self, rendered: Rendered, form: Form) -> Arc<Counted> {
        self.last_bytes.insert(form, rendered.body.retained());
        self.counted(&rendered, form).unwrap_or_else(|| {
            let counted = Arc::new(Counted {
                body: rendered.body,
                form,
                as_of: Instant::from_std(rendered.as_of),
            });
            self.alive.push(Arc::downgrade(&counted));
            counted
        })
    }

    fn newest(&self, form: Form) -> Option<Arc<Counted>> {
        let mut alive = self.alive.iter().rev().filter_map(Weak::upgrade);
        alive
            .find(|body| body.form == form)
            .filter(|body| body.as_of.elapsed() < SHARED_AT_MOST)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prometheus::{IntGauge, Registry};

    use super::*;
    use crate::exposition::{BuildInfo, Format, Settings, WHOLE_AT_MOST};
    use crate::snapshot::Snapshot;

    fn body(len: usize) -> Rendered {
        Rendered {
            body: Bytes::from(vec![b'x'; len]).into(),
            as_of: Instant::now().into_std(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_are_read_bound_the_next_ones() {
        const LARGE: usize = BODY_BUDGET_BYTES / 2 + 1;
        let mut bodies = Bodies::default();
        assert!(bodies.has_room(Form::TEXT));
        let first = bodies.enter(body(LARGE), Form::TEXT);
        assert!(bodies.has_room(Form::TEXT), "two are always allowed");
        let second = bodies.enter(body(LARGE), Form::TEXT);
        assert!(!bodies.has_room(Form::TEXT));
        assert!(bodies.has_room(Form::TEXT_GZIP), "of another encoding");
        let newest = bodies.newest(Form::TEXT).unwrap();
        assert!(Arc::ptr_eq(&newest, &second));
        assert!(bodies.newest(Form::TEXT_GZIP).is_none());
        tokio::time::advance(Duration::from_millis(999)).await;
        assert!(bodies.newest(Form::TEXT).is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(bodies.newest(Form::TEXT).is_none());
        drop((first, newest, second));
        assert!(bodies.has_room(Form::TEXT) && bodies.alive.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn two_scrapes_do_not_take_the_same_room() {
        const LARGE: usize = BODY_BUDGET_BYTES * 3 / 10;
        let registry = Registry::new();
        let large = IntGauge::new("up", "x".repeat(LARGE)).unwrap();
        registry.register(Box::new(large)).unwrap();
        let settings = Settings {
            detail: true,
            whole_at_most: WHOLE_AT_MOST,
            build: BuildInfo {
                version: "",
                revision: "",
                rustc: "",
            },
        };
        let exposition = Exposition::new(settings, Snapshot::default(), registry);
        let scrapes = Scrapes::new(exposition, 0);
        let openmetrics = Form {
            format: Format::OpenMetrics,
            ..Form::TEXT
        };
        let reading = [(); 2].map(|()| lock(&scrapes.bodies).enter(body(LARGE), Form::TEXT));
        let learned = lock(&scrapes.bodies).enter(body(LARGE), openmetrics);
        drop(learned);
        tokio::time::advance(SHARED_AT_MOST).await;
        // There is room for one more.
        let (text, openmetrics) = tokio::join!(scrapes.body(Form::TEXT), scrapes.body(openmetrics));
        let served = [text.unwrap(), openmetrics.unwrap()];
        assert_eq!(served.iter().flatten().count(), 1);
        drop(reading);
    }

    #[test]
    fn two_bodies_are_allowed_also_where_the_first_is_the_larger() {
        let mut bodies = Bodies::default();
        drop(bodies.enter(body(1), Form::TEXT));
        let _large = bodies.enter(body(BODY_BUDGET_BYTES), Form::TEXT_GZIP);
        assert!(bodies.has_room(Form::TEXT));
    }

    #[test]
    fn a_body_counts_once_however_many_read_it() {
        let mut bodies = Bodies::default();
        let rendered = body(BODY_BUDGET_BYTES / 8);
        let readers: Vec<_> = (0..100)
            .map(|_| bodies.enter(rendered.clone(), Form::TEXT_GZIP))
            .collect();
        assert_eq!(bodies.alive.len(), 1);
        assert!(bodies.has_room(Form::TEXT_GZIP));
        drop(readers);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_as_old_as_its_rendering_however_late_it_is_sent() {
        let mut bodies = Bodies::default();
        let rendered = body(1);
        tokio::time::advance(Duration::from_millis(900)).await;
        let _reading = bodies.enter(rendered, Form::TEXT);
        assert!(bodies.newest(Form::TEXT).is_some());
        tokio::time::advance(Duration::from_millis(100)).await;
        assert!(bodies.newest(Form::TEXT).is_none());
    }
}

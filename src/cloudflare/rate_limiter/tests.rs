use proptest::prelude::*;

use super::*;

const WINDOW: Duration = Duration::from_secs(10);

async fn request(limiter: &Arc<Limiter>, takes: Duration) -> Instant {
    let mut slot = limiter.take(Lane::Regular).await;
    slot.mark_used();
    tokio::time::sleep(takes).await;
    Instant::now()
}

#[tokio::test(start_paused = true)]
async fn a_burst_within_the_budget_does_not_wait_and_the_next_waits_a_window() {
    let limiter = Arc::new(Limiter::new(3, WINDOW));
    let start = Instant::now();
    for _ in 0..3 {
        request(&limiter, Duration::ZERO).await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    request(&limiter, Duration::ZERO).await;
    assert_eq!(start.elapsed(), WINDOW);
}

#[tokio::test(start_paused = true)]
async fn a_slot_comes_free_a_window_after_the_answer_not_after_the_start() {
    let limiter = Arc::new(Limiter::new(1, WINDOW));
    let start = Instant::now();
    request(&limiter, Duration::from_secs(4)).await;
    drop(limiter.take(Lane::Regular).await);
    assert_eq!(start.elapsed(), WINDOW + Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn an_unused_slot_costs_nothing_and_wakes_the_next() {
    let limiter = Arc::new(Limiter::new(1, WINDOW));
    let slot = limiter.take(Lane::Regular).await;
    let start = Instant::now();
    let next = tokio::spawn({
        let limiter = Arc::clone(&limiter);
        async move { limiter.take(Lane::Regular).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(slot);
    drop(next.await.unwrap());
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_urgent_request_uses_the_reserve_and_goes_before_those_that_wait() {
    let limiter = Arc::new(Limiter::new(5, WINDOW));
    limiter.reserve(1);
    let start = Instant::now();
    for _ in 0..4 {
        request(&limiter, Duration::ZERO).await;
    }
    let regular = tokio::spawn({
        let limiter = Arc::clone(&limiter);
        async move {
            request(&limiter, Duration::ZERO).await;
            start.elapsed()
        }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let urgent = || async {
        let mut slot = limiter.take(Lane::Urgent).await;
        slot.mark_used();
        start.elapsed()
    };
    assert_eq!(urgent().await, Duration::from_secs(1));
    // The reserve is used up: the next one waits, but goes ahead of the regular one.
    assert_eq!(urgent().await, WINDOW);
    assert_eq!(regular.await.unwrap(), WINDOW);
}

#[tokio::test(start_paused = true)]
async fn an_urgent_request_that_is_given_up_holds_up_nobody() {
    let limiter = Arc::new(Limiter::new(1, WINDOW));
    let start = Instant::now();
    request(&limiter, Duration::ZERO).await;
    let urgent = tokio::time::timeout(Duration::from_secs(1), limiter.take(Lane::Urgent));
    assert!(urgent.await.is_err());
    request(&limiter, Duration::ZERO).await;
    assert_eq!(start.elapsed(), WINDOW);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_served_in_order_and_a_larger_budget_wakes_them() {
    let limiter = Arc::new(Limiter::new(1, WINDOW));
    request(&limiter, Duration::ZERO).await;
    let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..4 {
        let (limiter, sender) = (Arc::clone(&limiter), sender.clone());
        tokio::spawn(async move {
            limiter.take(Lane::Regular).await.mark_used();
            sender.send((number, Instant::now())).unwrap();
        });
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    limiter.configure(3, WINDOW);
    let mut served = Vec::new();
    for _ in 0..4 {
        let (number, at) = order.recv().await.unwrap();
        served.push((number, at - start));
    }
    assert_eq!(
        served,
        [
            (0, Duration::ZERO),
            (1, Duration::ZERO),
            (2, WINDOW),
            (3, WINDOW)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_log_stays_small_whatever_the_budget() {
    let limiter = Arc::new(Limiter::new(u32::MAX, WINDOW));
    for _ in 0..20_000 {
        limiter.take(Lane::Regular).await.mark_used();
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let entries = lock(&limiter.log).ended.len();
    assert!(entries <= 1 + ENTRIES_PER_WINDOW as usize, "{entries}");
    assert!(entries > 500, "{entries}");
}

#[tokio::test(start_paused = true)]
async fn a_longer_window_holds_the_requests_that_were_made_before_it() {
    const MINUTE: Duration = Duration::from_mins(1);
    let limiter = Arc::new(Limiter::new(3, 5 * MINUTE));
    let start = Instant::now();
    for _ in 0..3 {
        request(&limiter, Duration::ZERO).await;
        tokio::time::advance(10 * MINUTE).await;
    }
    limiter.configure(3, 60 * MINUTE);
    request(&limiter, Duration::ZERO).await;
    assert_eq!(start.elapsed(), 60 * MINUTE);
    // A shorter window forgets nothing: of minutes 10, 20, 60 and 60, the third last decides.
    limiter.configure(3, 5 * MINUTE);
    request(&limiter, Duration::ZERO).await;
    assert_eq!(start.elapsed(), 60 * MINUTE);
    limiter.configure(3, 60 * MINUTE);
    request(&limiter, Duration::ZERO).await;
    assert_eq!(start.elapsed(), 80 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_merged_entry_is_forgotten_a_window_after_its_last_request() {
    let limiter = Arc::new(Limiter::new(2, WINDOW));
    let start = Instant::now();
    let apart = Duration::from_millis(4);
    request(&limiter, Duration::ZERO).await;
    request(&limiter, apart).await;
    assert_eq!(lock(&limiter.log).ended.len(), 1, "the two share an entry");
    // More than a window after the first request, but not after the last.
    tokio::time::advance(WINDOW.saturating_sub(apart / 2)).await;
    drop(limiter.take(Lane::Regular).await);
    assert_eq!(start.elapsed(), WINDOW + apart);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_life_has_used_takes_up_the_budget_until_the_reset() {
    let limiter = Arc::new(Limiter::new(10, WINDOW));
    let start = Instant::now();
    request(&limiter, Duration::ZERO).await;
    limiter.note_quota(8, 100, Duration::from_secs(4), Some(WINDOW));
    // Of 10 requests, this process used one, and 7 were used before.
    for _ in 0..2 {
        request(&limiter, Duration::ZERO).await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    // Later requests of others do not use up the budget.
    limiter.note_quota(50, 100, Duration::from_secs(4), Some(WINDOW));
    request(&limiter, Duration::ZERO).await;
    assert_eq!(start.elapsed(), Duration::from_secs(4));
    for _ in 0..6 {
        request(&limiter, Duration::ZERO).await;
    }
    assert_eq!(start.elapsed(), Duration::from_secs(4));
    request(&limiter, Duration::ZERO).await;
    assert_eq!(start.elapsed(), WINDOW);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_life_has_used_counts_no_longer_than_the_window() {
    let limiter = Arc::new(Limiter::new(10, WINDOW));
    let start = Instant::now();
    request(&limiter, Duration::ZERO).await;
    limiter.note_quota(200, 100, 3 * WINDOW, None);
    request(&limiter, Duration::ZERO).await;
    assert_eq!(start.elapsed(), WINDOW);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_counts_over_another_window_takes_up_no_budget() {
    let limiter = Arc::new(Limiter::new(10, WINDOW));
    let start = Instant::now();
    request(&limiter, Duration::ZERO).await;
    limiter.note_quota(50, 100, 3 * WINDOW, Some(6 * WINDOW));
    for _ in 0..9 {
        request(&limiter, Duration::ZERO).await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn of_what_others_leave_no_more_than_the_share_is_used_until_the_reset() {
    let limiter = Arc::new(Limiter::new(100, WINDOW));
    let start = Instant::now();
    request(&limiter, Duration::ZERO).await;
    limiter.note_quota(1, 3, Duration::from_secs(5), None);
    for _ in 0..3 {
        request(&limiter, Duration::ZERO).await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    request(&limiter, Duration::ZERO).await;
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn the_requests_of_a_window_outlast_the_process() {
    let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let before = Arc::new(Limiter::new(3, WINDOW));
    request(&before, Duration::ZERO).await;
    tokio::time::advance(Duration::from_secs(4)).await;
    request(&before, Duration::ZERO).await;
    let mut in_flight = before.take(Lane::Regular).await;
    in_flight.mark_used();
    let state = before.state(now).0;
    let ages: Vec<_> = state
        .iter()
        .map(|past| (now.duration_since(past.at).as_secs(), past.count))
        .collect();
    assert_eq!(ages, [(4, 1), (0, 1), (0, 1)]);
    // Two seconds pass between the two processes.
    let after = Arc::new(Limiter::new(3, WINDOW));
    let start = Instant::now();
    after.restore(&state, now + Duration::from_secs(2));
    request(&after, Duration::ZERO).await;
    assert_eq!(start.elapsed(), Duration::from_secs(4));
    request(&after, Duration::ZERO).await;
    assert_eq!(start.elapsed(), Duration::from_secs(8));
}

#[tokio::test(start_paused = true)]
async fn what_is_restored_may_be_of_any_time() {
    let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let limiter = Arc::new(Limiter::new(2, WINDOW));
    let past = |at: &str| PastRequests {
        at: at.parse().unwrap(),
        count: 1,
    };
    let state = [
        past("2026-03-01T13:00:00Z"),
        past("2026-03-01T11:59:59Z"),
        past("1970-01-01T00:00:00Z"),
    ];
    let start = Instant::now();
    limiter.restore(&state, now);
    request(&limiter, Duration::ZERO).await;
    assert_eq!(start.elapsed() + Duration::from_secs(1), WINDOW);
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_of_a_day_stays_small() {
    let limiter = Arc::new(Limiter::new(u32::MAX, Duration::from_millis(100)));
    for _ in 0..10_000 {
        limiter.take(Lane::Regular).await.mark_used();
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    let past = lock(&limiter.log).past.len();
    assert!(past <= 1 + ENTRIES_PER_WINDOW as usize, "{past}");
    assert!(past > 500, "{past}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_window_ever_exceeds_the_budget(
        budget in 1u32..8,
        // When each request asks, how long it takes, and at which fraction of that time the
        // server sees it.
        requests in prop::collection::vec((0u64..30_000, 0u64..15_000, 0u64..=100), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let mut seen = runtime.block_on(async {
            let limiter = Arc::new(Limiter::new(budget, WINDOW));
            let tasks: Vec<_> = requests
                .iter()
                .map(|&(asks, takes, part)| {
                    let limiter = Arc::clone(&limiter);
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(asks)).await;
                        let mut slot = limiter.take(Lane::Regular).await;
                        slot.mark_used();
                        let before = takes * part / 100;
                        tokio::time::sleep(Duration::from_millis(before)).await;
                        let seen = Instant::now();
                        tokio::time::sleep(Duration::from_millis(takes - before)).await;
                        seen
                    })
                })
                .collect();
            let mut seen = Vec::new();
            for task in tasks {
                seen.push(task.await.unwrap());
            }
            seen
        });
        seen.sort();
        prop_assert_eq!(seen.len(), requests.len());
        let more_than_budget = usize::try_from(budget).unwrap() + 1;
        for too_many in seen.windows(more_than_budget) {
            let span = *too_many.last().unwrap() - *too_many.first().unwrap();
            prop_assert!(span >= WINDOW, "{more_than_budget} requests in {span:?}");
        }
    }
}

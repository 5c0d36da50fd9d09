//! A stream with a time-out for writes.
//!
//! hyper limits only the time of a request head: a client that never reads a large response would
//! keep it in memory forever.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::activity::Activity;

/// Wraps a stream. A write without progress for `limit` fails with [`io::ErrorKind::TimedOut`].
/// Reads are not limited. The connection's [`Activity`] records when the client first sends
/// something, and when it stops reading.
#[derive(Debug)]
pub(super) struct WriteTimeout<S> {
    stream: S,
    limit: Duration,
    activity: Arc<Activity>,
    /// Runs while the stream accepts no data.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteTimeout<S> {
    pub(super) fn new(stream: S, limit: Duration, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            limit,
            activity,
            timer: None,
        }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.stream
    }

    fn watch<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            if self.timer.take().is_some() {
                self.activity.set_blocked(false);
            }
            return outcome;
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| {
            self.activity.set_blocked(true);
            Box::pin(sleep(limit))
        });
        timer.as_mut().poll(cx).map(|()| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the client read nothing for {limit:?}"),
            ))
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if !buf.filled().is_empty() {
            self.activity.mark_received();
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(outcome, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(outcome, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(outcome, cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    use super::super::activity::Spare;
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn limited<S>(stream: S) -> WriteTimeout<S> {
        let activity = Activity::new(CancellationToken::new());
        WriteTimeout::new(stream, LIMIT, activity)
    }

    #[tokio::test(start_paused = true)]
    async fn the_activity_learns_of_the_first_byte_and_of_a_stall() {
        let (near, mut far) = duplex(4);
        let mut stream = limited(near);
        let activity = Arc::clone(&stream.activity);
        far.write_all(b"x").await.unwrap();
        assert!(matches!(activity.spare(), Some((Spare::Silent, _))));
        stream.read_u8().await.unwrap();
        assert!(matches!(activity.spare(), Some((Spare::Waiting, _))));

        let _busy = activity.busy();
        let writer = tokio::spawn(async move { stream.write_all(&[0; 8]).await.map(|()| stream) });
        sleep(Duration::from_secs(1)).await;
        assert!(activity.is_stalled());
        far.read_exact(&mut [0; 8]).await.unwrap();
        let _stream = writer.await.unwrap().unwrap();
        assert!(!activity.is_stalled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_makes_no_progress_fails_after_the_limit() {
        let (near, _far) = duplex(4);
        let mut stream = limited(near);
        let start = Instant::now();
        let error = stream.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_is_served_as_long_as_it_reads() {
        let (near, mut far) = duplex(4);
        let mut stream = limited(near);
        let reader = tokio::spawn(async move {
            for _ in 0..25 {
                sleep(Duration::from_secs(29)).await;
                far.read_exact(&mut [0; 4]).await.unwrap();
            }
        });
        stream.write_all(&[0; 100]).await.unwrap();
        reader.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_a_write_does_not_count() {
        let (near, mut far) = duplex(4);
        let mut stream = limited(near);
        for _ in 0..2 {
            let reader = async {
                sleep(Duration::from_secs(20)).await;
                far.read_exact(&mut [0; 8]).await.unwrap();
            };
            let (written, ()) = tokio::join!(stream.write_all(&[0; 8]), reader);
            written.unwrap();
            sleep(Duration::from_hours(1)).await;
        }
    }
}

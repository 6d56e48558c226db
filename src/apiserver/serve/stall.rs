//! A connection that does not go on is ended: a client that says nothing after connecting, and one that reads nothing of
//! what is written to it. Owns the two deadlines around a socket; knows no TLS and no HTTP. Called by `listener`.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How long a client may take for the first bytes of its first request.
pub const FIRST_BYTES: Duration = Duration::from_secs(10);
/// How long a client may read nothing while something is to be written.
pub const UNREAD: Duration = Duration::from_secs(60);
/// As many bytes as the preface of h2 has, and fewer than the shortest request of http/1.1.
const OPENING: usize = 18;

/// Around a stream.
pub struct Stall<S> {
    inner: S,
    opening: Option<(usize, Pin<Box<Sleep>>)>,
    unread: Option<Pin<Box<Sleep>>>,
    patience: Duration,
}

impl<S> Stall<S> {
    /// With these deadlines for the first bytes and for something unread.
    pub fn new(inner: S, first: Duration, patience: Duration) -> Self {
        Self {
            inner,
            opening: Some((0, Box::pin(sleep(first)))),
            unread: None,
            patience,
        }
    }

    fn progress<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.unread = None;
            return outcome;
        }
        let patience = self.patience;
        let deadline = self.unread.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stall<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(cx, into);
        if let Some((count, deadline)) = &mut self.opening {
            *count += into.filled().len() - before;
            if *count >= OPENING {
                self.opening = None;
            } else if outcome.is_pending() {
                ready!(deadline.as_mut().poll(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stall<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, data);
        self.progress(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, data);
        self.progress(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_ended_and_one_that_spoke_may_be_silent() {
        let (_client, server) = duplex(64);
        let mut silent = Stall::new(server, SECOND, SECOND);
        let error = silent.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let (mut client, server) = duplex(64);
        let mut spoke = Stall::new(server, SECOND, SECOND);
        client.write_all(&[b'x'; 24]).await.unwrap();
        spoke.read_exact(&mut [0; 24]).await.unwrap();
        let mut buffer = [0; 8];
        let waiting = tokio::time::timeout(SECOND * 100, spoke.read(&mut buffer)).await;
        assert!(waiting.is_err(), "a watch's client says nothing for hours");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_ended_and_a_slow_one_is_not() {
        let (mut client, server) = duplex(8);
        let mut writer = Stall::new(server, SECOND, SECOND * 10);
        let slow = tokio::spawn(async move {
            for _ in 0..8 {
                tokio::time::sleep(SECOND * 5).await;
                client.read_exact(&mut [0; 8]).await.unwrap();
            }
            client
        });
        writer.write_all(&[1; 72]).await.unwrap();
        let _still_open = slow.await.unwrap();
        let error = writer.write_all(&[1; 72]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}

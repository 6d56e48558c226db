//! An engine that changes nothing once its user's term is over. Docker knows no fencing: whoever reaches the socket may
//! act, also a process that was stopped for a minute and is no longer the leader. So the last look at the clock is here,
//! right before the call, and in an open session right before each write. Reading goes on. Wrapped around the adapter by
//! `cli`; `controllers` extends the [`Term`].

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::{io::AsyncWrite, time::Instant};

use super::{Engine, Error, Kind, Op, Result, Session, decorate::Decorator};
use crate::state::container::ContainerId;

/// What is said of a change after the term.
const OVER: &str = "another operator may lead by now, so nothing is changed";

/// Until when one process may change things. Clones share it.
#[derive(Debug, Clone)]
pub struct Term(Arc<Mutex<Until>>);

#[derive(Debug, Clone, Copy)]
enum Until {
    Ever,
    Time(Instant),
    Never,
}

impl Term {
    /// Of somebody who is alone: it never ends.
    #[must_use]
    pub fn endless() -> Self {
        Self(Arc::new(Mutex::new(Until::Ever)))
    }

    /// One that has not begun.
    #[must_use]
    pub fn not_begun() -> Self {
        Self(Arc::new(Mutex::new(Until::Never)))
    }

    /// It is over at `until`, whatever was said before.
    pub fn extend(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Until::Time(until);
    }

    /// It is over now.
    pub fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Until::Never;
    }

    /// Whether things may be changed.
    #[must_use]
    pub fn runs(&self) -> bool {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Until::Ever => true,
            Until::Time(until) => Instant::now() < until,
            Until::Never => false,
        }
    }
}

/// An engine whose changes need a running [`Term`].
#[derive(Debug, Clone)]
pub struct Termed<E> {
    inner: E,
    term: Term,
}

impl<E: Engine> Termed<E> {
    /// Lets changes into an engine while `term` runs.
    #[must_use]
    pub fn new(inner: E, term: Term) -> Self {
        Self { inner, term }
    }
}

impl<E: Engine> Decorator for Termed<E> {
    type Inner = E;

    fn inner(&self) -> &E {
        &self.inner
    }

    async fn around<T: Send>(
        &self,
        op: Op,
        subject: &str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        if op.changes() && !self.term.runs() {
            return Err(Error::new(op, subject, Kind::Unreachable, OVER));
        }
        call.await
    }

    /// What is written into a session may be an order to somebody inside, and the session may be older than the end of the
    /// term. A line that was begun is then not ended, which is no line.
    fn session(&self, _id: &ContainerId, session: Session) -> Session {
        let input = Input {
            inner: session.input,
            term: self.term.clone(),
        };
        Session {
            input: Box::pin(input),
            ..session
        }
    }
}

/// The input of a session, closed to whoever's term is over.
struct Input {
    inner: Pin<Box<dyn AsyncWrite + Send>>,
    term: Term,
}

impl AsyncWrite for Input {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.term.runs() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::PermissionDenied, OVER)));
        }
        self.inner.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        clock::Fixed,
        engine::{Daemon, LabelFilter, Volumes, fake::Fake},
        state::volume::Volume,
    };

    #[tokio::test(start_paused = true)]
    async fn changes_end_with_the_term_and_reading_goes_on() {
        let term = Term::not_begun();
        let engine = Termed::new(
            Fake::new(Arc::new(Fixed::at(Timestamp::UNIX_EPOCH))),
            term.clone(),
        );
        let volume = Volume {
            name: "v".to_owned(),
            labels: Default::default(),
            memory: None,
        };
        let refused = engine.create_volume(&volume).await.unwrap_err();
        assert_eq!((refused.kind, refused.op), (Kind::Unreachable, Op::CreateVolume));
        term.extend(Instant::now() + Duration::from_secs(5));
        engine.create_volume(&volume).await.unwrap();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(engine.create_volume(&volume).await.is_err());
        engine.ping().await.unwrap();
        let filter = LabelFilter {
            key: "k".to_owned(),
            value: "v".to_owned(),
        };
        engine.list_volumes(&filter).await.unwrap();
        term.extend(Instant::now() + Duration::from_secs(5));
        term.end();
        assert!(engine.create_volume(&volume).await.is_err());
    }
}

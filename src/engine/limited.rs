//! An engine that is not asked too much at once, and whose calls are measured. Docker starts no more containers a second
//! with eight calls at a time than with four (2 CPUs, 20.10); more only makes every other call wait. Calls that read have
//! turns of their own: an inspection of a container that is being started waits for that start, and would take the place
//! of another one. Calls that only wait (stop, pull, logs, events) pass freely. Wrapped around the adapter by `cli`.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::Instant};

use super::{Engine, Error, Kind, Op, Result, decorate::Decorator};

/// How many calls at once when nobody says: twice the CPUs of a small host.
pub const DEFAULT_CONCURRENCY: usize = 4;

/// How many reads there may be for each call that changes something. Each start may hold up one inspection, and there is
/// room for as many others then.
const READS: usize = 2;

/// Is told of every call when it has ended: which, how, and how long the engine took (without the wait for its turn).
pub trait Meter: Send + Sync + 'static {
    /// One call has ended.
    fn call(&self, op: Op, outcome: std::result::Result<(), Kind>, took: Duration);
}

impl<F: Fn(Op, std::result::Result<(), Kind>, Duration) + Send + Sync + 'static> Meter for F {
    fn call(&self, op: Op, outcome: std::result::Result<(), Kind>, took: Duration) {
        self(op, outcome, took);
    }
}

/// An engine with bounded concurrency. Clones share the bounds.
pub struct Limited<E, M> {
    inner: E,
    meter: Arc<M>,
    acts: Arc<Semaphore>,
    reads: Arc<Semaphore>,
}

impl<E: Clone, M> Clone for Limited<E, M> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            meter: Arc::clone(&self.meter),
            acts: Arc::clone(&self.acts),
            reads: Arc::clone(&self.reads),
        }
    }
}

impl<E: Engine, M: Meter> Limited<E, M> {
    /// Lets at most `at_once` calls (at least one) that change something into an engine, and twice as many that read.
    #[must_use]
    pub fn new(inner: E, at_once: usize, meter: M) -> Self {
        let turns = |count: usize| Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            inner,
            meter: Arc::new(meter),
            acts: turns(at_once),
            reads: turns(at_once.saturating_mul(READS).max(READS)),
        }
    }
}

impl<E: Engine, M: Meter> Decorator for Limited<E, M> {
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
        let _turn = if matches!(
            op,
            Op::StopContainer | Op::PullImage | Op::Logs | Op::Events | Op::RunCommand
        ) {
            None
        } else {
            let turns = if op.changes() { &self.acts } else { &self.reads };
            let turn = turns.acquire().await;
            Some(turn.map_err(|_| Error::new(op, subject, Kind::Unreachable, "shutting down"))?)
        };
        let start = Instant::now();
        let result = call.await;
        let outcome = result.as_ref().map(|_| ()).map_err(|error| error.kind);
        self.meter.call(op, outcome, start.elapsed());
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt;
    use jiff::Timestamp;

    use super::*;
    use crate::{
        clock::Fixed,
        engine::{Containers, Daemon, LabelFilter, fake::Fake},
    };

    type Seen = Arc<Mutex<Vec<(Op, std::result::Result<(), Kind>, Duration)>>>;

    fn limited(at_once: usize) -> (Fake, Limited<Fake, impl Meter>, Seen) {
        let fake = Fake::new(Arc::new(Fixed::at(Timestamp::UNIX_EPOCH)));
        let seen = Seen::default();
        let meter = {
            let seen = Arc::clone(&seen);
            move |op, outcome, took| seen.lock().unwrap().push((op, outcome, took))
        };
        (fake.clone(), Limited::new(fake, at_once, meter), seen)
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_calls_are_with_the_engine_at_once() {
        let (fake, engine, seen) = limited(1);
        fake.hang();
        let start = Instant::now();
        let pings = (0..6).map(|_| engine.ping());
        let results = futures::future::join_all(pings).await;
        assert!(
            results
                .iter()
                .all(|result| result.as_ref().is_err_and(|e| e.kind == Kind::Unreachable))
        );
        // Three rounds of two; each call took its own ten seconds and no more.
        assert_eq!(start.elapsed().as_secs(), 30);
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 6);
        assert!(seen.iter().all(|(op, outcome, took)| *op == Op::Ping
            && *outcome == Err(Kind::Unreachable)
            && took.as_secs() == 10));
    }

    #[tokio::test(start_paused = true)]
    async fn what_reads_does_not_wait_for_what_changes() {
        let (fake, engine, seen) = limited(1);
        fake.hang();
        let id = crate::state::container::ContainerId::new("c");
        let starts = futures::future::join_all((0..3).map(|_| engine.start_container(&id)));
        let (_, read) = futures::future::join(starts, engine.ping()).await;
        assert!(read.is_err());
        let order: Vec<Op> = seen.lock().unwrap().iter().map(|(op, ..)| *op).collect();
        // It ended with the first of the three, which went one after the other.
        assert!(order.iter().take(2).any(|op| *op == Op::Ping), "{order:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_only_waits_takes_nobodys_turn() {
        let (fake, engine, _) = limited(1);
        fake.hang();
        let filter = LabelFilter {
            key: "k".into(),
            value: "v".into(),
        };
        let mut waiting = Box::pin(engine.events(&filter));
        assert!((&mut waiting).now_or_never().is_none());
        fake.reconnect();
        engine.ping().await.unwrap();
    }
}

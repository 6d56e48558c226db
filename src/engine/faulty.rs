//! An engine that fails once, at a call of the test's choice: refused before it took effect, done with its answer lost,
//! or never answered. For sweeps: run a scenario once to count its calls, then once per call and kind of fault. Used by
//! tests around the fake or the real engine; a call that hangs takes tokio's time, which tests pause.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{Engine, Error, Kind, Op, Result, decorate::Decorator};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The engine refuses, as this kind of error, and nothing happens.
    Refuse(Kind),
    /// The engine does it, and the answer does not arrive.
    Lose,
    /// The engine does nothing and does not answer; the call ends when its time is over.
    Hang,
    /// The engine does it and does not answer; the call ends when its time is over.
    HangAfter,
}

/// One failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// At which call, counted from 1 over all kinds of calls; 0 never strikes.
    pub nth: usize,
    /// What goes wrong.
    pub kind: FaultKind,
}

/// An engine with one [`Fault`]. Clones count together.
#[derive(Debug, Clone)]
pub struct Faulty<E> {
    inner: E,
    fault: Fault,
    calls: Arc<AtomicUsize>,
    struck: Arc<std::sync::Mutex<Option<(Op, String)>>>,
    patience: Duration,
}

impl<E: Engine> Faulty<E> {
    /// Puts one fault into an engine.
    #[must_use]
    pub fn new(inner: E, fault: Fault) -> Self {
        Self {
            inner,
            fault,
            calls: Arc::default(),
            struck: Arc::default(),
            patience: Duration::from_secs(30),
        }
    }

    /// How many calls were made so far.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The call that the fault struck, with its subject, if it did.
    #[must_use]
    pub fn struck(&self) -> Option<(Op, String)> {
        self.struck
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// How long a call that hangs takes; 30 s at first.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl<E: Engine> Decorator for Faulty<E> {
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
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if number != self.fault.nth {
            return call.await;
        }
        *self
            .struck
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some((op, subject.to_owned()));
        let (kind, message) = match self.fault.kind {
            FaultKind::Refuse(kind) => (kind, "fault: refused"),
            FaultKind::Lose => {
                let _ = call.await;
                (Kind::Unreachable, "fault: the answer was lost")
            }
            // The hang itself is what is simulated; tests let the time pass without waiting for it.
            FaultKind::Hang => {
                tokio::time::sleep(self.patience).await;
                (
                    Kind::Unreachable,
                    "fault: no answer in time, and nothing was done",
                )
            }
            FaultKind::HangAfter => {
                let _ = call.await;
                tokio::time::sleep(self.patience).await;
                (Kind::Unreachable, "fault: no answer in time, though it was done")
            }
        };
        Err(Error::new(op, subject, kind, message))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        clock::Fixed,
        engine::{Daemon, Volumes, fake::Fake},
        state::volume::Volume,
    };

    fn engine(nth: usize, kind: FaultKind) -> Faulty<Fake> {
        Faulty::new(
            Fake::new(Arc::new(Fixed::at(Timestamp::UNIX_EPOCH))),
            Fault { nth, kind },
        )
    }

    async fn make_volume(engine: &Faulty<Fake>) -> (Option<Kind>, bool) {
        let volume = Volume {
            name: "v".into(),
            labels: BTreeMap::new(),
            memory: None,
        };
        let kind = engine.create_volume(&volume).await.err().map(|error| error.kind);
        (kind, engine.inner().world().volumes.contains_key("v"))
    }

    #[tokio::test(start_paused = true)]
    async fn each_fault_has_its_effect_or_none() {
        let unreachable = Some(Kind::Unreachable);
        for (kind, expected) in [
            (FaultKind::Refuse(Kind::Failed), (Some(Kind::Failed), false)),
            (FaultKind::Lose, (unreachable, true)),
            (FaultKind::Hang, (unreachable, false)),
            (FaultKind::HangAfter, (unreachable, true)),
        ] {
            let engine = engine(1, kind);
            assert_eq!(make_volume(&engine).await, expected, "{kind:?}");
            assert_eq!(engine.struck(), Some((Op::CreateVolume, "v".into())));
        }
    }

    #[tokio::test]
    async fn only_the_chosen_call_fails() {
        let engine = engine(2, FaultKind::Lose);
        engine.ping().await.unwrap();
        assert_eq!(engine.ping().await.unwrap_err().kind, Kind::Unreachable);
        engine.clone().ping().await.unwrap();
        assert_eq!(engine.calls(), 3);
    }
}

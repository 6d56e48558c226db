//! What writes: checks a batch against what is visible and what the same batch did before, assigns revisions, commits
//! once, and only then shows, wakes and answers. On a disk it runs on a thread that takes what waits: group commit arises
//! by itself. Owns the order of writes and what happens when the disk fails. How it is reached is `desk`'s.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    Shared, WriteError,
    backend::{Backend, Batch},
    draft::Draft,
    history::{Logged, Window},
    record::{Event, Record},
};
use crate::{apiserver::names::Key, clock::Clock, telemetry::metrics::Metrics};

/// As many writes share a commit at most, so that the first of them does not wait long,
const MOST_WRITES: usize = 256;
/// and as many bytes, unless one alone is larger.
const MOST_BYTES: usize = 4 << 20;
/// How often a disk that failed is tried when nobody writes.
const RETRY: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 5_000 });

/// What a write expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Nothing,
    Revision(u64),
}

/// One write that waits.
pub(super) struct Write {
    pub(super) key: Key,
    pub(super) expected: Expected,
    /// `None` deletes.
    pub(super) draft: Option<Draft>,
    pub(super) answer: Answer,
}

type Outcome = Result<Arc<Record>, WriteError>;
type Answer = oneshot::Sender<Outcome>;

/// What the writer is asked.
pub(super) enum Message {
    Write(Write),
    /// Ends it after what came before; answered when the file is closed.
    Close(oneshot::Sender<()>),
}

/// The writer's own.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) backend: Box<dyn Backend>,
    pub(super) window: Window,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
    /// Objects of a batch that failed: it is unknown whether they are durable. `None` when the disk works.
    pub(super) doubt: Option<BTreeSet<Key>>,
}

/// A batch in the making.
#[derive(Default)]
struct Group {
    /// What the batch did so far.
    changed: BTreeMap<Key, Option<Arc<Record>>>,
    events: Vec<Logged>,
    /// Answers that must wait for the commit, because it is what they speak of.
    answers: Vec<(Answer, Outcome)>,
}

impl Writer {
    /// Writes until it is told to close or nobody is left to ask.
    pub(super) fn run(mut self, queue: Receiver<Message>) {
        // Also when this thread panics: then queued callers are answered by the fall of the queue.
        let _end = End(self.shared.clone());
        let closed = self.serve(&queue);
        drop((self, queue));
        if let Some(closed) = closed {
            _ = closed.send(());
        }
    }

    fn serve(&mut self, queue: &Receiver<Message>) -> Option<oneshot::Sender<()>> {
        loop {
            match self.gather(queue) {
                (writes, Next::Go) => self.write(writes),
                (writes, Next::End(closed)) => {
                    self.write(writes);
                    return closed;
                }
            }
        }
    }

    /// Waits for a write and takes what waits with it.
    fn gather(&self, queue: &Receiver<Message>) -> (Vec<Write>, Next) {
        let first = if self.doubt.is_some() {
            queue.recv_timeout(RETRY)
        } else {
            queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        let mut message = match first {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => return (Vec::new(), Next::Go),
            Err(RecvTimeoutError::Disconnected) => return (Vec::new(), Next::End(None)),
        };
        let (mut writes, mut bytes) = (Vec::new(), 0);
        loop {
            match message {
                Message::Write(write) => {
                    bytes += write.draft.as_ref().map_or(0, Draft::weight);
                    writes.push(write);
                }
                Message::Close(closed) => return (writes, Next::End(Some(closed))),
            }
            if writes.len() >= MOST_WRITES || bytes >= MOST_BYTES {
                return (writes, Next::Go);
            }
            match queue.try_recv() {
                Ok(next) => message = next,
                Err(_) => return (writes, Next::Go),
            }
        }
    }

    /// Writes what may be written of a batch, and answers all of it.
    pub(super) fn write(&mut self, writes: Vec<Write>) {
        if let Err(why) = self.settle_doubt() {
            for write in writes {
                _ = write.answer.send(Err(WriteError::Unavailable(why.clone())));
            }
            return;
        }
        let now = self.clock.now().as_millisecond();
        let mut group = Group::default();
        for write in writes {
            self.decide(write, now, &mut group);
        }
        if group.events.is_empty() {
            return;
        }
        let forget = self.shared.read(|state| {
            state
                .history
                .surplus(&group.events, &self.window, state.weight, now)
        });
        let revision = group.events.last().map_or(0, |logged| logged.event.revision);
        let started = Instant::now();
        let committed = self.backend.commit(&Batch {
            revision,
            events: &group.events,
            forget,
            amend: &[],
        });
        match committed {
            Ok(()) => {
                self.metrics.store_commit(started.elapsed());
                self.shared.publish(group.events, forget);
                for (answer, outcome) in group.answers {
                    _ = answer.send(outcome);
                }
            }
            Err(why) => {
                self.doubt = Some(group.changed.into_keys().collect());
                self.shared.set_health(Err(why.clone()));
                for (answer, _) in group.answers {
                    _ = answer.send(Err(WriteError::Unavailable(why.clone())));
                }
            }
        }
    }

    /// After a failure: sets straight what may or may not have been written, which also shows whether the disk works.
    fn settle_doubt(&mut self) -> Result<(), String> {
        let Some(doubt) = &self.doubt else {
            return Ok(());
        };
        let (revision, amend) = self.shared.read(|state| {
            let truth = |key: &Key| (key.clone(), state.get(key).cloned());
            (state.revision, doubt.iter().map(truth).collect::<Vec<_>>())
        });
        let batch = Batch {
            revision,
            amend: &amend,
            ..Batch::default()
        };
        let settled = self.backend.reopen().and_then(|()| self.backend.commit(&batch));
        self.shared.set_health(settled.clone());
        settled?;
        self.doubt = None;
        Ok(())
    }

    /// Checks one write against what is there now, the changes of this batch included.
    fn decide(&self, write: Write, now: i64, group: &mut Group) {
        let Write {
            key,
            expected,
            draft,
            answer,
        } = write;
        let in_batch = group.changed.get(&key);
        let uncommitted = in_batch.is_some();
        let (current, visible) = self.shared.read(|state| {
            let current = in_batch.map_or_else(|| state.get(&key).cloned(), Clone::clone);
            (current, state.revision)
        });
        let found = current
            .as_ref()
            .map_or(Expected::Nothing, |r| Expected::Revision(r.revision));
        if found != expected {
            let refusal = match (expected, current) {
                (Expected::Nothing, Some(record)) => WriteError::Exists(record),
                (_, current) => WriteError::Changed(current),
            };
            if uncommitted {
                group.answers.push((answer, Err(refusal)));
            } else {
                _ = answer.send(Err(refusal));
            }
            return;
        }
        let revision = visible + 1 + group.events.len() as u64;
        let record = draft.map(|draft| Arc::new(draft.record(key.clone(), revision)));
        let shown = match (&record, &current) {
            (Some(record), _) => record.clone(),
            (None, Some(last)) => Arc::new(last.under(revision)),
            // A deletion of nothing.
            (None, None) => {
                _ = answer.send(Err(WriteError::Changed(None)));
                return;
            }
        };
        group.changed.insert(key, record.clone());
        group.answers.push((answer, Ok(shown)));
        group.events.push(Logged {
            at: now,
            event: Arc::new(Event {
                revision,
                record,
                previous: current,
            }),
        });
    }
}

/// What comes after a batch.
enum Next {
    Go,
    End(Option<oneshot::Sender<()>>),
}

/// Says that nothing is written any more, however that came about.
pub(super) struct End(pub(super) Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.close(if std::thread::panicking() {
            "the writer of the store failed; a restart goes on from what is durable"
        } else {
            "the store is closed"
        });
    }
}

//! The audit file's writer: a thread of its own takes what deliveries tell it, so that none of them waits for a disk. What
//! cannot be written waits in memory, up to a bound; what is beyond is counted, and the next line that can be written says
//! so. Nothing here stops a delivery. The file is [`super::audit_file`]'s. Told by `audit_lines`, started by [`super::run`].

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{audit_file::AuditFile, context::Ring};
use crate::{
    audit::record::{Delivery, Record},
    clock::Clock,
    telemetry::metrics::Metrics,
};

/// Records that wait for the ring or for the disk.
const WAITING: usize = 4096;
/// Records on their way to the thread.
const ON_THE_WAY: usize = 4096;
/// How often the head is written when something has changed.
const HEAD: Duration = Duration::from_secs(60);
/// How long until it is tried again to open the file or to write.
const AGAIN: Duration = Duration::from_secs(1);

enum Message {
    Tell(Timestamp, Box<Delivery>),
    End,
}

/// Takes records; one that does nothing where no file is wanted.
#[derive(Clone, Default)]
pub struct Auditor {
    to: Option<SyncSender<Message>>,
    lost: Lost,
}

/// Records that were lost and of which the file does not say so yet.
#[derive(Clone, Default)]
struct Lost {
    untold: Arc<AtomicU64>,
    metrics: Metrics,
}

impl Lost {
    fn one_more(&self) {
        self.untold.fetch_add(1, Ordering::Relaxed);
        self.metrics.audited("lost", 1);
    }
}

/// Waits for the end of the thread.
#[derive(Default)]
pub struct Ending(Option<oneshot::Receiver<()>>);

impl Ending {
    /// Until everything that was told is written, or cannot be.
    pub async fn wait(self, auditor: &Auditor) {
        let (Some(ended), Some(to)) = (self.0, &auditor.to) else {
            return;
        };
        // Full means that the disk hangs: nobody waits for that.
        let _or_it_is_gone = to.try_send(Message::End);
        let _gone_is_ended = tokio::time::timeout(Duration::from_secs(5), ended).await;
    }
}

impl Auditor {
    /// Starts the thread, if there is a file to be written.
    #[must_use]
    pub fn start(
        path: Option<PathBuf>,
        ring: Arc<Ring>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> (Self, Ending) {
        let Some(path) = path else {
            return (Self::default(), Ending::default());
        };
        let (to, from) = sync_channel(ON_THE_WAY);
        let (ended, ending) = oneshot::channel();
        let lost = Lost {
            untold: Arc::default(),
            metrics,
        };
        let writer = Writer {
            path,
            ring,
            clock,
            lost: lost.clone(),
            waiting: VecDeque::new(),
            file: None,
            failing: false,
        };
        let run = move || {
            writer.run(&from);
            let _nobody_waits = ended.send(());
        };
        if let Err(error) = std::thread::Builder::new().name("audit".to_owned()).spawn(run) {
            tracing::error!(%error, "the audit file has no thread that writes it; nothing is written to it");
        }
        let auditor = Self { to: Some(to), lost };
        (auditor, Ending(Some(ending)))
    }

    /// Tells of one value. Never waits.
    pub fn tell(&self, at: Timestamp, delivery: Delivery) {
        let Some(to) = &self.to else { return };
        if to.try_send(Message::Tell(at, Box::new(delivery))).is_err() {
            self.lost.one_more();
        }
    }
}

struct Writer {
    path: PathBuf,
    ring: Arc<Ring>,
    clock: Arc<dyn Clock>,
    lost: Lost,
    waiting: VecDeque<(Timestamp, Record)>,
    file: Option<AuditFile>,
    failing: bool,
}

impl Writer {
    fn run(mut self, from: &Receiver<Message>) {
        let mut last_head = Instant::now();
        loop {
            self.write();
            let at_rest = self.waiting.is_empty() && self.file.is_some();
            let wait = if at_rest {
                HEAD.saturating_sub(last_head.elapsed())
            } else {
                AGAIN
            };
            let mut message = from.recv_timeout(wait);
            let mut ended = false;
            // All that is there becomes one write.
            loop {
                match message {
                    Ok(Message::Tell(at, delivery)) => self.take(at, *delivery),
                    Err(RecvTimeoutError::Timeout) => break,
                    Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => {
                        ended = true;
                        break;
                    }
                }
                message = from.recv_timeout(Duration::ZERO);
            }
            if ended {
                break;
            }
            if last_head.elapsed() >= HEAD {
                last_head = Instant::now();
                self.head(false);
            }
        }
        self.write();
        self.head(true);
        let lost = self.waiting.len();
        if lost > 0 {
            tracing::error!(lost, path = %self.path.display(), "the operator ends with records that could not be written");
        }
    }

    fn take(&mut self, at: Timestamp, delivery: Delivery) {
        if self.waiting.len() >= WAITING {
            self.lost.one_more();
        } else {
            self.waiting.push_back((at, Record::Delivery(delivery)));
        }
    }

    fn write(&mut self) {
        match self.try_write() {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!(path = %self.path.display(), "the audit file is written again");
            }
            Ok(()) => {}
            Err(error) if self.failing => {
                tracing::debug!(%error, "the audit file still cannot be written");
            }
            Err(error) => {
                self.failing = true;
                tracing::error!(
                    %error,
                    path = %self.path.display(),
                    "the audit file cannot be written; deliveries go on, and records wait in memory, at most {WAITING}"
                );
            }
        }
    }

    fn try_write(&mut self) -> std::io::Result<()> {
        let opener = self.ring.opener();
        // Without a ring nothing can be chained: records wait for it.
        let Ok(ring) = opener.ring() else { return Ok(()) };
        let root = ring.fingerprint_root_id().to_string();
        let known = match &self.file {
            Some(file) if file.is_as_left(&self.path) && file.root() == root => None,
            Some(file) => Some(Some(file.known(self.clock.now()))),
            None => Some(None),
        };
        let now = self.clock.now();
        if let Some(known) = known {
            let (file, why) = AuditFile::open(&self.path, (ring.chain_key(), root), known, now)?;
            self.file = Some(file);
            self.head(false);
            if let Some(wrong) = why {
                self.lost.metrics.audit_broken();
                tracing::error!(
                    path = %self.path.display(),
                    wrong = wrong.words(),
                    "the audit file is not as it was left; a new chain begins in it: run `supercargo audit verify`"
                );
            }
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let lost = self.lost.untold.load(Ordering::Relaxed);
        if self.waiting.is_empty() && lost == 0 {
            return Ok(());
        }
        let told = (lost > 0).then_some((now, Record::Lost { records: lost }));
        file.append(self.waiting.iter().chain(&told))?;
        let written = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        self.lost.metrics.audited("written", written);
        self.waiting.clear();
        self.lost.untold.fetch_sub(lost, Ordering::Relaxed);
        Ok(())
    }

    fn head(&mut self, closed: bool) {
        let now = self.clock.now();
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_head(&self.path, now, closed)
        {
            tracing::warn!(%error, path = %self.path.display(), "the head of the audit file cannot be written");
        }
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;

//! Where orders, answers to probes and lookups meet: the one lock around the roster, a mailbox per session, and a task per
//! question that is put again and again. Nothing is awaited under the lock, and nobody waits for a session: a mailbox holds
//! *which* members there is news about, so that it is as large as the roster at most, and a reader that comes back reads
//! what is so now. Decides nothing itself. Called by the name server, the sessions and [`super::serve`].

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use super::{
    prober::Prober,
    protocol::{Order, VERSION, Word},
    roster::{Found, Moment, Number, Question, Roster},
};
use crate::{
    clock::Clock,
    state::probe::{Check, Role},
};

/// With more, the oldest is closed: it belongs to an operator that was replaced long ago.
const SESSIONS: usize = 16;
/// So many replies that nobody has read keep the next order from being read.
const REPLIES: usize = 64;
/// So many words are written at a time.
const BATCH: usize = 256;

/// What is to be said in one session.
#[derive(Debug, Default)]
struct Mailbox {
    replies: VecDeque<Word>,
    news: BTreeSet<Number>,
    /// Of whom this session has heard, or will.
    told: BTreeSet<Number>,
    /// Something was put in, or the box is gone.
    filled: Arc<Notify>,
    /// Something was taken out.
    emptied: Arc<Notify>,
}

impl Mailbox {
    fn put(&mut self, news: impl IntoIterator<Item = Number>) {
        self.news.extend(news);
        self.filled.notify_one();
    }
}

#[derive(Debug)]
struct Inner {
    roster: Roster,
    mailboxes: BTreeMap<u64, Mailbox>,
    opened: u64,
    /// The questions that are put again and again.
    watches: BTreeMap<(Number, Role), AbortHandle>,
}

/// A session's place at the desk.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) id: u64,
    /// Something is to be said, or the seat is gone.
    pub(super) filled: Arc<Notify>,
    /// Something was said.
    pub(super) emptied: Arc<Notify>,
}

/// See the file's header.
pub(super) struct Desk {
    inner: Mutex<Inner>,
    orders: watch::Sender<()>,
    prober: Prober,
    clock: Arc<dyn Clock>,
    began: Instant,
}

impl Desk {
    pub(super) fn new(namespace: &str, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                roster: Roster::new(namespace),
                mailboxes: BTreeMap::new(),
                opened: 0,
                watches: BTreeMap::new(),
            }),
            orders: watch::Sender::new(()),
            prober: Prober::default(),
            clock,
            began: Instant::now(),
        })
    }

    /// What a name is now.
    pub(super) fn find(&self, name: &str) -> Found {
        self.lock().roster.find(name)
    }

    /// Changes with every order.
    pub(super) fn orders(&self) -> watch::Receiver<()> {
        self.orders.subscribe()
    }

    /// Begins a session.
    pub(super) fn open(&self) -> Seat {
        let mut inner = self.lock();
        while inner.mailboxes.len() >= SESSIONS {
            if let Some((_, oldest)) = inner.mailboxes.pop_first() {
                oldest.filled.notify_one();
                oldest.emptied.notify_one();
            }
        }
        inner.opened += 1;
        let mut mailbox = Mailbox::default();
        mailbox.replies.push_back(Word::Hello {
            version: VERSION,
            namespace: inner.roster.namespace().to_owned(),
        });
        let seat = Seat {
            id: inner.opened,
            filled: Arc::clone(&mailbox.filled),
            emptied: Arc::clone(&mailbox.emptied),
        };
        inner.mailboxes.insert(seat.id, mailbox);
        seat
    }

    /// Ends a session.
    pub(super) fn close(&self, seat: u64) {
        self.lock().mailboxes.remove(&seat);
    }

    /// Whether the session should read before it says more; none if it has been closed.
    pub(super) fn crowded(&self, seat: u64) -> Option<bool> {
        let inner = self.lock();
        inner
            .mailboxes
            .get(&seat)
            .map(|mailbox| mailbox.replies.len() >= REPLIES)
    }

    /// What to say next in a session, as much as is said at a time; none if it has been closed.
    pub(super) fn take(&self, seat: u64) -> Option<Vec<Word>> {
        let mut inner = self.lock();
        let Inner {
            roster, mailboxes, ..
        } = &mut *inner;
        let mailbox = mailboxes.get_mut(&seat)?;
        let mut words: Vec<Word> = mailbox.replies.drain(..).collect();
        while words.len() < BATCH
            && let Some(number) = mailbox.news.pop_first()
        {
            words.extend(roster.word(number));
        }
        mailbox.emptied.notify_one();
        Some(words)
    }

    /// Carries an order out, and puts what is to be said about it into the mailboxes.
    pub(super) fn order(self: &Arc<Self>, seat: u64, order: Order) {
        let now = self.now();
        let mut inner = self.lock();
        match order {
            Order::Only { deployments } => {
                let gone = inner.roster.only(&deployments);
                inner.forget(&gone);
            }
            Order::Set { members, .. } if members.iter().any(|member| has_command(&member.probes)) => {
                let message = "a probe that is a command cannot be asked from here".to_owned();
                inner.reply(seat, Word::Refused { message });
                return;
            }
            Order::Set {
                deployment,
                sequence,
                members,
            } => {
                let gone = inner.roster.set(&deployment, members, now);
                inner.forget(&gone);
                let runs: Vec<Number> = inner.roster.runs_of(&deployment).collect();
                for &number in &runs {
                    self.attend(&mut inner, number);
                }
                inner.reply(seat, Word::Applied { deployment, sequence });
                for mailbox in inner.mailboxes.values_mut() {
                    let unheard: Vec<Number> = runs
                        .iter()
                        .copied()
                        .filter(|run| mailbox.told.insert(*run))
                        .collect();
                    mailbox.put(unheard);
                }
            }
        }
        drop(inner);
        self.orders.send_replace(());
    }

    /// An order that could not be read.
    pub(super) fn refuse(&self, seat: u64, message: String) {
        self.lock().reply(seat, Word::Refused { message });
    }

    /// Begins to put the questions about a run that are to be put and are not yet.
    fn attend(self: &Arc<Self>, inner: &mut Inner, number: Number) {
        for role in Role::ALL {
            let key = (number, role);
            if inner.roster.due(number, role).is_some() && !inner.watches.contains_key(&key) {
                let watch = tokio::spawn(Arc::clone(self).watch(number, role));
                inner.watches.insert(key, watch.abort_handle());
            }
        }
    }

    /// Puts one question again and again, and never twice at once.
    async fn watch(self: Arc<Self>, number: Number, role: Role) {
        while let Some(at) = self.due(number, role) {
            sleep_until(self.began + at).await;
            let _turn = self.prober.turn().await;
            // What is asked may have changed in the meantime.
            let Some(question) = self.question(number, role) else {
                continue;
            };
            let asked = self.now().steady;
            // Its state is needed for a moment a period, so it is no part of the task's own.
            let answer = Box::pin(self.prober.ask(question)).await;
            self.told(number, role, asked, answer);
        }
    }

    fn due(&self, number: Number, role: Role) -> Option<Duration> {
        let mut inner = self.lock();
        let due = inner.roster.due(number, role);
        if due.is_none() {
            inner.watches.remove(&(number, role));
        }
        due
    }

    fn question(&self, number: Number, role: Role) -> Option<Question> {
        self.lock().roster.question(number, role)
    }

    fn told(self: &Arc<Self>, number: Number, role: Role, asked: Duration, answer: Result<(), String>) {
        let wall = self.clock.now();
        let mut inner = self.lock();
        if inner.roster.told(number, role, asked, answer, wall) {
            self.attend(&mut inner, number);
            for mailbox in inner.mailboxes.values_mut() {
                mailbox.put([number]);
            }
        }
    }

    fn now(&self) -> Moment {
        Moment {
            wall: self.clock.now(),
            steady: self.began.elapsed(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn reply(&mut self, seat: u64, word: Word) {
        if let Some(mailbox) = self.mailboxes.get_mut(&seat) {
            mailbox.replies.push_back(word);
            mailbox.filled.notify_one();
        }
    }

    fn forget(&mut self, gone: &[Number]) {
        for &number in gone {
            for role in Role::ALL {
                if let Some(watch) = self.watches.remove(&(number, role)) {
                    watch.abort();
                }
            }
            for mailbox in self.mailboxes.values_mut() {
                mailbox.told.remove(&number);
                mailbox.news.remove(&number);
            }
        }
    }
}

fn has_command(probes: &crate::state::probe::Probes) -> bool {
    let mut asked = Role::ALL.into_iter().filter_map(|role| probes.get(role));
    asked.any(|probe| matches!(probe.check, Check::Exec { .. }))
}

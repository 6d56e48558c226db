//! When delivered files are compared again with what they are to be: in an interval, at another moment for each deployment; a
//! minute after a change, which also collects what was replaced; and when somebody asks. Remembered by this process only:
//! one that begins anew looks anyway. Decides no comparison. Asked by [`super::deployment`] and `telling`.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

/// After a change: a holder keeps what was replaced for a minute, and a little more makes it a minute on its clock, too.
const AFTER_CHANGE: SignedDuration = SignedDuration::from_secs(65);

/// See the file's header. By the uid of an object.
pub struct Checks {
    /// Never in an interval, when zero.
    interval: SignedDuration,
    due: Mutex<BTreeMap<String, Timestamp>>,
}

impl Checks {
    /// In this interval; zero for never.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self {
            interval: SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX),
            due: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it is due; `None` for never.
    pub fn due(&self, uid: &str, now: Timestamp) -> Option<Timestamp> {
        let mut due = self.lock();
        if let Some(at) = due.get(uid) {
            return Some(*at);
        }
        let at = self.next(now, share(uid))?;
        due.insert(uid.to_owned(), at);
        Some(at)
    }

    /// Later by a share of the interval, in hundredths.
    fn next(&self, now: Timestamp, hundredths: i32) -> Option<Timestamp> {
        if self.interval.is_zero() {
            return None;
        }
        let wait = self.interval.checked_div(100)?.checked_mul(hundredths)?;
        now.checked_add(wait).ok()
    }

    /// It has been done.
    pub fn done(&self, uid: &str, now: Timestamp) {
        let mut due = self.lock();
        match self.next(now, 100) {
            Some(at) => due.insert(uid.to_owned(), at),
            None => due.remove(uid),
        };
    }

    /// Files were changed.
    pub fn changed(&self, uid: &str, now: Timestamp) {
        self.at_latest(uid, now.checked_add(AFTER_CHANGE).unwrap_or(now));
    }

    /// Somebody asks for it.
    pub fn asked(&self, uid: &str, now: Timestamp) {
        self.at_latest(uid, now);
    }

    fn at_latest(&self, uid: &str, at: Timestamp) {
        let mut due = self.lock();
        let known = due.entry(uid.to_owned()).or_insert(at);
        *known = at.min(*known);
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }
}

/// Half an interval to a whole one, always the same for one object: so that a start does not look everywhere at once.
fn share(uid: &str) -> i32 {
    let sum = uid.bytes().fold(17_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    50 + i32::try_from(sum % 51).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).unwrap()
    }

    #[test]
    fn deployments_take_their_turns_within_an_interval() {
        let checks = Checks::every(Duration::from_secs(600));
        let first: Vec<_> = (0..50)
            .map(|n| checks.due(&format!("uid-{n}"), at(0)).unwrap())
            .collect();
        assert!(first.iter().all(|due| (at(300)..=at(600)).contains(due)));
        let different: std::collections::BTreeSet<_> = first.iter().collect();
        assert!(different.len() > 20, "{}", different.len());
        assert_eq!(
            checks.due("uid-1", at(500)),
            Some(first[1]),
            "the same when asked again"
        );
        checks.done("uid-1", first[1]);
        let again = first[1] + SignedDuration::from_secs(600);
        assert_eq!(checks.due("uid-1", again), Some(again));
    }

    #[test]
    fn a_change_and_a_question_bring_it_forward_and_never_back() {
        let checks = Checks::every(Duration::from_secs(600));
        let _ = checks.due("a", at(0));
        checks.changed("a", at(0));
        assert_eq!(checks.due("a", at(0)), Some(at(65)));
        checks.asked("a", at(10));
        checks.changed("a", at(11));
        assert_eq!(checks.due("a", at(11)), Some(at(10)));
    }

    #[test]
    fn never_is_never_but_after_a_change_and_when_asked() {
        let checks = Checks::every(Duration::ZERO);
        assert_eq!(checks.due("a", at(0)), None);
        checks.changed("a", at(0));
        assert_eq!(checks.due("a", at(1)), Some(at(65)));
        checks.done("a", at(65));
        assert_eq!(checks.due("a", at(65)), None);
        checks.asked("a", at(70));
        checks.forget("a");
        assert_eq!(checks.due("a", at(71)), None);
    }
}

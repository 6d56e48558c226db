//! Restarts: how often a container has been started again, and when it may be next. One restarter, this one: all our
//! containers have the engine's policy `no`. Derived from what was seen and what the status says, so that a lost status
//! costs a count and nothing else. Read by `plan` (when) and `status` (how often).
//!
//! ```text
//! exit 1 -> at once   exit 2 -> 10 s   3 -> 20 s   4 -> 40 s ... -> 5 min   ten healthy minutes -> from the beginning
//! ```

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::state::container::ContainerView;

const FIRST_DELAY: i64 = 10;
const LONGEST_DELAY: i64 = 300;
const HEALTHY_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// What is remembered of one container between two looks; the status holds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restarts {
    /// How often it was started again, ever.
    pub total: u32,
    /// How often since it last ran for ten minutes.
    pub streak: u32,
    /// When the run that was last seen had started.
    pub started_at: Option<Timestamp>,
    /// When the run that was last seen to end had ended.
    pub ended_at: Option<Timestamp>,
}

/// Brings the memory up to date with a look at the container. Looking twice at the same thing changes nothing.
#[must_use]
pub fn account(before: Restarts, view: &ContainerView) -> Restarts {
    let mut after = before;
    if let (Some(seen), Some(now)) = (before.started_at, view.started_at)
        && later(seen, now)
    {
        let ran_for = before
            .ended_at
            .filter(|ended| *ended >= seen)
            .unwrap_or(now)
            .duration_since(seen);
        after.total = before.total.saturating_add(1);
        after.streak = if ran_for >= HEALTHY_AFTER {
            1
        } else {
            before.streak.saturating_add(1)
        };
        after.ended_at = None;
    }
    if view.started_at.is_some() {
        after.started_at = view.started_at;
    }
    if let Some(exit) = &view.exit {
        after.ended_at = Some(exit.finished_at);
    }
    after
}

/// Whether a run began after the one that is remembered. A status keeps whole seconds (as all of Kubernetes does), so the
/// same run comes back a little earlier than it was; our own restarts are counted before a status is written.
fn later(seen: Timestamp, now: Timestamp) -> bool {
    if seen.subsec_nanosecond() == 0 {
        now.as_second() > seen.as_second()
    } else {
        // The status keeps microseconds.
        now.as_microsecond() > seen.as_microsecond()
    }
}

/// When an ended container may start again; a moment that has passed means now. A run of ten minutes forgives all.
#[must_use]
pub fn due(restarts: Restarts, view: &ContainerView, now: Timestamp) -> Timestamp {
    let Some(exit) = &view.exit else { return now };
    let ran_for = view
        .started_at
        .map(|at| exit.finished_at.duration_since(at))
        .unwrap_or_default();
    if ran_for >= HEALTHY_AFTER {
        return exit.finished_at;
    }
    let delay = delay(restarts.streak);
    // The engine's clock may be ahead of ours: never wait longer than one delay from now.
    (exit.finished_at + delay).min(now + delay)
}

/// How long to wait after the run that followed `streak` restarts.
#[must_use]
pub fn delay(streak: u32) -> SignedDuration {
    if streak == 0 {
        return SignedDuration::ZERO;
    }
    let doubled = FIRST_DELAY.saturating_mul(1_i64 << (streak - 1).min(16));
    SignedDuration::from_secs(doubled.min(LONGEST_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::view;
    use crate::state::container::{ExitInfo, RunState};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn exited(started: i64, finished: i64) -> ContainerView {
        let mut view = view("web", 0, "r1");
        view.state = RunState::Exited;
        view.started_at = Some(at(started));
        view.exit = Some(ExitInfo {
            code: 1,
            oom_killed: false,
            finished_at: at(finished),
        });
        view
    }

    #[test]
    fn first_restart_is_at_once_then_ten_seconds_doubling_to_five_minutes() {
        let seconds: Vec<i64> = (0..8).map(|n| delay(n).as_secs()).collect();
        assert_eq!(seconds, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(delay(u32::MAX).as_secs(), 300);
    }

    #[test]
    fn looking_twice_counts_once() {
        let once = account(Restarts::default(), &exited(0, 1));
        assert_eq!(once.total, 0);
        let again = account(once, &exited(1, 2));
        assert_eq!((again.total, again.streak), (1, 1));
        assert_eq!(account(again, &exited(1, 2)), again);
    }

    #[test]
    fn a_status_that_keeps_whole_seconds_counts_nothing() {
        let mut view = exited(0, 1);
        view.started_at = Some(at(0) + SignedDuration::from_millis(900));
        let recalled = Restarts {
            started_at: Some(at(0)),
            ..Restarts::default()
        };
        assert_eq!(account(recalled, &view).total, 0);
    }

    #[test]
    fn ten_healthy_minutes_begin_a_new_streak() {
        let mut restarts = Restarts {
            total: 7,
            streak: 7,
            started_at: Some(at(0)),
            ended_at: None,
        };
        let view = exited(0, 600);
        restarts = account(restarts, &view);
        assert_eq!(due(restarts, &view, at(600)), at(600));
        restarts = account(restarts, &exited(601, 602));
        assert_eq!((restarts.total, restarts.streak), (8, 1));
        assert_eq!(due(restarts, &exited(601, 602), at(602)), at(612));
    }

    #[test]
    fn a_missing_status_means_zero() {
        assert_eq!(due(Restarts::default(), &exited(0, 5), at(5)), at(5));
    }

    #[test]
    fn an_engine_whose_clock_is_ahead_delays_no_longer_than_one_delay() {
        let restarts = Restarts {
            streak: 1,
            ..Restarts::default()
        };
        assert_eq!(due(restarts, &exited(9_000, 9_001), at(0)), at(10));
    }
}

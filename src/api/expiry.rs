//! What the dates of a `DockerSecret` mean at a moment: whether its values are current, due, ending or ended, when that is
//! to be looked at again, and whether new containers may still be given them. Follows the clock, but not each of its small
//! steps: what has been told stays told until the clock is hours away from it. Decides nothing about containers.
//! Called by `secrets`, `status`, `admission`, the controller of secrets and `secret list`.

use jiff::{SignedDuration, Timestamp};

use super::{
    condition::{ConditionType, Reason},
    secret::DockerSecret,
};

/// How long before `notAfter` people are told.
pub const WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);
/// The longest time between two looks at a secret with dates: clocks are set, hosts sleep, and a reminder is due.
pub const LOOK: SignedDuration = SignedDuration::from_hours(24);
/// How far before its moment what was told is taken back: a clock that is corrected, or set by an hour, takes nothing back.
const SETTLED: SignedDuration = SignedDuration::from_hours(2);

/// How far a secret is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It has dates, and none of them is near.
    Current,
    /// `rotateAfter` has passed.
    Due,
    /// `notAfter` is at most [`WARNING`] away.
    Ending,
    /// `notAfter` has passed.
    Ended,
}

/// How far it is; `None` without dates.
#[must_use]
pub fn stage(secret: &DockerSecret, now: Timestamp) -> Option<Stage> {
    let (not_after, rotate_after) = dates(secret);
    if not_after.is_none() && rotate_after.is_none() {
        return None;
    }
    let told = told(secret);
    let within = |date: Option<Timestamp>, ahead: SignedDuration, before: bool| {
        let slack = if before { SETTLED } else { SignedDuration::ZERO };
        date.is_some_and(|date| date.duration_since(now) <= ahead + slack)
    };
    Some(
        if within(not_after, SignedDuration::ZERO, told == Some(Stage::Ended)) {
            Stage::Ended
        } else if within(not_after, WARNING, told.is_some()) {
            Stage::Ending
        } else if within(rotate_after, SignedDuration::ZERO, told.is_some()) {
            Stage::Due
        } else {
            Stage::Current
        },
    )
}

/// When to look again: at the next date or at the first warning of one, and once a day. `None` without dates.
#[must_use]
pub fn next_look(secret: &DockerSecret, now: Timestamp) -> Option<SignedDuration> {
    let (not_after, rotate_after) = dates(secret);
    let end = not_after.map(|date| date.duration_since(now));
    let due = rotate_after.map(|date| date.duration_since(now));
    if end.is_none() && due.is_none() {
        return None;
    }
    let moments = [end.map(|left| left - WARNING), due, end];
    let ahead = moments.into_iter().flatten().filter(|left| left.is_positive());
    Some(ahead.min().unwrap_or(LOOK).min(LOOK))
}

/// When its values ended, if that keeps them from new containers.
#[must_use]
pub fn stopped(secret: &DockerSecret, now: Timestamp) -> Option<Timestamp> {
    let stops = secret.spec.stop_use == Some(true) && stage(secret, now) == Some(Stage::Ended);
    dates(secret).0.filter(|_| stops)
}

fn dates(secret: &DockerSecret) -> (Option<Timestamp>, Option<Timestamp>) {
    let time = |time: &Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| Some(time.as_ref()?.0);
    (time(&secret.spec.not_after), time(&secret.spec.rotate_after))
}

/// What people have been told of these dates; what was said of an earlier spec counts for nothing.
fn told(secret: &DockerSecret) -> Option<Stage> {
    let conditions = &secret.status.as_ref()?.conditions;
    let told = conditions.iter().find(|c| {
        c.type_ == ConditionType::ExpiringSoon.as_str()
            && c.status == "True"
            && c.observed_generation == secret.metadata.generation
    })?;
    let ended = told.reason == Reason::SecretExpired.as_str();
    Some(if ended { Stage::Ended } else { Stage::Ending })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

    use super::*;
    use crate::api::secret::DockerSecretStatus;

    const DAY: i64 = 86_400;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn dated(not_after: Option<i64>, rotate_after: Option<i64>) -> DockerSecret {
        let mut secret = DockerSecret::default();
        secret.spec.not_after = not_after.map(|second| Time(at(second)));
        secret.spec.rotate_after = rotate_after.map(|second| Time(at(second)));
        secret.metadata.generation = Some(1);
        secret
    }

    fn tell(secret: &mut DockerSecret, reason: Reason) {
        secret.status = Some(DockerSecretStatus {
            conditions: vec![Condition {
                type_: "ExpiringSoon".to_owned(),
                status: "True".to_owned(),
                reason: reason.to_string(),
                message: String::new(),
                observed_generation: Some(1),
                last_transition_time: Time(at(0)),
            }],
            ..DockerSecretStatus::default()
        });
    }

    #[test]
    fn a_secret_is_ending_for_two_weeks_due_from_its_date_and_ended_from_its_last_moment() {
        let secret = dated(Some(100 * DAY), Some(50 * DAY));
        for (second, expected) in [
            (50 * DAY - 1, Stage::Current),
            (50 * DAY, Stage::Due),
            (86 * DAY - 1, Stage::Due),
            (86 * DAY, Stage::Ending),
            (100 * DAY - 1, Stage::Ending),
            (100 * DAY, Stage::Ended),
            (900 * DAY, Stage::Ended),
        ] {
            assert_eq!(stage(&secret, at(second)), Some(expected), "{second}");
        }
        assert_eq!(stage(&dated(None, None), at(0)), None);
    }

    #[test]
    fn the_next_look_is_at_the_next_change_and_within_a_day() {
        let secret = dated(Some(100 * DAY), Some(50 * DAY));
        let look = |second| next_look(&secret, at(second)).map(|wait| wait.as_secs());
        for (second, wait) in [
            (0, DAY),
            (50 * DAY - 10, 10),
            (50 * DAY, DAY),
            (86 * DAY - 20, 20),
            (100 * DAY - 30, 30),
            (100 * DAY, DAY),
        ] {
            assert_eq!(look(second), Some(wait), "{second}");
        }
        assert_eq!(next_look(&dated(None, None), at(0)), None);
    }

    #[test]
    fn a_clock_that_is_set_back_an_hour_takes_nothing_back_and_one_that_was_days_ahead_does() {
        let mut secret = dated(Some(100 * DAY), None);
        assert_eq!(stage(&secret, at(100 * DAY - 3_600)), Some(Stage::Ending));
        tell(&mut secret, Reason::SecretExpired);
        assert_eq!(stage(&secret, at(100 * DAY - 3_600)), Some(Stage::Ended));
        assert_eq!(stage(&secret, at(99 * DAY)), Some(Stage::Ending));
        tell(&mut secret, Reason::SecretExpiring);
        assert_eq!(
            stage(&secret, at(100 * DAY - 1)),
            Some(Stage::Ending),
            "not ended early"
        );
        assert_eq!(stage(&secret, at(86 * DAY - 3_600)), Some(Stage::Ending));
        assert_eq!(stage(&secret, at(85 * DAY)), Some(Stage::Current));
    }

    #[test]
    fn what_was_told_of_an_earlier_spec_counts_for_nothing() {
        let mut secret = dated(Some(100 * DAY), None);
        tell(&mut secret, Reason::SecretExpired);
        secret.metadata.generation = Some(2);
        assert_eq!(stage(&secret, at(100 * DAY - 60)), Some(Stage::Ending));
    }

    #[test]
    fn use_stops_at_the_end_and_only_where_that_is_asked_for() {
        let mut secret = dated(Some(100 * DAY), None);
        assert_eq!(stopped(&secret, at(101 * DAY)), None);
        secret.spec.stop_use = Some(true);
        assert_eq!(stopped(&secret, at(100 * DAY - 1)), None);
        assert_eq!(stopped(&secret, at(100 * DAY)), Some(at(100 * DAY)));
        secret.spec.stop_use = Some(false);
        assert_eq!(stopped(&secret, at(101 * DAY)), None);
    }
}

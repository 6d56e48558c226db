//! A list of conditions while it is put together: what is set is there, what is dropped is not, and a transition time
//! moves if and only if the status of its condition does (API conventions, "Typical status properties").

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::condition::{ConditionType, Reason};

/// The longest message that the API server takes.
const LONGEST_MESSAGE: usize = 32_768;

/// Conditions of one object at one generation.
pub struct Conditions<'a> {
    before: &'a [Condition],
    now: Timestamp,
    generation: i64,
    made: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    /// Starts from what the object says now.
    #[must_use]
    pub fn after(before: &'a [Condition], generation: i64, now: Timestamp) -> Self {
        Self {
            before,
            now,
            generation,
            made: Vec::new(),
        }
    }

    /// Sets one.
    pub fn set(&mut self, kind: ConditionType, status: bool, reason: Reason, message: impl Into<String>) {
        let mut message: String = message.into();
        if message.len() > LONGEST_MESSAGE {
            let cut = (0..=LONGEST_MESSAGE - 3)
                .rev()
                .find(|at| message.is_char_boundary(*at))
                .unwrap_or(0);
            message.truncate(cut);
            message.push('…');
        }
        let status = if status { "True" } else { "False" };
        let same = self
            .before
            .iter()
            .find(|c| c.type_ == kind.as_str() && c.status == status);
        self.made.retain(|c| c.type_ != kind.as_str());
        self.made.push(Condition {
            type_: kind.as_str().to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message,
            observed_generation: Some(self.generation),
            last_transition_time: same.map_or(Time(self.now), |c| c.last_transition_time.clone()),
        });
    }

    /// The whole list, sorted by type.
    #[must_use]
    pub fn finish(mut self) -> Vec<Condition> {
        self.made.sort_by(|a, b| a.type_.cmp(&b.type_));
        self.made
    }
}

/// Finds a condition.
#[must_use]
pub fn find(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == kind.as_str())
}

/// Whether a condition is there and true.
#[must_use]
pub fn is_true(conditions: &[Condition], kind: ConditionType) -> bool {
    find(conditions, kind).is_some_and(|c| c.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn one(before: &[Condition], status: bool, second: i64) -> Vec<Condition> {
        let mut conditions = Conditions::after(before, 1, at(second));
        conditions.set(ConditionType::Ready, status, Reason::RolloutComplete, "m");
        conditions.finish()
    }

    #[test]
    fn a_transition_time_moves_if_and_only_if_the_status_does() {
        let first = one(&[], true, 1);
        let second = one(&first, true, 2);
        assert_eq!(first, second);
        assert_eq!(one(&second, false, 3)[0].last_transition_time.0, at(3));
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        let mut conditions = Conditions::after(&[], 1, at(1));
        conditions.set(
            ConditionType::Ready,
            true,
            Reason::RolloutComplete,
            "ü".repeat(40_000),
        );
        assert!(conditions.finish()[0].message.len() <= LONGEST_MESSAGE);
    }
}

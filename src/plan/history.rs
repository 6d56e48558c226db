//! Decides what becomes of a deployment's history: which template gets an entry, which number it has, and which entries go.
//! As for StatefulSets, a template that comes back gets the highest number anew instead of a second entry, and the oldest
//! go first. What a container still runs is kept, and while it is not known what runs, nothing goes. Pure.
//! Called by `controllers`, which keeps the entries as ControllerRevisions.

use std::collections::BTreeSet;

use crate::state::revision::TemplateHash;

/// An entry as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, which its template gives.
    pub name: String,
    /// Its number; later ones are higher.
    pub number: i64,
    /// What containers that were made from it carry.
    pub hash: TemplateHash,
    /// Why it came, in a person's words.
    pub cause: Option<String>,
}

/// The template that is wanted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The name that its entry has or gets.
    pub name: String,
    /// What containers that are made from it carry.
    pub hash: TemplateHash,
    /// Why it came; absent leaves what the entry says.
    pub cause: Option<String>,
    /// Rollouts are held.
    pub paused: bool,
}

/// What is decided about.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// The template that is wanted; absent while the object is invalid.
    pub current: Option<Current>,
    /// The entries, in any order.
    pub entries: &'a [Entry],
    /// What the containers carry that are there, of any revision; absent while that is not known.
    pub live: Option<BTreeSet<TemplateHash>>,
    /// How many old entries are kept besides those that something runs from.
    pub limit: usize,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The current template gets an entry.
    Create(Entry),
    /// Its entry becomes this one, in what may change: number, hash, cause.
    Update(Entry),
    /// The entry of this name goes.
    Delete(String),
}

/// What is to be written; nothing when all is as it should be.
#[must_use]
pub fn changes(inputs: &Inputs<'_>) -> Vec<Change> {
    let Some(current) = &inputs.current else {
        return Vec::new();
    };
    let mut changes: Vec<Change> = entry(current, inputs).into_iter().collect();
    changes.extend(pruned(current, inputs).map(Change::Delete));
    changes
}

/// The entry of the current template, if it is to be written.
fn entry(current: &Current, inputs: &Inputs<'_>) -> Option<Change> {
    let others = || inputs.entries.iter().filter(|entry| entry.name != current.name);
    let highest = others().map(|entry| entry.number).max();
    let next = highest.map_or(1, |number| number.saturating_add(1));
    let made = |number, cause: &Option<String>| Entry {
        name: current.name.clone(),
        number,
        hash: current.hash.clone(),
        cause: cause.clone(),
    };
    let known = inputs.entries.iter().find(|entry| entry.name == current.name);
    // What is tried out while rollouts are held, and never runs, is no history.
    let runs = |hash| inputs.live.as_ref().is_some_and(|live| live.contains(hash));
    let held = current.paused && highest.is_some() && !runs(&current.hash);
    match known {
        _ if held => None,
        None => Some(Change::Create(made(next, &current.cause))),
        Some(known) => {
            let number = if highest.is_none_or(|highest| highest < known.number) {
                known.number
            } else {
                next
            };
            let wanted = made(
                number,
                current.cause.as_ref().map_or(&known.cause, |_| &current.cause),
            );
            (wanted != *known).then_some(Change::Update(wanted))
        }
    }
}

/// The names of those that go.
fn pruned(current: &Current, inputs: &Inputs<'_>) -> impl Iterator<Item = String> {
    let known =
        |hash: &TemplateHash| current.hash == *hash || inputs.entries.iter().any(|entry| entry.hash == *hash);
    // A container of before a restart carries a hash that no entry has any more: until it is gone, nobody can say which
    // entry is its own.
    let live = inputs.live.as_ref().filter(|live| live.iter().all(known));
    let mut old: Vec<&Entry> = live
        .map(|live| {
            let idle = |entry: &&Entry| entry.name != current.name && !live.contains(&entry.hash);
            inputs.entries.iter().filter(idle).collect()
        })
        .unwrap_or_default();
    old.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
    old.truncate(old.len().saturating_sub(inputs.limit));
    old.into_iter().map(|entry| entry.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(name: &str) -> TemplateHash {
        TemplateHash(format!("t1-{name}"))
    }

    fn past(name: &str, number: i64) -> Entry {
        Entry {
            name: name.to_owned(),
            number,
            hash: hash(name),
            cause: None,
        }
    }

    fn now(name: &str) -> Current {
        Current {
            name: name.to_owned(),
            hash: hash(name),
            cause: None,
            paused: false,
        }
    }

    fn inputs<'a>(current: Current, entries: &'a [Entry], live: &[&str]) -> Inputs<'a> {
        Inputs {
            current: Some(current),
            entries,
            live: Some(live.iter().map(|name| hash(name)).collect()),
            limit: 10,
        }
    }

    #[test]
    fn the_first_template_is_number_one_and_the_next_ones_count_up() {
        assert_eq!(
            changes(&inputs(now("a"), &[], &[])),
            [Change::Create(past("a", 1))]
        );
        let entries = [past("b", 4), past("a", 1)];
        assert_eq!(
            changes(&inputs(now("c"), &entries, &["b"])),
            [Change::Create(past("c", 5))]
        );
    }

    #[test]
    fn what_is_written_already_is_not_written_again() {
        let entries = [past("a", 1), past("b", 2)];
        assert_eq!(changes(&inputs(now("b"), &entries, &["a", "b"])), []);
    }

    #[test]
    fn a_template_that_comes_back_gets_the_highest_number() {
        let entries = [past("a", 1), past("b", 2)];
        assert_eq!(
            changes(&inputs(now("a"), &entries, &["b"])),
            [Change::Update(past("a", 3))]
        );
    }

    #[test]
    fn of_two_with_one_number_the_current_one_goes_ahead() {
        let entries = [past("a", 2), past("b", 2)];
        assert_eq!(
            changes(&inputs(now("b"), &entries, &[])),
            [Change::Update(past("b", 3))]
        );
    }

    #[test]
    fn the_cause_of_the_current_one_follows_the_object_and_stays_when_it_is_taken_off() {
        let entries = [Entry {
            cause: Some("first".to_owned()),
            ..past("a", 1)
        }];
        assert_eq!(changes(&inputs(now("a"), &entries, &["a"])), []);
        let cause = Some("second".to_owned());
        let current = Current {
            cause: cause.clone(),
            ..now("a")
        };
        assert_eq!(
            changes(&inputs(current, &entries, &["a"])),
            [Change::Update(Entry {
                cause,
                ..past("a", 1)
            })]
        );
    }

    #[test]
    fn a_restart_changes_the_hash_of_its_entry_and_nothing_goes_until_the_old_containers_are_gone() {
        let entries = [past("a", 1), past("b", 2)];
        let current = Current {
            hash: hash("b-again"),
            ..now("b")
        };
        let restarted = Entry {
            hash: hash("b-again"),
            ..past("b", 2)
        };
        let mut inputs = inputs(current, &entries, &["b"]);
        inputs.limit = 0;
        assert_eq!(
            changes(&inputs),
            [Change::Update(restarted.clone()), Change::Delete("a".to_owned())]
        );
        let entries = [past("a", 1), restarted];
        inputs.entries = &entries;
        assert_eq!(changes(&inputs), []);
        inputs.live = Some([hash("b-again")].into());
        assert_eq!(changes(&inputs), [Change::Delete("a".to_owned())]);
    }

    #[test]
    fn the_oldest_go_and_what_runs_stays() {
        let entries = [
            past("e", 5),
            past("a", 1),
            past("b", 2),
            past("c", 3),
            past("d", 4),
        ];
        let mut inputs = inputs(now("e"), &entries, &["a", "e"]);
        inputs.limit = 1;
        let delete = |name: &str| Change::Delete(name.to_owned());
        assert_eq!(changes(&inputs), [delete("b"), delete("c")]);
        inputs.limit = 0;
        assert_eq!(changes(&inputs), [delete("b"), delete("c"), delete("d")]);
        inputs.live = None;
        assert_eq!(changes(&inputs), []);
    }

    #[test]
    fn an_invalid_object_leaves_the_history_as_it_is() {
        let entries = [past("a", 1), past("b", 2)];
        let mut inputs = inputs(now("a"), &entries, &[]);
        inputs.current = None;
        inputs.limit = 0;
        assert_eq!(changes(&inputs), []);
    }

    #[test]
    fn what_is_only_tried_out_while_rollouts_are_held_is_no_history() {
        let paused = |name: &str| Current {
            paused: true,
            ..now(name)
        };
        let entries = [past("a", 1)];
        assert_eq!(changes(&inputs(paused("b"), &entries, &["a"])), []);
        assert_eq!(
            changes(&inputs(paused("b"), &entries, &["a", "b"])),
            [Change::Create(past("b", 2))]
        );
        assert_eq!(
            changes(&inputs(paused("a"), &[], &[])),
            [Change::Create(past("a", 1))]
        );
    }

    #[test]
    fn what_was_decided_leaves_nothing_to_decide() {
        for names in [&["a", "b", "c", "a", "d", "b"][..], &["a", "a", "b", "a"]] {
            let mut entries: Vec<Entry> = Vec::new();
            for name in names {
                for _ in 0..2 {
                    let mut inputs = inputs(now(name), &entries, &[name]);
                    inputs.limit = 2;
                    let made = changes(&inputs);
                    for change in &made {
                        match change {
                            Change::Create(entry) => entries.push(entry.clone()),
                            Change::Update(entry) => {
                                entries.retain(|known| known.name != entry.name);
                                entries.push(entry.clone());
                            }
                            Change::Delete(name) => entries.retain(|known| known.name != *name),
                        }
                    }
                }
                let mut inputs = inputs(now(name), &entries, &[name]);
                inputs.limit = 2;
                assert_eq!(changes(&inputs), []);
                assert!(entries.len() <= 3);
                let newest = entries.iter().max_by_key(|entry| entry.number).unwrap();
                assert_eq!(newest.name, *name);
            }
        }
    }
}

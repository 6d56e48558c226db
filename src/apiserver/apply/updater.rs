//! Who owns what after a write: applying (merge, prune, conflicts) and tracking every other write. Owns these two
//! decisions over sets; reads and writes no `managedFields` and makes no status. As structured-merge-diff's `Updater`
//! with the wrappers of apimachinery's `managedfields`. Called by `mod.rs` and `scale`.

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    compare::compare,
    element::same,
    entries::{self, Entry, Operation, Owner},
    field_set::{add_structs, field_set},
    merge::merge,
    remove::remove,
    set::Set,
    shape::Typed,
};

/// The manager that owns what was there before anybody applied.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// What a write is about.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The type of the object.
    pub typed: Typed<'a>,
    /// The version of its paths.
    pub api_version: &'a str,
    /// Empty, `status`, `scale`.
    pub subresource: &'a str,
    /// Who writes.
    pub manager: &'a str,
    /// When.
    pub at: Timestamp,
    /// The kind is built in.
    pub built_in: bool,
    /// Paths that this endpoint does not write, with all below them.
    pub reset: Option<&'a Set>,
}

impl Terms<'_> {
    fn owner(&self, operation: Operation) -> Owner {
        let manager = if self.manager.is_empty() {
            "unknown"
        } else {
            self.manager
        };
        Owner {
            manager: manager.to_owned(),
            operation,
            api_version: self.api_version.to_owned(),
            subresource: self.subresource.to_owned(),
        }
    }
}

/// What applying came to.
#[derive(Debug)]
pub struct Applied {
    /// Live with the configuration merged in and with what was dropped taken out.
    pub object: Value,
    /// Who owns what now.
    pub entries: Vec<Entry>,
}

/// A manager and what it owns of that which would change.
#[derive(Debug)]
pub struct Conflict {
    /// Who.
    pub owner: Owner,
    /// What.
    pub set: Set,
}

/// Fields that every object has and nobody owns.
static STRIPPED: LazyLock<Set> = LazyLock::new(|| {
    let mut set = Set::default();
    for field in ["apiVersion", "kind", "metadata"] {
        set.add(Set::of_fields(&[field]));
    }
    for field in [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ] {
        set.add(Set::of_fields(&["metadata", field]));
    }
    set
});

/// Structs that an object of a built-in kind has even when they are empty: nobody adds them.
static ALWAYS_THERE: LazyLock<Set> = LazyLock::new(|| {
    let mut set = Set::default();
    for path in [
        &["spec"][..],
        &["status"],
        &["source"],
        &["deprecatedSource"],
        &["spec", "names"],
        &["status", "acceptedNames"],
    ] {
        set.add(Set::of_fields(path));
    }
    set
});

/// Tracks a write from `old` to `new`: the writer owns what it added or modified, the others lose that and what is gone.
pub fn track(entries: &mut Vec<Entry>, old: &Value, new: &Value, terms: &Terms<'_>) {
    let mut changes = compare(terms.typed, old, new);
    if let Some(reset) = terms.reset {
        changes.leave_out(reset);
    }
    let mut mine = changes.added;
    mine.add(changes.modified);
    take(entries, &mine, &changes.removed);
    mine.subtract(&STRIPPED);
    if terms.built_in {
        mine.subtract(&ALWAYS_THERE);
    }
    if mine.is_empty() {
        return;
    }
    let owner = terms.owner(Operation::Update);
    match entries.iter_mut().find(|entry| entry.owner.is(&owner)) {
        Some(entry) => {
            entry.set_mut().add(mine);
            entry.time = Some(terms.at);
        }
        None => entries.push(Entry::new(owner, Some(terms.at), mine)),
    }
    entries::cap(entries);
}

/// Takes the two sets away from every entry, and entries that own nothing.
fn take(entries: &mut Vec<Entry>, changed: &Set, removed: &Set) {
    for entry in entries.iter_mut() {
        for set in [changed, removed] {
            if entry.overlaps(set) {
                entry.set_mut().subtract(set);
            }
        }
    }
    entries.retain(|entry| !entry.is_empty());
}

/// Applies `config` to `live`. `forgiven` says which conflicts are none.
///
/// # Errors
/// The conflicts, in the order of their managers, without `force`.
pub fn apply(
    live: &Value,
    config: &Value,
    mut entries: Vec<Entry>,
    force: bool,
    forgiven: &dyn Fn() -> Option<Set>,
    terms: &Terms<'_>,
) -> Result<Applied, Vec<Conflict>> {
    if entries.is_empty() {
        let before = Terms {
            manager: BEFORE_FIRST_APPLY,
            ..*terms
        };
        track(&mut entries, &Value::Null, live, &before);
    }
    let me = terms.owner(Operation::Apply);
    let mut set = field_set(terms.typed, config);
    if let Some(reset) = terms.reset {
        set.subtract_below(reset);
    }
    let last = entries
        .iter()
        .position(|entry| entry.owner.is(&me))
        .map(|at| entries.swap_remove(at));
    let mut object = merge(terms.typed, live, config);
    if let Some(last) = &last {
        let last = last.set();
        if !last.is_within(&set) {
            object = prune(terms.typed, object, &last, owned(&entries, &set));
        }
    }
    let mut changes = compare(terms.typed, live, &object);
    if let Some(reset) = terms.reset {
        changes.leave_out(reset);
    }
    let mut changed = changes.added;
    changed.add(changes.modified);
    if !force {
        refuse_conflicts(&entries, &changed, forgiven)?;
    }
    take(&mut entries, &changed, &changes.removed);
    set.subtract(&STRIPPED);
    let time = if same(live, &object) {
        // As it was, down to how numbers are written.
        object = live.clone();
        last.and_then(|last| last.time)
    } else {
        Some(terms.at)
    };
    if !set.is_empty() {
        entries.push(Entry::new(me, time, set));
    }
    Ok(Applied { object, entries })
}

fn owned(entries: &[Entry], mine: &Set) -> Set {
    let mut all = mine.clone();
    for entry in entries {
        all.add(entry.set().into_owned());
    }
    all
}

fn refuse_conflicts(
    entries: &[Entry],
    changed: &Set,
    forgiven: &dyn Fn() -> Option<Set>,
) -> Result<(), Vec<Conflict>> {
    let mut conflicts: Vec<Conflict> = entries
        .iter()
        .filter(|entry| entry.overlaps(changed))
        .map(|entry| Conflict {
            owner: entry.owner.clone(),
            set: entry.set().intersection(changed),
        })
        .collect();
    if conflicts.is_empty() {
        return Ok(());
    }
    if let Some(forgiven) = forgiven() {
        for conflict in &mut conflicts {
            conflict.set.subtract(&forgiven);
        }
        conflicts.retain(|conflict| !conflict.set.is_empty());
    }
    if conflicts.is_empty() {
        return Ok(());
    }
    conflicts.sort_by_cached_key(|conflict| conflict.owner.identity());
    Err(conflicts)
}

/// Takes out what was applied last time, is not applied now, and is owned by nobody else.
fn prune(typed: Typed<'_>, merged: Value, last: &Set, mut owned: Set) -> Value {
    let of = |value: &Value| {
        let mut set = field_set(typed, value);
        add_structs(typed, &mut set);
        set
    };
    let mut last = last.clone();
    add_structs(typed, &mut last);
    add_structs(typed, &mut owned);
    let all = of(&merged);
    let bare = remove(typed, merged.clone(), &last);
    // What somebody owns comes back, and then all that only vanished together with something else.
    let mut gone = all.clone();
    gone.subtract(&of(&bare));
    gone.subtract(&owned);
    let pruned = remove(typed, merged.clone(), &gone);
    let mut gone = all;
    gone.subtract(&of(&pruned));
    remove(typed, merged, &gone.intersection(&last))
}

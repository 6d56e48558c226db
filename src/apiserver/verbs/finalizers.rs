//! Which finalizers a deletion puts on an object and takes away: those by which the garbage collector is told what to do
//! about dependents. Pure. Called by `delete`.

use super::Propagation;

/// Dependents stay, without their reference.
pub(super) const ORPHAN: &str = "orphan";
/// Dependents go first.
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// The finalizers of an object after it is asked to be deleted in this way; without a wish those it has decide.
pub(super) fn after(present: &[&str], wish: Option<Propagation>) -> Vec<String> {
    let (orphan, foreground) = match wish {
        Some(wish) => (wish == Propagation::Orphan, wish == Propagation::Foreground),
        None => (present.contains(&ORPHAN), present.contains(&FOREGROUND)),
    };
    let mut finalizers: Vec<String> = present
        .iter()
        .filter(|name| match **name {
            ORPHAN => orphan,
            FOREGROUND => foreground,
            _ => true,
        })
        .map(|name| (*name).to_owned())
        .collect();
    for (wanted, name) in [(orphan, ORPHAN), (foreground, FOREGROUND)] {
        if wanted && !present.contains(&name) {
            finalizers.push(name.to_owned());
        }
    }
    finalizers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_wish_replaces_an_earlier_one() {
        assert_eq!(
            after(&["a.b/c"], Some(Propagation::Foreground)),
            ["a.b/c", FOREGROUND]
        );
        assert_eq!(
            after(&[FOREGROUND, "a.b/c"], Some(Propagation::Orphan)),
            ["a.b/c", ORPHAN]
        );
        assert!(after(&[ORPHAN], Some(Propagation::Background)).is_empty());
    }

    #[test]
    fn without_a_wish_finalizers_stay() {
        assert_eq!(after(&[ORPHAN, "a.b/c"], None), [ORPHAN, "a.b/c"]);
        assert!(after(&[], None).is_empty());
    }
}

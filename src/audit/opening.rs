//! How a file of records is gone on with: as it ends, after a torn line, as the file after the one that was rotated away, or
//! with a new chain, because what is there is not what was written. Deliveries never wait for an answer. Decides; called by
//! `controllers` whenever it opens the file.

use super::{
    check::{Found, Wrong},
    record::{Head, Link},
};

/// How to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// After this record.
    GoOn(Link),
    /// After this record and a line of so many bytes that was not finished.
    Torn(Link, u64),
    /// The file is new, and goes on with the chain of the one before it.
    Rotated(Link),
    /// With a new chain.
    Begin {
        /// What is wrong with the one before; `None` when there never was one.
        why: Option<Wrong>,
        /// The last that is known of it.
        after: Option<Link>,
        /// A line of so many bytes has no end.
        open: bool,
    },
}

/// Decides by what is in the file (`None` for a file that is empty or not there) and by how far it had come: what this
/// process wrote last, or else what the head says. `found` is of [`super::check::Checker::end`].
#[must_use]
pub fn opening(found: Option<&Found>, head: &Result<Head, Wrong>) -> Opening {
    let begin = |why, after| Opening::Begin {
        why,
        after,
        open: found.is_some_and(|found| found.open.is_some()),
    };
    let known = head.as_ref().ok().map(|head| head.last.clone());
    let Some(found) = found else {
        return match head {
            Ok(head) if head.closed => Opening::Rotated(head.last.clone()),
            // Nobody knows what was written after it.
            Ok(_) => begin(Some(Wrong::Gone), known),
            Err(Wrong::NoHead) => begin(None, None),
            Err(wrong) => begin(Some(*wrong), None),
        };
    };
    let after = known.or_else(|| found.last.clone());
    if found.foreign {
        return begin(Some(Wrong::OtherRoot), after);
    }
    let Some(last) = found.last.clone() else {
        return begin(Some(Wrong::Edited), after);
    };
    let head = match head {
        Ok(head) => head,
        Err(wrong) => return begin(Some(*wrong), Some(last)),
    };
    // What was found before the last chain began is why it began.
    let mut of_this_chain = found.findings.iter().skip(found.before_last_chain);
    if let Some(finding) = of_this_chain.find(|finding| finding.wrong != Wrong::Torn) {
        return begin(Some(finding.wrong), after);
    }
    let is_whole = head.last.chain == last.chain
        && head.last.seq <= last.seq
        && (head.last.seq != last.seq || head.last.mac == last.mac);
    match found.open {
        _ if !is_whole => begin(Some(Wrong::CutTail), after),
        // Somebody else wrote after us.
        _ if head.closed && head.last.seq != last.seq => begin(Some(Wrong::OutOfOrder), after),
        Some(bytes) => Opening::Torn(last, bytes),
        None => Opening::GoOn(last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::ChainMac;

    fn link(seq: u64) -> Link {
        Link {
            chain: "c".to_owned(),
            seq,
            mac: ChainMac::NONE,
        }
    }

    fn head(seq: u64, closed: bool) -> Result<Head, Wrong> {
        Ok(Head {
            last: link(seq),
            root: "r".to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
            closed,
        })
    }

    fn found(seq: u64) -> Found {
        Found {
            last: Some(link(seq)),
            ..Found::default()
        }
    }

    fn why(opening: &Opening) -> Option<Wrong> {
        match opening {
            Opening::Begin { why, .. } => *why,
            Opening::GoOn(_) | Opening::Torn(..) | Opening::Rotated(_) => None,
        }
    }

    #[test]
    fn a_file_that_is_as_its_head_says_is_gone_on_with() {
        assert_eq!(opening(Some(&found(5)), &head(5, true)), Opening::GoOn(link(5)));
        let killed = opening(Some(&found(7)), &head(5, false));
        assert_eq!(killed, Opening::GoOn(link(7)), "killed before the next head");
    }

    #[test]
    fn nothing_at_all_begins_a_chain_without_a_reason() {
        let first = opening(None, &Err(Wrong::NoHead));
        assert_eq!(
            first,
            Opening::Begin {
                why: None,
                after: None,
                open: false
            }
        );
    }

    #[test]
    fn a_file_that_went_after_an_end_in_order_was_rotated_and_else_it_is_gone() {
        assert_eq!(opening(None, &head(5, true)), Opening::Rotated(link(5)));
        assert_eq!(why(&opening(None, &head(5, false))), Some(Wrong::Gone));
    }

    #[test]
    fn a_torn_line_is_closed_and_one_that_the_head_knows_whole_is_a_cut_tail() {
        let torn = Found {
            open: Some(9),
            ..found(5)
        };
        assert_eq!(opening(Some(&torn), &head(5, false)), Opening::Torn(link(5), 9));
        assert_eq!(why(&opening(Some(&torn), &head(6, false))), Some(Wrong::CutTail));
    }

    #[test]
    fn whatever_else_is_wrong_begins_a_chain_that_says_why() {
        assert_eq!(
            why(&opening(Some(&found(4)), &head(5, true))),
            Some(Wrong::CutTail)
        );
        assert_eq!(
            why(&opening(Some(&found(6)), &head(5, true))),
            Some(Wrong::OutOfOrder)
        );
        assert_eq!(
            why(&opening(Some(&found(5)), &Err(Wrong::NoHead))),
            Some(Wrong::NoHead)
        );
        assert_eq!(
            why(&opening(Some(&found(5)), &Err(Wrong::BadHead))),
            Some(Wrong::BadHead)
        );
        let foreign = Found {
            foreign: true,
            ..Found::default()
        };
        assert_eq!(
            why(&opening(Some(&foreign), &head(5, true))),
            Some(Wrong::OtherRoot)
        );
        let mut other = found(5);
        other.last.as_mut().unwrap().chain = "d".to_owned();
        assert_eq!(why(&opening(Some(&other), &head(5, true))), Some(Wrong::CutTail));
    }
}

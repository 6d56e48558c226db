//! Chains as they are written, and everything that somebody can do to one: each harm is named by its line, once.
//! The files are made here, line by line.

use zeroize::Zeroizing;

use super::*;
use crate::{audit::record::Delivery, seal::FingerprintRoot};

/// A file while it is written.
struct Paper {
    key: ChainKey,
    root: String,
    lines: Vec<String>,
    last: Link,
}

fn root(byte: u8) -> FingerprintRoot {
    FingerprintRoot::from_bytes(Zeroizing::new([byte; 32]))
}

fn at() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

impl Paper {
    fn new(chain: &str, byte: u8) -> Self {
        let root = root(byte);
        let mut paper = Self {
            key: root.chain_key(),
            root: root.id().to_string(),
            lines: Vec::new(),
            last: Link {
                chain: chain.to_owned(),
                seq: 0,
                mac: ChainMac::NONE,
            },
        };
        let begun = paper.begun(None, None);
        paper.add(begun);
        paper
    }

    fn begun(&self, why: Option<Wrong>, after: Option<Link>) -> Record {
        Record::Begun {
            chain: self.last.chain.clone(),
            root: self.root.clone(),
            why,
            after,
        }
    }

    fn add(&mut self, record: Record) {
        let line = Line {
            seq: self.last.seq + 1,
            at: at(),
            record,
            prev: self.last.mac,
        };
        let (text, mac) = line.write(&self.key).unwrap();
        self.lines.push(text.trim_end().to_owned());
        self.last = Link {
            seq: line.seq,
            mac,
            ..self.last.clone()
        };
    }

    fn deliver(mut self, count: u64) -> Self {
        for n in 0..count {
            self.add(Record::Delivery(Delivery {
                secret: format!("db-{n}"),
                outcome: "delivered".to_owned(),
                ..Delivery::default()
            }));
        }
        self
    }

    fn head(&self) -> Head {
        Head {
            last: self.last.clone(),
            root: self.root.clone(),
            at: at(),
            closed: true,
        }
    }

    fn check(&self, change: impl FnOnce(&mut Vec<String>)) -> Found {
        let mut lines = self.lines.clone();
        change(&mut lines);
        let mut checker = Checker::new(&self.key, &self.root);
        lines.iter().for_each(|line| checker.line(line.as_bytes(), true));
        checker.end_with(Ok(&self.head()))
    }
}

fn first(found: &Found) -> (u64, Wrong) {
    let finding = found.findings.first().unwrap();
    (finding.line, finding.wrong)
}

#[test]
fn an_unbroken_chain_has_nothing_wrong() {
    let found = Paper::new("a", 1).deliver(5).check(|_| ());
    assert_eq!((found.records, found.deliveries, found.wrong), (6, 5, 0));
    assert_eq!(found.chains.len(), 1);
    assert_eq!(found.last.unwrap().seq, 6);
}

#[test]
fn every_byte_of_every_line_counts() {
    let paper = Paper::new("a", 1).deliver(2);
    for line in 0..3 {
        for byte in 0..paper.lines[line].len() {
            let found = paper.check(|lines| {
                let mut text = lines[line].clone().into_bytes();
                text[byte] ^= 1;
                lines[line] = String::from_utf8_lossy(&text).into_owned();
            });
            assert!(found.wrong > 0, "line {line} byte {byte}");
            assert_eq!(found.findings[0].line, line as u64 + 1, "byte {byte}");
        }
    }
}

#[test]
fn an_edited_line_is_named_once_and_what_follows_is_right() {
    let found = Paper::new("a", 1).deliver(5).check(|lines| {
        lines[2] = lines[2].replace("db-1", "db-9");
    });
    assert_eq!(first(&found), (3, Wrong::Edited));
    assert_eq!((found.wrong, found.records), (1, 5));
}

#[test]
fn a_line_that_somebody_added_is_named() {
    let found = Paper::new("a", 1)
        .deliver(2)
        .check(|lines| lines.insert(1, "{}".to_owned()));
    assert_eq!((first(&found), found.wrong), ((2, Wrong::Edited), 1));
}

#[test]
fn a_removed_line_is_missing_and_the_numbers_are_told() {
    let found = Paper::new("a", 1)
        .deliver(5)
        .check(|lines| drop(lines.drain(2..4)));
    assert_eq!((first(&found), found.wrong), ((3, Wrong::Missing), 1));
    assert_eq!(found.findings[0].detail, "3 to 4");
}

#[test]
fn a_line_that_stands_twice_is_out_of_order() {
    let found = Paper::new("a", 1).deliver(3).check(|lines| {
        let again = lines[1].clone();
        lines.insert(3, again);
    });
    assert_eq!((first(&found), found.wrong), ((4, Wrong::OutOfOrder), 1));
}

#[test]
fn a_record_of_another_chain_does_not_fit_in() {
    let other = Paper::new("b", 1).deliver(5);
    let found = Paper::new("a", 1)
        .deliver(5)
        .check(|lines| lines[3] = other.lines[3].clone());
    assert_eq!(first(&found), (4, Wrong::OutOfOrder));
}

#[test]
fn a_cut_tail_is_seen_by_the_head_and_a_cut_beginning_without_it() {
    let paper = Paper::new("a", 1).deliver(5);
    let found = paper.check(|lines| lines.truncate(4));
    assert_eq!((first(&found), found.wrong), ((0, Wrong::CutTail), 1));
    assert_eq!(found.findings[0].detail, "the head says 6, the file has 4");
    let found = paper.check(|lines| drop(lines.remove(0)));
    assert_eq!(first(&found), (1, Wrong::Missing));
    assert_eq!(first(&paper.check(Vec::clear)), (0, Wrong::CutTail));
}

#[test]
fn a_missing_or_strange_head_is_told() {
    let paper = Paper::new("a", 1).deliver(1);
    for wrong in [Wrong::NoHead, Wrong::BadHead] {
        let mut checker = Checker::new(&paper.key, &paper.root);
        paper.lines.iter().for_each(|l| checker.line(l.as_bytes(), true));
        assert_eq!(first(&checker.end_with(Err(wrong))), (0, wrong));
    }
    let text = paper.head().write(&paper.key).unwrap();
    assert_eq!(
        Head::read(&paper.key, &paper.root, text.as_bytes()),
        Ok(paper.head())
    );
    let edited = text.replace("\"seq\":2", "\"seq\":1");
    let read = Head::read(&paper.key, &paper.root, edited.as_bytes());
    assert_eq!(read, Err(Wrong::BadHead));
    let other = root(2);
    let read = Head::read(&other.chain_key(), &other.id().to_string(), text.as_bytes());
    assert_eq!(read, Err(Wrong::OtherRoot));
}

#[test]
fn a_line_of_the_file_is_no_head_and_a_head_is_no_line() {
    let paper = Paper::new("a", 1).deliver(1);
    let read = Head::read(&paper.key, &paper.root, paper.lines[1].as_bytes());
    assert_eq!(read, Err(Wrong::BadHead));
    let head = paper.head().write(&paper.key).unwrap();
    let found = paper.check(|lines| lines.push(head.trim_end().to_owned()));
    assert_eq!(first(&found), (3, Wrong::Unknown));
}

#[test]
fn another_root_is_told_once_and_is_no_edit() {
    let paper = Paper::new("a", 1).deliver(3);
    let mut checker = Checker::new(&paper.key, &paper.root);
    let other = Paper::new("b", 2).deliver(3);
    other.lines.iter().for_each(|l| checker.line(l.as_bytes(), true));
    paper.lines.iter().for_each(|l| checker.line(l.as_bytes(), true));
    let found = checker.end_with(Ok(&paper.head()));
    assert_eq!((first(&found), found.wrong), ((1, Wrong::OtherRoot), 1));
    assert!(!found.foreign && found.records == 4);
}

#[test]
fn a_torn_line_that_a_record_closes_is_none_that_is_wrong() {
    let mut paper = Paper::new("a", 1).deliver(2);
    let torn = r#"{"seq":4,"at":"19"#;
    let open = {
        let mut checker = Checker::new(&paper.key, &paper.root);
        paper.lines.iter().for_each(|l| checker.line(l.as_bytes(), true));
        checker.line(torn.as_bytes(), false);
        checker.end()
    };
    assert_eq!((first(&open), open.open), ((4, Wrong::Torn), Some(17)));
    paper.add(Record::Torn { bytes: 17 });
    let closed = paper.check(|lines| lines.insert(3, torn.to_owned()));
    assert_eq!((closed.wrong, closed.torn, closed.records), (0, 1, 4));
    let longer = paper.check(|lines| lines.insert(3, format!("{torn}7")));
    assert_eq!(
        first(&longer),
        (4, Wrong::Edited),
        "what is closed is of one length"
    );
}

#[test]
fn a_line_that_lacks_only_its_end_is_whole() {
    let paper = Paper::new("a", 1).deliver(2);
    let mut checker = Checker::new(&paper.key, &paper.root);
    for (at, line) in paper.lines.iter().enumerate() {
        checker.line(line.as_bytes(), at < 2);
    }
    let found = checker.end_with(Ok(&paper.head()));
    assert_eq!((found.wrong, found.records, found.open), (0, 3, Some(0)));
}

#[test]
fn files_that_were_rotated_are_one_chain_in_their_order_only() {
    let mut paper = Paper::new("a", 1).deliver(3);
    let first_file = std::mem::take(&mut paper.lines);
    paper.add(Record::Continued {
        chain: "a".to_owned(),
        root: paper.root.clone(),
    });
    let paper = paper.deliver(2);
    let check = |files: &[&Vec<String>]| {
        let mut checker = Checker::new(&paper.key, &paper.root);
        for (at, lines) in files.iter().enumerate() {
            if at > 0 {
                checker.next_file();
            }
            lines.iter().for_each(|l| checker.line(l.as_bytes(), true));
        }
        checker.end_with(Ok(&paper.head()))
    };
    let both = check(&[&first_file, &paper.lines]);
    assert_eq!((both.wrong, both.records, both.chains.len()), (0, 7, 1));
    let alone = check(&[&paper.lines]);
    assert_eq!(alone.wrong, 0);
    assert!(alone.chains[0].continued);
    assert!(check(&[&paper.lines, &first_file]).wrong > 0);
    let cut = first_file[..3].to_vec();
    let found = check(&[&cut, &paper.lines]);
    assert_eq!((found.findings[0].file, first(&found)), (1, (1, Wrong::Missing)));
}

#[test]
fn a_new_chain_tells_what_the_one_before_has_lost() {
    let old = Paper::new("a", 1).deliver(5);
    let mut new = Paper::new("b", 1);
    new.lines.clear();
    (new.last.seq, new.last.mac) = (0, ChainMac::NONE);
    let begun = new.begun(Some(Wrong::CutTail), Some(old.last.clone()));
    new.add(begun);
    let new = new.deliver(1);
    let cut = new.check(|lines| drop(lines.splice(0..0, old.lines[..4].to_vec())));
    assert_eq!((first(&cut), cut.wrong), ((5, Wrong::Missing), 1));
    assert_eq!(cut.before_last_chain, 1);
    assert_eq!(cut.chains[1].why, Some(Wrong::CutTail));
}

#[test]
fn lost_records_are_summed() {
    let mut paper = Paper::new("a", 1);
    paper.add(Record::Lost { records: 3 });
    paper.add(Record::Lost { records: 4 });
    assert_eq!(paper.check(|_| ()).lost, 7);
}

//! Whether the lines of audit files are one unbroken chain, and if not, which line is the first bad one and what is wrong
//! with it. Takes one line after the other, of one file after the other, and remembers no line. Called by `cli`'s `audit
//! verify`, and by `controllers` before a file is gone on with.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::{Head, Line, Link, Record, Unread};
use crate::seal::{ChainKey, ChainMac};

/// How many findings are told; more are counted.
pub const MOST_FINDINGS: usize = 100;

/// What can be wrong with a chain. The words are part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wrong {
    /// The MAC of a line is not that of its bytes.
    Edited,
    /// Records are not there that must have been.
    Missing,
    /// A record stands where another one belongs.
    OutOfOrder,
    /// The file ends before the record that its head names.
    CutTail,
    /// Chained under the key of another ring.
    OtherRoot,
    /// The last line has no end, and no record says so.
    Torn,
    /// Of a newer build.
    Unknown,
    /// The head is not there.
    NoHead,
    /// The head is not one that this ring's operator wrote.
    BadHead,
    /// The file was not there any more.
    Gone,
}

impl Wrong {
    /// The words for people, with what can be done.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Edited => "edited: its MAC is not that of its bytes",
            Self::Missing => "records are missing",
            Self::OutOfOrder => "out of order: it belongs at another place",
            Self::CutTail => "the tail is cut",
            Self::OtherRoot => "chained under another root: verify it with the ring of that time",
            Self::Torn => "torn: the line has no end, and no record closes it",
            Self::Unknown => "not known to this build: verify it with a newer one",
            Self::NoHead => "there is no head beside the file, so that a cut tail would not be seen",
            Self::BadHead => "the head beside the file is not one of this ring's operator",
            Self::Gone => "the file was gone when the operator came back",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The file, counted from 0.
    pub file: usize,
    /// The line, counted from 1; 0 for what is about the file as a whole.
    pub line: u64,
    /// What is wrong.
    pub wrong: Wrong,
    /// What exactly, where there is more to say.
    pub detail: String,
}

/// A chain that begins in the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Begin {
    /// Its name.
    pub chain: String,
    /// The file, counted from 0.
    pub file: usize,
    /// The line, counted from 1.
    pub line: u64,
    /// Why it began, if it was not the first.
    pub why: Option<Wrong>,
    /// Whether it goes on from a file that was not given.
    pub continued: bool,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Records whose MAC is right.
    pub records: u64,
    /// Values that were delivered, or were to be.
    pub deliveries: u64,
    /// Torn lines that a record closes.
    pub torn: u64,
    /// Records that were lost, as records say.
    pub lost: u64,
    /// When the first and the last record were written.
    pub times: Option<(Timestamp, Timestamp)>,
    /// The chains.
    pub chains: Vec<Begin>,
    /// What is wrong, in the order of the lines, up to [`MOST_FINDINGS`].
    pub findings: Vec<Finding>,
    /// All that is wrong, also what is not told.
    pub wrong: usize,
    /// How many of these were found before the last chain began.
    pub before_last_chain: usize,
    /// Where the last chain ends.
    pub last: Option<Link>,
    /// The length in bytes of a last line without an end; 0 when the end is all that it lacks.
    pub open: Option<u64>,
    /// Whether the last chain is of another root.
    pub foreign: bool,
}

/// A line that is not right, until the next one tells whether it is torn.
struct Bad {
    file: usize,
    line: u64,
    bytes: u64,
}

/// See the file's header.
pub struct Checker<'a> {
    key: &'a ChainKey,
    root: &'a str,
    found: Found,
    bad: Option<Bad>,
    /// Lines since the last good one whose records nobody knows.
    unknown: u64,
    file: usize,
    line: u64,
}

impl<'a> Checker<'a> {
    /// With the key of a ring and the id of its root.
    #[must_use]
    pub fn new(key: &'a ChainKey, root: &'a str) -> Self {
        Self {
            key,
            root,
            found: Found::default(),
            bad: None,
            unknown: 0,
            file: 0,
            line: 0,
        }
    }

    /// The lines that follow are of the next file.
    pub fn next_file(&mut self) {
        self.end_of_file();
        self.file += 1;
        self.line = 0;
        self.found.open = None;
    }

    /// One line, without its end; `ended` says whether it had one.
    pub fn line(&mut self, text: &[u8], ended: bool) {
        self.line += 1;
        self.found.open = (!ended).then_some(length(text));
        match Line::read(self.key, text) {
            Ok((line, mac)) => {
                // Of a line that says everything only the end is to be written.
                self.found.open = self.found.open.map(|_| 0);
                self.good(line, mac);
            }
            Err(Unread::Unknown) => self.tell(Wrong::Unknown, String::new()),
            Err(Unread::Mac) => {
                let claimed = Line::claimed_root(text).filter(|root| root != self.root);
                if let Some(root) = claimed {
                    self.settle();
                    self.tell(Wrong::OtherRoot, format!("root {root}"));
                    self.found.foreign = true;
                    self.found.last = None;
                } else if !self.found.foreign {
                    self.bad(text);
                }
            }
        }
    }

    fn bad(&mut self, text: &[u8]) {
        self.settle();
        self.unknown += 1;
        self.bad = Some(Bad {
            file: self.file,
            line: self.line,
            bytes: length(text),
        });
    }

    fn good(&mut self, line: Line, mac: ChainMac) {
        let Line {
            seq,
            at,
            record,
            prev,
        } = line;
        let closes =
            matches!((&record, &self.bad), (Record::Torn { bytes }, Some(bad)) if *bytes == bad.bytes);
        if closes && self.found.last.as_ref().is_some_and(|last| last.mac == prev) {
            self.bad = None;
            self.unknown = 0;
            self.found.torn += 1;
        }
        self.settle();
        let chain = match &record {
            Record::Begun {
                chain, why, after, ..
            } => {
                self.begun(chain, *why, after.as_ref());
                chain.clone()
            }
            Record::Continued { chain, .. } => {
                self.continued(chain, seq, prev);
                chain.clone()
            }
            Record::Torn { .. } | Record::Lost { .. } | Record::Delivery(_) => self.follows(seq, prev),
        };
        self.unknown = 0;
        self.found.records += 1;
        match &record {
            Record::Delivery(_) => self.found.deliveries += 1,
            Record::Lost { records } => self.found.lost = self.found.lost.saturating_add(*records),
            Record::Begun { .. } | Record::Continued { .. } | Record::Torn { .. } => {}
        }
        let (first, _) = self.found.times.unwrap_or((at, at));
        self.found.times = Some((first, at));
        let is_behind = |last: &Link| last.chain == chain && last.seq >= seq;
        if !self.found.last.as_ref().is_some_and(is_behind) {
            self.found.last = Some(Link { chain, seq, mac });
        }
    }

    fn begun(&mut self, chain: &str, why: Option<Wrong>, after: Option<&Link>) {
        if let (Some(last), Some(after)) = (&self.found.last, after)
            && last.chain == after.chain
            && last.seq < after.seq
        {
            let detail = format!("{} to {} of the chain before", last.seq + 1, after.seq);
            self.tell(Wrong::Missing, detail);
        }
        self.found.before_last_chain = self.found.wrong;
        self.found.foreign = false;
        self.found.last = None;
        self.chain(chain, why, false);
    }

    fn chain(&mut self, chain: &str, why: Option<Wrong>, continued: bool) {
        self.found.chains.push(Begin {
            chain: chain.to_owned(),
            file: self.file,
            line: self.line,
            why,
            continued,
        });
    }

    fn continued(&mut self, chain: &str, seq: u64, prev: ChainMac) {
        self.found.foreign = false;
        if self.found.last.is_some() {
            self.follows(seq, prev);
        } else {
            self.chain(chain, None, true);
        }
    }

    /// Whether a record may stand here; answers its chain.
    fn follows(&mut self, seq: u64, prev: ChainMac) -> String {
        let Some(last) = self.found.last.clone() else {
            self.tell(Wrong::Missing, format!("all before record {seq}"));
            self.chain("", None, true);
            return String::new();
        };
        let between = seq.checked_sub(last.seq + 1);
        match between {
            Some(0) if last.mac == prev => {}
            None | Some(0) => self.tell(Wrong::OutOfOrder, format!("record {seq} after {}", last.seq)),
            // The lines between were told as edited.
            Some(between) if between == self.unknown => {}
            Some(_) => self.tell(Wrong::Missing, format!("{} to {}", last.seq + 1, seq - 1)),
        }
        last.chain
    }

    /// A bad line that nothing closes.
    fn settle(&mut self) {
        if let Some(Bad { file, line, .. }) = self.bad.take() {
            self.tell_at(file, line, Wrong::Edited, String::new());
        }
    }

    fn end_of_file(&mut self) {
        if self.found.open.is_some() && self.bad.is_some() {
            self.bad = None;
            self.tell(Wrong::Torn, String::new());
        }
        self.settle();
    }

    fn tell(&mut self, wrong: Wrong, detail: String) {
        self.tell_at(self.file, self.line, wrong, detail);
    }

    fn tell_at(&mut self, file: usize, line: u64, wrong: Wrong, detail: String) {
        self.found.wrong += 1;
        if self.found.findings.len() < MOST_FINDINGS {
            self.found.findings.push(Finding {
                file,
                line,
                wrong,
                detail,
            });
        }
    }

    /// The end of the last file.
    #[must_use]
    pub fn end(mut self) -> Found {
        self.end_of_file();
        self.found
    }

    /// The end of the last file, with what its head says.
    #[must_use]
    pub fn end_with(mut self, head: Result<&Head, Wrong>) -> Found {
        self.end_of_file();
        self.line = 0;
        match head {
            Ok(head) => {
                let found = self.found.last.as_ref().map(|last| (&last.chain, last.seq));
                let (said, has) = (head.last.seq, found.map_or(0, |(_, seq)| seq));
                let same = found.is_some_and(|(chain, _)| *chain == head.last.chain);
                if !self.found.foreign && (!same || has < said) {
                    self.tell(
                        Wrong::CutTail,
                        format!("the head says {said}, the file has {has}"),
                    );
                }
            }
            Err(wrong) => self.tell(wrong, String::new()),
        }
        self.found
    }
}

fn length(text: &[u8]) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;

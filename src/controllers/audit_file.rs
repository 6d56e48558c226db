//! The audit file on the disk, and its head beside it: opened for appending, mode 0600, no link followed; the head is
//! replaced whole. How a file that is there is gone on with decides `audit`'s `opening`. A write that fails half way is
//! taken back, or else found by the next one. Called by [`super::audit`]; read by `cli`'s `audit verify`.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions, Permissions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::{
    audit::{
        check::{Checker, Found, Wrong},
        opening::{Opening, opening},
        record::{Head, Line, Link, Record},
    },
    seal::{ChainKey, ChainMac, Entropy, SystemEntropy},
};

const PRIVATE: u32 = 0o600;
/// Bytes of a line; no record comes near it, and whatever is longer is none.
const LONGEST_LINE: u64 = 64 * 1024;
const LONGEST_HEAD: u64 = 4096;

/// A file that is gone on with.
pub struct AuditFile {
    file: File,
    key: ChainKey,
    root: String,
    last: Link,
    /// Which file it is, and its length as we left it.
    left: (u64, u64, u64),
    /// Whether more may be in it than `last` says: a write failed and could not be taken back.
    half: bool,
    /// What the head says.
    head: Option<(u64, bool)>,
}

/// The path of the head.
#[must_use]
pub fn head_path(path: &Path) -> PathBuf {
    beside(path, ".head")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn stamp(file: &std::fs::Metadata) -> (u64, u64, u64) {
    (file.dev(), file.ino(), file.len())
}

/// Opens a file that is there, if it is one.
fn open_to_read(path: &Path) -> io::Result<Option<File>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(io::Error::other("it is not a file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Hands all lines of a file to a checker. `Ok(false)` when there is no file.
///
/// # Errors
/// The system's.
pub fn read_lines(path: &Path, checker: &mut Checker<'_>) -> io::Result<bool> {
    let Some(file) = open_to_read(path)? else {
        return Ok(false);
    };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(true);
        }
        match line.split_last() {
            Some((b'\n', text)) => checker.line(text, true),
            _ => checker.line(&line, false),
        }
    }
}

/// The head beside a file.
///
/// # Errors
/// The system's; what is wrong with a head that could be read is the answer.
pub fn read_head(path: &Path, key: &ChainKey, root: &str) -> io::Result<Result<Head, Wrong>> {
    let Some(file) = open_to_read(&head_path(path))? else {
        return Ok(Err(Wrong::NoHead));
    };
    let mut text = Vec::new();
    file.take(LONGEST_HEAD).read_to_end(&mut text)?;
    Ok(Head::read(key, root, &text))
}

impl AuditFile {
    /// Opens or makes the file at `path` and goes on with it, from what this process `known`s to have written last, or else
    /// from the head. Answers why a new chain had to begin, if it is not the first.
    ///
    /// # Errors
    /// The system's.
    pub fn open(
        path: &Path,
        (key, root): (ChainKey, String),
        known: Option<Head>,
        now: Timestamp,
    ) -> io::Result<(Self, Option<Wrong>)> {
        let head = match known {
            Some(head) => Ok(head),
            None => read_head(path, &key, &root)?,
        };
        let mut checker = Checker::new(&key, &root);
        let is_there = read_lines(path, &mut checker)?;
        let found: Found = checker.end();
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(PRIVATE)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        let meta = file.metadata()?;
        if meta.mode() & 0o777 != PRIVATE {
            file.set_permissions(Permissions::from_mode(PRIVATE))?;
        }
        let is_empty = !is_there || meta.len() == 0;
        let plan = opening((!is_empty).then_some(&found), &head);
        let mut opened = Self {
            left: stamp(&meta),
            file,
            key,
            root,
            last: nowhere(),
            half: false,
            head: None,
        };
        let why = opened.go_on(plan, now)?;
        Ok((opened, why))
    }

    fn go_on(&mut self, plan: Opening, now: Timestamp) -> io::Result<Option<Wrong>> {
        let root = self.root.clone();
        match plan {
            Opening::GoOn(last) => self.last = last,
            Opening::Torn(last, bytes) => {
                self.last = last;
                self.write("\n")?;
                if bytes > 0 {
                    self.append(&[(now, Record::Torn { bytes })])?;
                }
            }
            Opening::Rotated(last) => {
                tracing::info!(
                    after = last.seq,
                    "the audit file is new, and goes on with the chain of one that was moved away"
                );
                let chain = last.chain.clone();
                self.last = last;
                self.append(&[(now, Record::Continued { chain, root })])?;
            }
            Opening::Begin { why, after, open } => {
                if open {
                    self.write("\n")?;
                }
                let chain = new_name()?;
                self.last = Link {
                    chain: chain.clone(),
                    ..nowhere()
                };
                let begun = Record::Begun {
                    chain,
                    root,
                    why,
                    after,
                };
                self.append(&[(now, begun)])?;
                return Ok(why);
            }
        }
        Ok(None)
    }

    /// The root under whose key it is chained.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Whether the file at `path` is still this one, with nothing more and nothing less in it.
    #[must_use]
    pub fn is_as_left(&self, path: &Path) -> bool {
        std::fs::symlink_metadata(path).is_ok_and(|found| stamp(&found) == self.left)
    }

    /// What this process knows of it, to go on from.
    #[must_use]
    pub fn known(&self, at: Timestamp) -> Head {
        self.head(at, !self.half)
    }

    fn head(&self, at: Timestamp, closed: bool) -> Head {
        Head {
            last: self.last.clone(),
            root: self.root.clone(),
            at,
            closed,
        }
    }

    /// Writes records, all in one call.
    ///
    /// # Errors
    /// The system's; none of them is in the file then, and all can be written again.
    pub fn append<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a (Timestamp, Record)>,
    ) -> io::Result<()> {
        let (mut text, mut last) = (String::new(), self.last.clone());
        let mut add = |at: Timestamp, record: Record| {
            let line = Line {
                seq: last.seq + 1,
                at,
                record,
                prev: last.mac,
            };
            if let Some((line, mac)) = line.write(&self.key) {
                text.push_str(&line);
                (last.seq, last.mac) = (last.seq + 1, mac);
            }
        };
        records
            .into_iter()
            .for_each(|(at, record)| add(*at, record.clone()));
        self.write(&text)?;
        self.last = last;
        Ok(())
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let written = self.file.write_all(text.as_bytes());
        let (device, inode, before) = self.left;
        // Not to be taken back where files can only be appended to: it is read again then, and a torn line closed.
        self.half = written.is_err() && self.file.set_len(before).is_err();
        written?;
        let more = u64::try_from(text.len()).unwrap_or(u64::MAX);
        self.left = (device, inode, before.saturating_add(more));
        Ok(())
    }

    /// Writes the head beside the file, if it says something else now: what is in the file is on the disk before.
    ///
    /// # Errors
    /// The system's; the head is the one from before then.
    pub fn write_head(&mut self, path: &Path, now: Timestamp, closed: bool) -> io::Result<()> {
        let says = Some((self.last.seq, closed));
        if self.head == says {
            return Ok(());
        }
        self.file.sync_data()?;
        let text = self.head(now, closed).write(&self.key).unwrap_or_default();
        let new = beside(path, ".head.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(PRIVATE)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, head_path(path))?;
        self.head = says;
        Ok(())
    }
}

fn nowhere() -> Link {
    Link {
        chain: String::new(),
        seq: 0,
        mac: ChainMac::NONE,
    }
}

fn new_name() -> io::Result<String> {
    let mut bytes = [0; 8];
    SystemEntropy
        .fill(&mut bytes)
        .map_err(|error| io::Error::other(error.to_string()))?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

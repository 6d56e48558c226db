//! Files inside Docker's containers, through the archive endpoint, which reads them as they are mounted and needs no program
//! in the image. Goes past bollard, which cannot ask for the head of an answer alone. Never used to write: an archive that
//! is sent can be answered with success and be lost. Knows just enough of tar to find one file in it.

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http::{Method, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::Deserialize;

use super::{Docker, Failure, classify, limit, quoted};
use crate::{
    engine::{Error, Files, Kind, Op, Result},
    state::container::ContainerId,
};

/// The header that says what is at a path: base64 of JSON.
const STAT: &str = "X-Docker-Container-Path-Stat";
/// Links that are followed to a file. The engine resolves a link in full, so one is the rule.
const MOST_LINKS: usize = 4;
/// Bytes of an archive beside the file's own: its header, that of its attributes, and the end.
const AROUND_A_FILE: usize = 128 << 10;
/// A block of tar.
const BLOCK: usize = 512;

/// What is at a path.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stat {
    /// Of a link: the length of its text.
    #[serde(default)]
    size: u64,
    /// Go's `os.FileMode`.
    mode: u32,
    /// Of a link: where it leads in the end, from the container's root.
    #[serde(default)]
    link_target: String,
}

/// What is at a path, when it can be read.
enum Content {
    Link(String),
    Bytes(Vec<u8>),
    Other(&'static str),
    TooLarge,
}

impl Files for Docker {
    async fn read_link(&self, id: &ContainerId, path: &str) -> Result<Option<String>> {
        let op = Op::ReadLink;
        let stat = self.within(op, limit(op), self.stat(id, path)).await;
        let stat = self.unless_absent(op, id, stat)?;
        Ok(stat.and_then(|stat| stat.leads_to(path)))
    }

    async fn read_file(&self, id: &ContainerId, path: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let op = Op::ReadFile;
        let refuse = |what: &str| {
            Err(Error::new(
                op,
                id.as_str(),
                Kind::Invalid,
                format!("{path} {what}"),
            ))
        };
        let mut at = path.to_owned();
        for _ in 0..=MOST_LINKS {
            let content = self.within(op, limit(op), self.content(id, &at, most)).await;
            match self.unless_absent(op, id, content)? {
                None => return Ok(None),
                Some(Content::Bytes(bytes)) => return Ok(Some(bytes)),
                Some(Content::Link(target)) => at = target,
                Some(Content::Other(what)) => return refuse(what),
                Some(Content::TooLarge) => return refuse(&format!("is larger than {most} bytes")),
            }
        }
        refuse("leads through too many links")
    }
}

impl Docker {
    async fn stat(&self, id: &ContainerId, path: &str) -> std::result::Result<Stat, Failure> {
        let place = place(id, path);
        match self.raw(Method::HEAD, &place, Bytes::new(), None).await {
            // This refusal has no body, so no words: they are asked for.
            Err(Failure::Answer { .. }) => {}
            answer => return Stat::of(&answer?),
        }
        Stat::of(&self.raw(Method::GET, &place, Bytes::new(), None).await?)
    }

    async fn content(
        &self,
        id: &ContainerId,
        path: &str,
        most: u64,
    ) -> std::result::Result<Content, Failure> {
        // What the head does not promise to be a small file is not read: a directory comes with all that is in it.
        let answer = self
            .raw(Method::GET, &place(id, path), Bytes::new(), None)
            .await?;
        let stat = Stat::of(&answer)?;
        if stat.is_link() {
            return Ok(Content::Link(stat.link_target));
        }
        if !stat.is_file() {
            return Ok(Content::Other("is not a regular file"));
        }
        let Some(longest) = usize::try_from(most).ok().filter(|_| stat.size <= most) else {
            return Ok(Content::TooLarge);
        };
        let body = Limited::new(answer.into_body(), longest.saturating_add(AROUND_A_FILE));
        match body.collect().await {
            Ok(archive) => Ok(match first_file(&archive.to_bytes())? {
                bytes if bytes.len() > longest => Content::TooLarge,
                bytes => Content::Bytes(bytes.to_vec()),
            }),
            // It grew since.
            Err(error) if error.is::<LengthLimitError>() => Ok(Content::TooLarge),
            Err(error) => Err(Failure::Silent(format!("the answer broke off: {error}"))),
        }
    }

    fn unless_absent<T>(
        &self,
        op: Op,
        id: &ContainerId,
        answer: std::result::Result<T, Failure>,
    ) -> Result<Option<T>> {
        match answer {
            Ok(found) => Ok(Some(found)),
            Err(Failure::Answer { status, text }) if classify::no_such_path(status, &text) => Ok(None),
            Err(failure) => Err(self.error(op, id.as_str(), failure)),
        }
    }
}

impl Stat {
    fn of(answer: &Response<Incoming>) -> std::result::Result<Self, Failure> {
        let nonsense = |what: &str| Failure::Nonsense(format!("{STAT} {what}"));
        let header = answer.headers().get(STAT).ok_or_else(|| nonsense("is missing"))?;
        let text = header.to_str().map_err(|_| nonsense("is not text"))?;
        let json = Base64::decode_vec(text).map_err(|_| nonsense("is not base64"))?;
        serde_json::from_slice(&json).map_err(|e| nonsense(&e.to_string()))
    }

    /// Go's `ModeSymlink`.
    fn is_link(&self) -> bool {
        self.mode & 1 << 27 != 0
    }

    /// None of Go's `ModeType`.
    fn is_file(&self) -> bool {
        self.mode & 0x8f28_0000 == 0
    }

    fn leads_to(self, link: &str) -> Option<String> {
        if !self.is_link() {
            return None;
        }
        let (directory, name) = self
            .link_target
            .rsplit_once('/')
            .unwrap_or(("", &self.link_target));
        let own = link.rsplit_once('/').map_or("", |(directory, _)| directory);
        // Where a directory above is a link the paths differ, yet the text of this one is as long as the name.
        let is_neighbour = directory == own || u64::try_from(name.len()) == Ok(self.size);
        Some(if is_neighbour {
            name.to_owned()
        } else {
            self.link_target
        })
    }
}

fn place(id: &ContainerId, path: &str) -> String {
    format!(
        "/containers/{}/archive?path={}",
        quoted(id.as_str()),
        quoted(path)
    )
}

/// The bytes of the first file in an archive.
fn first_file(mut archive: &[u8]) -> std::result::Result<&[u8], Failure> {
    let nonsense = || Failure::Nonsense("the archive holds no file".to_owned());
    loop {
        let (block, rest) = archive.split_at_checked(BLOCK).ok_or_else(nonsense)?;
        // What ends an archive would be read as an empty file.
        if block.iter().all(|byte| *byte == 0) {
            return Err(nonsense());
        }
        let header = tar::Header::from_byte_slice(block);
        let size = header
            .entry_size()
            .ok()
            .and_then(|size| usize::try_from(size).ok());
        let size = size.ok_or_else(nonsense)?;
        // Before the file there may be entries that describe it.
        if header.entry_type().is_file() {
            return rest.get(..size).ok_or_else(nonsense);
        }
        let padded = size.checked_next_multiple_of(BLOCK).ok_or_else(nonsense)?;
        archive = rest.get(padded..).ok_or_else(nonsense)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(mode: u32, size: u64, target: &str) -> Stat {
        Stat {
            size,
            mode,
            link_target: target.to_owned(),
        }
    }

    #[test]
    fn a_link_to_a_neighbour_is_its_name_alone() {
        let cases = [
            ("/run/secrets/..data", 5, "/run/secrets/..g.1", Some("..g.1")),
            // `/var/run` leads to `/run`.
            ("/var/run/secrets/..data", 5, "/run/secrets/..g.1", Some("..g.1")),
            (
                "/run/secrets/f",
                8,
                "/run/secrets/..g.1/f",
                Some("/run/secrets/..g.1/f"),
            ),
            ("/etc/l", 11, "/etc/passwd", Some("passwd")),
            ("/l", 3, "/abc", Some("abc")),
        ];
        for (link, size, target, expected) in cases {
            let found = stat(0o777 | 1 << 27, size, target).leads_to(link);
            assert_eq!(found.as_deref(), expected, "{link}");
        }
        assert_eq!(stat(0o644, 3, "").leads_to("/f"), None);
        assert!(stat(0o4755 | 1 << 23, 3, "").is_file(), "set-user-id is no type");
        assert!(!stat(1 << 31 | 0o755, 3, "").is_file());
    }

    #[test]
    fn a_file_is_found_behind_what_describes_it_and_a_cut_archive_has_none() {
        let entry = |kind: tar::EntryType, content: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_cksum();
            let mut bytes = header.as_bytes().to_vec();
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
            bytes
        };
        let mut archive = entry(tar::EntryType::XHeader, b"30 mtime=1\n");
        archive.extend(entry(tar::EntryType::Regular, b"root:x:0"));
        archive.resize(archive.len() + 2 * BLOCK, 0);
        assert!(matches!(first_file(&archive), Ok(b"root:x:0")));
        let file = 3 * BLOCK;
        for cut in [0, 1, BLOCK, 2 * BLOCK, file, file + 7] {
            assert!(first_file(&archive[..cut]).is_err(), "{cut}");
        }
        assert!(first_file(&[0; 4 * BLOCK]).is_err());
        assert!(first_file(&entry(tar::EntryType::Directory, b"")).is_err());
    }
}

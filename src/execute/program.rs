//! The image of the agent: this very program, alone in an image, so that no registry is needed and both sides are always
//! of one version. Owns where the program is, what its image is called and how it becomes an archive. Built by `cli`.

use std::{
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use tar::{EntryType, Header};
use tokio::io::AsyncReadExt;

use crate::{
    engine::{self, Archive, Engine, Error, Kind, Op},
    state::{desired::AgentImage, hash::hex, image::ImageTag},
};

/// The repository of images that are made here; the tag says of what.
const REPOSITORY: &str = "supercargo/agent";
/// How much of the file is read to tell it from another, in this many places: all of it would delay the start.
const SAMPLE: usize = 4 << 10;
const SAMPLES: u64 = 64;
const PIECE: usize = 256 << 10;
/// A tar archive is made of blocks of this many bytes and ends with two empty ones.
const BLOCK: usize = 512;
/// As many digits has a version.
const VERSION: usize = 12;
/// A younger image may be one that another operator has just brought and is about to use.
const YOUNG: SignedDuration = SignedDuration::from_mins(10);

/// Where agents come from.
#[derive(Debug, Clone)]
pub struct Program {
    image: AgentImage,
    path: Option<PathBuf>,
}

impl Program {
    /// An image that the engine has or can fetch.
    #[must_use]
    pub fn of_image(reference: &str) -> Self {
        let image = AgentImage {
            image: reference.to_owned(),
            version: hex(&[reference], VERSION),
        };
        Self { image, path: None }
    }

    /// An image that is made of this program.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let version = fingerprint(path)?;
        let image = AgentImage {
            image: format!("{REPOSITORY}:{version}"),
            version,
        };
        Ok(Self {
            image,
            path: Some(path.to_owned()),
        })
    }

    /// The image.
    #[must_use]
    pub fn image(&self) -> &AgentImage {
        &self.image
    }

    /// Brings the image into an engine that does not have it.
    ///
    /// # Errors
    /// The engine's; `Failed` when the program's file cannot be read.
    pub async fn bring<E: Engine>(&self, engine: &E, reference: &str) -> engine::Result<()> {
        let Some(path) = &self.path else {
            return engine.pull_image(reference, None).await;
        };
        let unreadable = |error: io::Error| {
            let message = format!("the program {} cannot be read: {error}", path.display());
            Error::new(Op::LoadImage, reference, Kind::Failed, message)
        };
        engine
            .load_image(reference, archive(path).await.map_err(unreadable)?)
            .await
    }

    /// The images that other programs brought, a while ago. Those among them that a container is made from stay: the
    /// engine removes no such image. One that another operator has no container of yet costs it the time of bringing it.
    ///
    /// # Errors
    /// The engine's.
    pub async fn surplus<E: Engine>(&self, engine: &E, now: Timestamp) -> engine::Result<Vec<String>> {
        let all = engine.list_images(REPOSITORY).await?;
        let goes = |tag: &ImageTag| is_made_here(&tag.reference) && tag.reference != self.image.image;
        let mut surplus: Vec<ImageTag> = all.into_iter().filter(goes).collect();
        surplus.retain(|tag| now.duration_since(tag.created) >= YOUNG);
        surplus.sort();
        Ok(surplus.into_iter().map(|tag| tag.reference).collect())
    }

    /// Removes the surplus; answers what is gone.
    ///
    /// # Errors
    /// The engine's.
    pub async fn tidy<E: Engine>(&self, engine: &E, now: Timestamp) -> engine::Result<Vec<String>> {
        let mut gone = Vec::new();
        for reference in self.surplus(engine, now).await? {
            match engine.remove_image(&reference).await {
                Ok(()) => gone.push(reference),
                // A container is made from it, of whatever instance.
                Err(error) if error.kind == Kind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Ok(gone)
    }
}

/// Whether an image has such a name as [`Program::of_file`] gives.
fn is_made_here(reference: &str) -> bool {
    let tag = reference
        .strip_prefix(REPOSITORY)
        .and_then(|rest| rest.strip_prefix(':'));
    tag.is_some_and(|tag| tag.len() == VERSION && tag.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// Tells one build of the program from another: its length and samples of it.
fn fingerprint(path: &Path) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    let mut seen = length.to_string();
    for index in 0..SAMPLES {
        file.seek(SeekFrom::Start(length / SAMPLES * index))?;
        let mut sample = vec![0; SAMPLE];
        let mut read = 0;
        while let Some(rest) = sample.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match file.read(rest)? {
                0 => break,
                more => read += more,
            }
        }
        sample.truncate(read);
        seen.push_str(&hex(&[&String::from_utf8_lossy(&sample)], 16));
    }
    Ok(hex(&[env!("CARGO_PKG_VERSION"), &seen], VERSION))
}

/// An archive of the program, read as it is sent: in a directory of its own, of which the engine fills volumes, and as
/// `/supercargo`, a second name of the same file.
async fn archive(path: &Path) -> io::Result<Archive> {
    let file = tokio::fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    let padding = (BLOCK as u64 - length % BLOCK as u64) % BLOCK as u64;
    let content = stream::unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let mut piece = Vec::with_capacity(PIECE);
        match (&mut file)
            .take(left.min(PIECE as u64))
            .read_to_end(&mut piece)
            .await
        {
            Ok(0) => {
                let short = io::Error::new(io::ErrorKind::UnexpectedEof, "the program became shorter");
                Some((Err(short), (file, 0)))
            }
            Ok(read) => Some((Ok(Bytes::from(piece)), (file, left.saturating_sub(read as u64)))),
            Err(error) => Some((Err(error), (file, 0))),
        }
    });
    let padding = usize::try_from(padding).unwrap_or_default();
    let piece = |bytes: &[u8]| Ok(Bytes::copy_from_slice(bytes));
    let directory = header("program/", EntryType::Directory, 0)?;
    let file = header("program/supercargo", EntryType::Regular, length)?;
    let mut link = header("supercargo", EntryType::Link, 0)?;
    link.set_link_name("program/supercargo")?;
    link.set_cksum();
    let (padding, end) = (vec![0; padding], vec![0; 2 * BLOCK]);
    let head = stream::iter([piece(directory.as_bytes()), piece(file.as_bytes())]);
    let tail = [
        Ok(Bytes::from(padding)),
        piece(link.as_bytes()),
        Ok(Bytes::from(end)),
    ];
    Ok(head.chain(content).chain(stream::iter(tail)).boxed())
}

/// The header of something of root's that everybody may execute.
fn header(path: &str, kind: EntryType, length: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(length);
    header.set_cksum();
    Ok(header)
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn an_archive_is_what_tar_reads() {
        let directory = tempfile::tempdir().unwrap();
        let (path, length) = (directory.path().join("p"), 300_001);
        std::fs::write(&path, vec![7_u8; length]).unwrap();
        let pieces: Vec<Bytes> = archive(&path).await.unwrap().try_collect().await.unwrap();
        let tar = directory.path().join("a.tar");
        std::fs::write(&tar, pieces.concat()).unwrap();
        let out = std::process::Command::new("tar")
            .arg("-tvf")
            .arg(&tar)
            .output()
            .unwrap();
        let listed = String::from_utf8(out.stdout).unwrap();
        assert!(out.status.success(), "{listed}");
        let lines: Vec<&str> = listed.lines().collect();
        assert!(lines[0].starts_with("drwxr-xr-x 0/0") && lines[0].ends_with(" program/"));
        assert!(lines[1].starts_with("-rwxr-xr-x 0/0") && lines[1].contains("300001"));
        assert!(lines[1].ends_with(" program/supercargo"), "{listed}");
        assert!(
            lines[2].ends_with(" supercargo link to program/supercargo"),
            "{listed}"
        );
        assert_eq!(pieces.concat().len() % BLOCK, 0);
    }

    #[test]
    fn an_image_is_ours_by_its_name_alone() {
        assert!(is_made_here("supercargo/agent:0123456789ab"));
        for other in [
            "supercargo/agent:1.0",
            "supercargo/agent:0123456789AB",
            "supercargo/agent",
            "supercargo/agents:0123456789ab",
            "h:5/supercargo/agent:0123456789ab",
            "supercargo/agent@sha256:0123456789ab",
        ] {
            assert!(!is_made_here(other), "{other}");
        }
    }

    #[test]
    fn another_program_is_another_image() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p");
        let made = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            Program::of_file(&path).unwrap().image().clone()
        };
        let first = made(&[1; 100_000]);
        assert_eq!(first, made(&[1; 100_000]));
        let mut changed = vec![1; 100_000];
        changed[0] = 2;
        assert_ne!(first, made(&changed));
        assert_ne!(first, made(&[1; 100_001]));
    }
}

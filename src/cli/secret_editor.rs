//! Plaintext in an editor: a private directory on a tmpfs, which goes with everything that the editor left beside the text,
//! also when somebody ends us; and the editor that `KUBE_EDITOR` or `EDITOR` names. Knows nothing of what the text says.
//! Called by `secret_edit`.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context as _, anyhow, bail};
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::{Failure, block_on};
use crate::seal::{Entropy, SystemEntropy};

/// No text of an editor is longer, in bytes: as many as all values of one object, and as much again.
const LONGEST: u64 = 2 * 1024 * 1024;
/// `f_type` of a file system in memory: `TMPFS_MAGIC` and `RAMFS_MAGIC` (statfs(2)).
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// Where the text lies while it is edited.
pub(super) struct Desk {
    dir: PathBuf,
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What became of the text.
pub(super) enum Edited {
    /// Nothing.
    Same,
    /// This.
    Text(Zeroizing<String>),
}

impl Desk {
    /// A new private directory in memory.
    ///
    /// # Errors
    /// There is no tmpfs that one may be made on.
    pub(super) fn make() -> Result<Self, Failure> {
        let run = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let places = run.into_iter().chain(["/dev/shm", "/run"].map(PathBuf::from));
        let mut tail = [0; 8];
        SystemEntropy
            .fill(&mut tail)
            .map_err(|_| anyhow!("the system gives no random numbers"))?;
        let name = format!("supercargo-edit-{:016x}", u64::from_ne_bytes(tail));
        for place in places.filter(|place| is_in_memory(place)) {
            let dir = place.join(&name);
            if DirBuilder::new().mode(0o700).create(&dir).is_ok() {
                return Ok(Self { dir });
            }
        }
        Err(anyhow!(
            "there is no tmpfs to keep the text in while it is edited (XDG_RUNTIME_DIR, /dev/shm, /run), and it is put on no disk; \
             pipe the values into `supercargo secret set`"
        )
        .into())
    }

    /// Shows the text in the editor, and answers with what it left.
    pub(super) fn edit(&self, text: &str) -> Result<Edited, Failure> {
        let path = self.dir.join("secret.yaml");
        let _ = std::fs::remove_file(&path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .context("the text for the editor cannot be written")?;
        file.write_all(text.as_bytes())
            .context("the text for the editor cannot be written")?;
        drop(file);
        let editor = editor();
        let ended = block_on(async { Ok(run(&editor, &path).await?) })?;
        if !ended.success() {
            return Err(anyhow!("the editor ({editor}) ended with {ended}; nothing was changed").into());
        }
        let after = read(&path)?;
        Ok(if after.as_str() == text {
            Edited::Same
        } else {
            Edited::Text(after)
        })
    }
}

fn is_in_memory(place: &Path) -> bool {
    let found = rustix::fs::statfs(place).map(|found| u64::try_from(found.f_type).unwrap_or_default());
    found.is_ok_and(|kind| IN_MEMORY.contains(&kind))
}

/// As kubectl chooses it.
fn editor() -> String {
    environment("KUBE_EDITOR")
        .or_else(|| environment("EDITOR"))
        .unwrap_or_else(|| "vi".to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "variables of kubectl and of the shell, which have no flag"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// A shell gives its place to a program with plain words behind it, so that to end the child is to end the editor.
fn exec(editor: &str) -> &'static str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./ ".contains(c);
    if editor.chars().all(is_plain) { "exec " } else { "" }
}

/// Runs the editor to its end. What the terminal's keys send is for it alone; who ends us ends it, and the text goes.
async fn run(editor: &str, path: &Path) -> anyhow::Result<ExitStatus> {
    let mut keys = [signal(SignalKind::interrupt())?, signal(SignalKind::quit())?];
    let (mut end, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let [interrupt, quit] = &mut keys;
    let mut child = tokio::process::Command::new("sh")
        .args(["-c", &format!("{}{editor} \"$@\"", exec(editor)), "sh"])
        .arg(path)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("the editor ({editor}) cannot be started; set EDITOR"))?;
    loop {
        tokio::select! {
            ended = child.wait() => return Ok(ended?),
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            _ = end.recv() => break,
            _ = hang_up.recv() => break,
        }
    }
    bail!("ended while the editor ran; nothing was changed")
}

/// Reads the text into one buffer that does not grow. Editors replace the file as often as they write into it.
fn read(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let gone = "the text that the editor left cannot be read; nothing was changed";
    let file = File::open(path).context(gone)?;
    let length = file.metadata().context(gone)?.len();
    if length > LONGEST {
        bail!(
            "the text that the editor left has {length} bytes; the limit is {LONGEST}, and nothing was changed"
        );
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(length).unwrap_or_default() + 1,
    ));
    file.take(length).read_to_end(&mut bytes).context(gone)?;
    let text = std::str::from_utf8(&bytes);
    let text =
        text.map_err(|_| anyhow!("the text that the editor left is not UTF-8; nothing was changed"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

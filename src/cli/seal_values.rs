//! Owns where plaintext comes from: stdin, files, an env file. Never an argument, never the environment.
//! Bytes go from the descriptor into one wiped buffer of fixed size and from there into the envelope.
//! Manifests are `secret_manifest`. Called by `seal` and `secret create`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use zeroize::Zeroizing;

use super::Failure;
use crate::seal::{MAX_VALUE_BYTES, Plaintext};

/// The largest env file or manifest that is read, in bytes.
const MAX_TEXT_BYTES: usize = 4 * 1024 * 1024;

/// Values by key.
pub(super) type Values = BTreeMap<String, Plaintext>;

/// Flags that say where values come from.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ValueArgs {
    /// The key under encryptedData of the value on standard input. Its bytes are taken as they are, a trailing
    /// newline included (as `kubectl create secret --from-file` does): use `printf %s`, not echo
    #[arg(long, value_name = "KEY")]
    pub(super) key: Option<String>,
    /// A value from a file, its bytes as they are; without KEY the file's name is the key. May be repeated
    #[arg(long, value_name = "[KEY=]FILE")]
    from_file: Vec<String>,
    /// One value to a line as NAME=VALUE; empty lines and lines that begin with # are skipped, quotes are kept
    #[arg(long, value_name = "FILE")]
    from_env_file: Vec<PathBuf>,
}

impl ValueArgs {
    /// Whether any flag names a source.
    pub(super) fn any(&self) -> bool {
        self.key.is_some() || !self.from_file.is_empty() || !self.from_env_file.is_empty()
    }

    /// Reads every value. A key that is named twice is an error.
    pub(super) fn read(&self) -> Result<Values, Failure> {
        let mut values = Values::new();
        for named in &self.from_file {
            let (key, path) = split_file(named)?;
            let file = File::open(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            add(&mut values, &key, read_value(file, &path.display().to_string())?)?;
        }
        for path in &self.from_env_file {
            let text = read_text(path)?;
            read_env(&text, &path.display().to_string(), &mut values)?;
        }
        if let Some(key) = &self.key {
            add(&mut values, key, from_stdin()?)?;
        }
        Ok(values)
    }
}

/// Adds a value under a valid key that is not taken.
pub(super) fn add(values: &mut Values, key: &str, value: Plaintext) -> Result<(), Failure> {
    check_key(key)?;
    if values.insert(key.to_owned(), value).is_some() {
        return Err(Failure::Usage(format!(
            "the key {key:?} is given twice; give each key once"
        )));
    }
    Ok(())
}

/// A key of a secret: 1 to 253 of `[-._a-zA-Z0-9]`, neither `.` nor `..`, as in Kubernetes.
pub(super) fn check_key(key: &str) -> Result<(), Failure> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if !key.is_empty() && key.len() <= 253 && key.bytes().all(fine) && !matches!(key, "." | "..") {
        return Ok(());
    }
    Err(Failure::Usage(
        "a key has 1 to 253 letters, digits, '-', '_' or '.'; give another with --key KEY or --from-file KEY=FILE".into(),
    ))
}

/// The text of a file, or of stdin for `-`, in a wiped buffer.
pub(super) fn read_text(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    if path == Path::new("-") {
        return read_at_most(io::stdin().lock(), "standard input", MAX_TEXT_BYTES);
    }
    let place = path.display().to_string();
    let file = File::open(path).with_context(|| format!("{place} cannot be read"))?;
    read_at_most(file, &place, MAX_TEXT_BYTES)
}

fn from_stdin() -> Result<Plaintext, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        eprintln!("reading the value from the terminal; it is shown as you type; end it with Ctrl-D");
    }
    let value = read_value(stdin.lock(), "standard input")?;
    if value.is_empty() {
        return Err(anyhow!(
            "standard input is empty; pipe the value in (for a value that is meant to be empty: --from-file KEY=/dev/null)"
        )
        .into());
    }
    Ok(value)
}

fn read_value(from: impl Read, place: &str) -> anyhow::Result<Plaintext> {
    let bytes = read_at_most(from, place, MAX_VALUE_BYTES)?;
    Ok(Plaintext::from_zeroizing(bytes))
}

/// Reads everything into one buffer that never grows, so that no copy stays behind.
fn read_at_most(mut from: impl Read, place: &str, limit: usize) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(vec![0; limit + 1]);
    let mut filled = 0;
    while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
        match from.read(free) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e).with_context(|| format!("{place} cannot be read")),
        }
    }
    if filled > limit {
        bail!(
            "{place} has more than {limit} bytes, which is the limit; split it over several keys or deliver it another way"
        );
    }
    buffer.truncate(filled);
    Ok(buffer)
}

fn split_file(named: &str) -> Result<(String, PathBuf), Failure> {
    if let Some((key, path)) = named.split_once('=') {
        return Ok((key.to_owned(), PathBuf::from(path)));
    }
    let path = PathBuf::from(named);
    let name = path.file_name().and_then(|n| n.to_str()).map(str::to_owned);
    let name = name.ok_or_else(|| Failure::Usage(format!("--from-file {named:?} names no file")))?;
    Ok((name, path))
}

/// Reads NAME=VALUE lines; errors name the line and never repeat it.
fn read_env(text: &[u8], place: &str, values: &mut Values) -> Result<(), Failure> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    for (at, line) in text.split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
        if line.is_empty() || line.first() == Some(&b'#') {
            continue;
        }
        let equals = line.iter().position(|b| *b == b'=');
        let (name, value) = equals.and_then(|at| line.split_at_checked(at)).ok_or_else(|| {
            anyhow!("{place}, line {}: not NAME=VALUE; write the value into the file, it is not taken from the environment", at + 1)
        })?;
        let name = std::str::from_utf8(name)
            .ok()
            .filter(|name| check_key(name).is_ok());
        let name = name.ok_or_else(|| {
            anyhow!(
                "{place}, line {}: the name has other characters than letters, digits, '-', '_' and '.'",
                at + 1
            )
        })?;
        let value = value.get(1..).unwrap_or_default();
        if value.len() > MAX_VALUE_BYTES {
            bail_too_large(place, at + 1, value.len())?;
        }
        add(values, name, Plaintext::new(value.to_vec()))?;
    }
    Ok(())
}

fn bail_too_large(place: &str, line: usize, size: usize) -> anyhow::Result<()> {
    bail!(
        "{place}, line {line}: the value has {size} bytes, the limit is {MAX_VALUE_BYTES}; deliver it another way"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(text: &str) -> Result<Values, Failure> {
        let mut values = Values::new();
        read_env(text.as_bytes(), "f", &mut values).map(|()| values)
    }

    #[test]
    fn env_files_keep_quotes_spaces_and_equals_signs() {
        let values = env("\u{feff}# c\n\nA=1\r\n  B= x=\"y\" \nC=\n").unwrap();
        let of = |key: &str| values[key].expose().to_vec();
        assert_eq!(
            (of("A"), of("B"), of("C")),
            (b"1".to_vec(), b" x=\"y\" ".to_vec(), b"".to_vec())
        );
    }

    #[test]
    fn a_bad_env_line_is_named_and_not_repeated() {
        for text in ["A=1\nhunter2\n", "A=1\nhunter2 x=1\n"] {
            let Err(Failure::Failed(e)) = env(text) else {
                panic!("accepted")
            };
            assert!(
                e.to_string().contains("line 2") && !e.to_string().contains("hunter2"),
                "{e}"
            );
        }
        assert!(matches!(env("A=1\nA=2\n"), Err(Failure::Usage(_))));
    }

    #[test]
    fn keys_are_those_of_kubernetes() {
        for key in ["a", ".dockerconfigjson", "TLS_KEY", "a-b.c", "..."] {
            assert!(check_key(key).is_ok(), "{key}");
        }
        for key in ["", ".", "..", "a b", "a/b", "ä", &"k".repeat(254)] {
            assert!(check_key(key).is_err(), "{key}");
        }
    }
}

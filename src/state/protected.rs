//! Variables that no inspection of a container shows: each is a file in memory, and what a container runs is started by our
//! own program, which sets them. Owns where both stand in the container, the names of the files, and what is started.
//! Pure. Called by [`super::build`] and `plan`; the program itself is `cli`'s.

use super::{
    container::{Mount, MountSource},
    files::{FileSlot, FileVolume, OnChange},
    hash::hex,
};

/// The name of the volume, which no volume of a template can have.
pub const ENTRY: &str = "_env";
/// Where the container has the files.
pub const DIRECTORY: &str = "/run/supercargo/env";
/// Where it has the program.
pub const PROGRAM_DIRECTORY: &str = "/run/supercargo/bin";
/// The program there.
pub const PROGRAM: &str = "/run/supercargo/bin/supercargo";
/// Where images of ours have the program in a directory of its own, and holders the volume that was filled from it.
pub const SOURCE_DIRECTORY: &str = "/program";
/// What a holder says when the program in that volume is not its own.
pub const BROKEN: &str = "the program in /program is not this one";
/// Permissions of a file.
pub const MODE: u32 = 0o400;

/// The volume with these variables; none without.
#[must_use]
pub fn volume(variables: &[FileSlot]) -> Option<FileVolume> {
    (!variables.is_empty()).then(|| FileVolume {
        entry: ENTRY.to_owned(),
        definition: hex(&[ENTRY], 16),
        // A process never sees its environment change.
        on_change: OnChange::Restart,
        mode: 0o700,
        targets: vec![DIRECTORY.to_owned()],
        files: variables.to_vec(),
    })
}

/// Where a container mounts it.
#[must_use]
pub fn mount() -> Mount {
    Mount {
        target: DIRECTORY.to_owned(),
        read_only: true,
        source: MountSource::Files(ENTRY.to_owned()),
    }
}

/// A command that gets the variables.
#[must_use]
pub fn wrapped(command: Vec<String>) -> Vec<String> {
    let before = [PROGRAM, "run", "--"].map(str::to_owned);
    before.into_iter().chain(command).collect()
}

/// What a container is started with that gets the variables: what its template says (command and arguments), else what its
/// image says (entrypoint and command), as Kubernetes puts them together. `None` where neither says anything: the engine
/// refuses that container as it does any other.
#[must_use]
pub fn entrypoint(
    template: (Option<&[String]>, Option<&[String]>),
    image: (&[String], &[String]),
) -> Option<Vec<String>> {
    let command = match template {
        (Some(command), args) => [command, args.unwrap_or_default()].concat(),
        (None, args) => [image.0, args.unwrap_or(image.1)].concat(),
    };
    (!command.is_empty()).then(|| wrapped(command))
}

/// Where a container mounts the program, which is in this volume of the engine.
#[must_use]
pub fn program_mount(volume: &str) -> Mount {
    Mount {
        target: PROGRAM_DIRECTORY.to_owned(),
        read_only: true,
        // Nothing that the image has at this path may get into it.
        source: MountSource::Files(volume.to_owned()),
    }
}

/// The name of a variable's file: its own, with what a path cannot have as `%` and two hex digits.
#[must_use]
pub fn file_name(variable: &str) -> String {
    let mut name = String::with_capacity(variable.len());
    for (at, byte) in variable.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && at > 0);
        if plain {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

/// The variable that a file is of; `None` for what [`file_name`] never makes.
#[must_use]
pub fn variable(file_name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(file_name.len());
    let mut rest = file_name.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        if *first == b'%' {
            let digits = more.get(..2).and_then(|two| std::str::from_utf8(two).ok())?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = more.get(2..)?;
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (!name.is_empty() && !name.contains(['=', '\0'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// What is started behind `run --`.
    fn started(command: &[&str], args: &[&str], entrypoint: &[&str], cmd: &[&str]) -> Option<Vec<String>> {
        let (command, args) = (texts(command), texts(args));
        let command = (!command.is_empty()).then_some(command.as_slice());
        let args = (!args.is_empty()).then_some(args.as_slice());
        let whole = super::entrypoint((command, args), (&texts(entrypoint), &texts(cmd)))?;
        let (before, after) = whole.split_at(3);
        assert_eq!(before, [PROGRAM, "run", "--"]);
        Some(after.to_vec())
    }

    #[test]
    fn what_is_started_is_what_kubernetes_would_start() {
        let of = |command: &[&str], args: &[&str]| started(command, args, &["e", "f"], &["c"]).unwrap();
        assert_eq!(of(&[], &[]), ["e", "f", "c"]);
        assert_eq!(of(&["x"], &[]), ["x"]);
        assert_eq!(of(&["x"], &["y"]), ["x", "y"]);
        assert_eq!(of(&[], &["y"]), ["e", "f", "y"]);
        assert_eq!(started(&[], &[], &[], &["c", "d"]).unwrap(), ["c", "d"]);
        assert_eq!(started(&[], &[], &["e"], &[]).unwrap(), ["e"]);
        assert_eq!(started(&[], &[], &[], &[]), None, "the engine says so itself");
    }

    #[test]
    fn a_file_is_named_as_its_variable_and_no_name_leaves_the_directory() {
        assert_eq!(file_name("DB_PASSWORD"), "DB_PASSWORD");
        assert_eq!(file_name("tls.crt"), "tls.crt");
        for odd in ["..", ".", "../x", "a/b", "a b", "%41", "..data", "a%", "-x"] {
            let name = file_name(odd);
            assert!(!name.starts_with('.') && !name.contains('/'), "{name}");
            assert_eq!(variable(&name).as_deref(), Some(odd));
        }
        for foreign in ["", "a%", "a%4", "a%zz", "a%3D", "a%00", "%FF"] {
            assert_eq!(variable(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn without_protected_variables_there_is_no_volume() {
        assert_eq!(volume(&[]), None);
    }
}

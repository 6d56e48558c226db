//! The hidden verb `run`: the first process of a container whose variables are protected. It reads them from files in memory,
//! sets them, and becomes the program that the container is for: the same process, so that signals, exit codes, terminal,
//! user and directory are the program's own. Called by [`super::main`] before anything else, as every start pays for it.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::Path,
    process::{Command, ExitCode},
};

use zeroize::Zeroizing;

use crate::state::protected::{DIRECTORY, variable};

/// The name of the verb.
pub(super) const VERB: &str = "run";
/// Variables are missing, or nobody says what to run.
const CANNOT_PREPARE: u8 = 125;
/// As shells and engines say it: it is there and cannot be executed.
const CANNOT_EXECUTE: u8 = 126;
/// As shells and engines say it: it is not there.
const NOT_FOUND: u8 = 127;
/// Names that begin so are the generations that files are delivered in.
const OURS: &[u8] = b"..";

/// Becomes `PROGRAM [ARG...]` with the variables of a directory; returns only when that cannot be.
/// `run [--env DIR] -- PROGRAM [ARG...]`: what comes after `--` is the program's, whatever it looks like.
pub(super) fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let mut directory = OsString::from(DIRECTORY);
    let mut word = args.next();
    if word.as_deref() == Some(OsStr::new("--env")) {
        directory = args.next().unwrap_or_default();
        word = args.next();
    }
    let program = args.next().filter(|_| word.as_deref() == Some(OsStr::new("--")));
    let Some(program) = program else {
        return fail(
            CANNOT_PREPARE,
            "usage: supercargo run [--env DIR] -- PROGRAM [ARG...]",
        );
    };
    let mut command = Command::new(&program);
    command.args(args);
    if let Err(why) = set(&mut command, Path::new(&directory)) {
        let text = format!(
            "{} is not started: its protected variables cannot be read from {}: {why}",
            program.display(),
            directory.display()
        );
        return fail(CANNOT_PREPARE, &text);
    }
    // Only what went wrong comes back.
    let error = command.exec();
    let (code, what) = match error.kind() {
        io::ErrorKind::NotFound => (NOT_FOUND, "was not found"),
        _ => (CANNOT_EXECUTE, "cannot be executed"),
    };
    fail(code, &format!("{} {what}: {error}", program.display()))
}

/// Sets every variable that has a file; at least one does. Values pass through one buffer that is wiped, and through what
/// std makes of them, which is gone with everything else of this program when the next one takes its place.
fn set(command: &mut Command, directory: &Path) -> io::Result<()> {
    let mut found = false;
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        if name.as_bytes().starts_with(OURS) {
            continue;
        }
        let Some(variable) = name.to_str().and_then(variable) else {
            let text = format!("{} is not the file of a variable", name.display());
            return Err(io::Error::other(text));
        };
        let value = Zeroizing::new(std::fs::read(directory.join(&name))?);
        if value.contains(&0) {
            return Err(io::Error::other(format!("{variable} has a NUL byte")));
        }
        command.env(variable, OsStr::from_bytes(&value));
        found = true;
    }
    if found {
        Ok(())
    } else {
        Err(io::Error::other("there is none"))
    }
}

fn fail(code: u8, text: &str) -> ExitCode {
    eprintln!("supercargo: {text}");
    ExitCode::from(code)
}

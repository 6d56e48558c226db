//! The verb that starts a container with protected variables: the real binary, files in a directory, and what becomes of the
//! process. The directory looks as `deliver` leaves it. What an engine makes of it is in `tests/e2e/protected.rs`.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::{
    fs,
    io::Read,
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::ExitStatusExt,
    },
    path::Path,
    process::{Command, Output, Stdio},
    time::Instant,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_supercargo");
const CANARY: &str = "hunter2-do-not-show";

/// Files as they are delivered: names are links through `..data`.
fn delivered(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let generation = dir.path().join("..0123.1");
    fs::create_dir(&generation).unwrap();
    symlink("..0123.1", dir.path().join("..data")).unwrap();
    for (name, bytes) in files {
        fs::write(generation.join(name), bytes).unwrap();
        symlink(format!("..data/{name}"), dir.path().join(name)).unwrap();
    }
    dir
}

/// `run`, with a PATH and nothing else of this process's environment.
fn run(directory: &Path, program: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command
        .arg("run")
        .arg("--env")
        .arg(directory)
        .arg("--")
        .args(program);
    command
}

fn ended(command: &mut Command) -> (Option<i32>, Output) {
    let output = command.output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains(CANARY));
    (output.status.code(), output)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_file_is_a_variable_byte_for_byte_and_what_was_there_stays_or_is_replaced() {
    let dir = delivered(&[
        ("PASSWORD", CANARY.as_bytes()),
        ("tls.crt", b"a\n\xff=b"),
        ("A%2FB", b"odd"),
        ("EMPTY", b""),
        ("OLD", b"new"),
    ]);
    let (code, output) = ended(
        run(dir.path(), &["env", "-0"])
            .env("OLD", "old")
            .env("KEPT", "kept"),
    );
    assert_eq!(code, Some(0));
    let mut lines: Vec<&[u8]> = output
        .stdout
        .split(|b| *b == 0)
        .filter(|l| !l.is_empty())
        .collect();
    lines.sort_unstable();
    let password = format!("PASSWORD={CANARY}");
    let wanted: [&[u8]; 7] = [
        b"A/B=odd",
        b"EMPTY=",
        b"KEPT=kept",
        b"OLD=new",
        password.as_bytes(),
        b"PATH=/usr/bin:/bin",
        b"tls.crt=a\n\xff=b",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn the_program_is_the_same_process_with_its_code_signals_arguments_and_directory() {
    let dir = delivered(&[("PASSWORD", b"x")]);
    let (code, _) = ended(&mut run(dir.path(), &["sh", "-c", "exit 3"]));
    assert_eq!(code, Some(3));
    let (_, killed) = ended(&mut run(dir.path(), &["sh", "-c", "kill -TERM $$"]));
    assert_eq!(killed.status.signal(), Some(15));
    let (_, output) = ended(&mut run(dir.path(), &["printf", "%s|", "--env", "--", "a b", ""]));
    assert_eq!(output.stdout, b"--env|--|a b||");
    let (_, output) = ended(run(dir.path(), &["pwd"]).current_dir("/usr"));
    assert_eq!(output.stdout, b"/usr\n");
    let mut child = run(dir.path(), &["sh", "-c", "echo $$; ulimit -c"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (pid, mut told) = (child.id(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    child.wait().unwrap();
    let mut direct = Command::new("sh");
    let direct = direct.args(["-c", "ulimit -c"]).output().unwrap();
    let limit = String::from_utf8(direct.stdout).unwrap();
    assert_eq!(told, format!("{pid}\n{limit}"), "limits are not ours to change");
}

#[test]
fn a_name_is_looked_up_as_a_container_looks_it_up() {
    let dir = delivered(&[("PASSWORD", CANARY.as_bytes())]);
    let place = tempfile::tempdir().unwrap();
    let tool = place.path().join("tool");
    fs::write(&tool, "#!/bin/sh\necho found\n").unwrap();
    let of = |name: &str, path: &str| {
        let (code, output) = ended(run(dir.path(), &[name]).env("PATH", path).current_dir(&place));
        (code.unwrap(), said(&output))
    };
    let here = place.path().to_str().unwrap().to_owned();
    let (code, words) = of("tool", &here);
    assert_eq!(code, 126, "{words}");
    assert!(words.contains("tool cannot be executed"), "{words}");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(of("tool", &here).0, 0);
    assert_eq!(of("./tool", "/nowhere").0, 0, "against the working directory");
    let (code, words) = of("tool", "/nowhere");
    assert_eq!((code, words.lines().count()), (127, 1));
    assert!(words.contains("tool was not found"), "{words}");
    assert_eq!(of("/nonesuch", &here).0, 127);
    assert_eq!(of("/usr", &here).0, 126, "a directory");
    // The PATH that counts is the program's own.
    let own = delivered(&[("PATH", here.as_bytes())]);
    let (code, _) = ended(run(own.path(), &["tool"]).env("PATH", "/nowhere"));
    assert_eq!(code, Some(0));
}

#[test]
fn without_variables_nothing_is_started() {
    let absent = tempfile::tempdir().unwrap().path().join("gone");
    let empty = delivered(&[]);
    let foreign = delivered(&[("a%zz", CANARY.as_bytes())]);
    let nul = delivered(&[("PASSWORD", b"hunter2-do-not-show\0")]);
    for (dir, words) in [
        (absent.as_path(), "No such file"),
        (empty.path(), "there is none"),
        (foreign.path(), "is not the file of a variable"),
        (nul.path(), "PASSWORD has a NUL byte"),
    ] {
        let (code, output) = ended(&mut run(dir, &["echo", "started"]));
        let told = said(&output);
        assert_eq!(
            (code, output.stdout.as_slice()),
            (Some(125), b"".as_slice()),
            "{told}"
        );
        assert!(
            told.contains(words) && told.contains("echo is not started"),
            "{told}"
        );
    }
    let usage = Command::new(PROGRAM).args(["run", "echo"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(125));
    assert!(said(&usage).contains("usage: supercargo run"));
}

#[test]
fn a_start_through_the_program_is_measured() {
    let dir = delivered(&[("PASSWORD", b"x")]);
    let time = |mut command: Command| {
        let begun = Instant::now();
        for _ in 0..50 {
            assert!(command.status().unwrap().success());
        }
        begun.elapsed().as_secs_f64() * 20.0
    };
    let with = time(run(dir.path(), &["/bin/true"]));
    let without = time(Command::new("/bin/true"));
    println!("a start takes {with:.2} ms through the program, {without:.2} ms without (this build)");
}

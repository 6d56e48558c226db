//! What kubectl says to the embedded API server and to a real kube-apiserver: the same commands, by the oldest and the
//! newest kubectl that can be had, and the two transcripts (stdout, stderr, exit code) must be one. The commands are the
//! files tests/transcripts/*.txt; accepted differences are the table in tests/transcripts/deviations.rs.
//! `cargo test --test transcripts WORD` runs the files whose name contains the word, `--show` prints what was said.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may"
)]

use std::{
    collections::{BTreeSet, VecDeque},
    path::Path,
    process::{Command, ExitCode},
    sync::Mutex,
};

#[path = "transcripts/clients.rs"]
mod clients;
#[path = "transcripts/commands.rs"]
mod commands;
#[path = "transcripts/deviations.rs"]
mod deviations;
#[path = "transcripts/mask.rs"]
mod mask;
mod pair;
#[path = "transcripts/run.rs"]
mod run;

use clients::Kubectl;
use commands::Script;
use pair::Pair;
use run::{Answer, Place};

/// How many scripts run at once, each on both servers.
const AT_ONCE: usize = 3;

/// One script by one kubectl.
struct Job<'a> {
    script: &'a Script,
    kubectl: &'a Kubectl,
    namespace: String,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let kubectls = clients::oldest_and_newest();
    for kubectl in &kubectls {
        println!("kubectl 1.{}: {}", kubectl.minor, kubectl.path.display());
    }
    let scripts = commands::all(&here);
    let pair = Pair::start();
    define(&pair, &kubectls[1], &here);
    let run = format!("{:05x}", std::process::id() & 0xf_ffff);
    let mut jobs = VecDeque::new();
    for script in &scripts {
        if words.is_empty() || words.iter().any(|word| script.name.contains(word.as_str())) {
            for kubectl in &kubectls {
                let namespace = format!("t{run}-{}-{}", script.name, kubectl.minor);
                jobs.push_back(Job {
                    script,
                    kubectl,
                    namespace,
                });
            }
        }
    }
    let show = std::env::args().any(|word| word == "--show");
    let jobs = Mutex::new(jobs);
    let verdicts = Mutex::new(Verdicts::default());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(job) = next(&jobs) {
                    let answers = on_both(&pair, &job);
                    let mut verdicts = verdicts.lock().unwrap();
                    for (command, answer) in job.script.commands.iter().zip(&answers[1]).filter(|_| show) {
                        println!("1.{} $ {command}\n{answer}", job.kubectl.minor);
                    }
                    verdicts.add(&job, &answers);
                }
            });
        }
    });
    verdicts.into_inner().unwrap().close(words.is_empty())
}

/// The resources of the test on both servers, and on the real one ours, too.
fn define(pair: &Pair, kubectl: &Kubectl, here: &Path) {
    let crds = here.join("../../crds");
    for (kubeconfig, more) in [(&pair.ours, None), (&pair.theirs, Some(&crds))] {
        let mut files = vec!["-f".into(), here.join("crd.yaml").into_os_string()];
        if let Some(more) = more {
            files.extend(["-f".into(), more.as_os_str().to_owned()]);
        }
        for words in [
            &["apply", "--server-side"][..],
            &["wait", "--for=condition=Established"],
        ] {
            let out = Command::new(&kubectl.path)
                .arg("--kubeconfig")
                .arg(kubeconfig)
                .args(words)
                .args(&files)
                .output()
                .unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        }
    }
}

fn next<'a>(jobs: &Mutex<VecDeque<Job<'a>>>) -> Option<Job<'a>> {
    jobs.lock().unwrap().pop_front()
}

/// The same commands on both servers, at the same time.
fn on_both(pair: &Pair, job: &Job<'_>) -> [Vec<Answer>; 2] {
    let on = |kubeconfig: &Path| {
        let place = Place::make(kubeconfig, job.kubectl, &job.namespace, job.script);
        let answers = job
            .script
            .commands
            .iter()
            .map(|command| place.answer(command))
            .collect();
        place.leave();
        answers
    };
    std::thread::scope(|scope| {
        let ours = scope.spawn(|| on(&pair.ours));
        let theirs = on(&pair.theirs);
        [ours.join().unwrap(), theirs]
    })
}

#[derive(Default)]
struct Verdicts {
    same: usize,
    different: usize,
    used: BTreeSet<usize>,
}

impl Verdicts {
    fn add(&mut self, job: &Job<'_>, [ours, theirs]: &[Vec<Answer>; 2]) {
        for ((command, ours), theirs) in job.script.commands.iter().zip(ours).zip(theirs) {
            if ours == theirs {
                self.same += 1;
                continue;
            }
            let (mut ours, mut theirs) = (ours.clone(), theirs.clone());
            self.used.extend(deviations::accept(
                &job.script.name,
                command,
                &mut ours,
                &mut theirs,
            ));
            if ours == theirs {
                self.same += 1;
                continue;
            }
            self.different += 1;
            println!(
                "---- {} (kubectl 1.{})\n$ {command}\n{}",
                job.script.name,
                job.kubectl.minor,
                run::difference(&ours, &theirs)
            );
        }
    }

    /// The last line, and whether the run holds. A known deviation that no longer differs is a failure, too.
    fn close(self, all: bool) -> ExitCode {
        let mut failed = self.different;
        for (number, known) in deviations::DEVIATIONS.iter().enumerate() {
            if all && !self.used.contains(&number) {
                failed += 1;
                println!(
                    "---- {}: {:?} no longer differs: remove it from the table",
                    known.script, known.command
                );
            }
        }
        let passed = self.same;
        let ok = failed == 0 && passed > 0;
        println!(
            "test result: {}. {passed} passed; {failed} failed; 0 ignored",
            if ok { "ok" } else { "FAILED" }
        );
        if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

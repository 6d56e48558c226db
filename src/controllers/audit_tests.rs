//! The writer of the audit file on a real directory: restarts, rings that come late, files that were harmed, moved or cannot
//! be written. The thread has its own time, so levels are waited for.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt, path::Path};

use zeroize::Zeroizing;

use super::*;
use crate::{
    audit::check::{Checker, Found, Wrong},
    clock::System,
    controllers::audit_file::{head_path, read_head, read_lines},
    seal::{FingerprintRoot, Ring as Keys, SystemEntropy},
    secrets::open::Opener,
};

/// A directory with an audit file, and the ring of its operator.
struct Bench {
    dir: tempfile::TempDir,
    keys: Arc<Keys>,
    ring: Arc<Ring>,
    metrics: Metrics,
}

impl Bench {
    fn new() -> Self {
        let bench = Self::without_ring();
        bench.ring.replace(Opener::new(Arc::clone(&bench.keys)));
        bench
    }

    fn without_ring() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            keys: Arc::new(Keys::generate(System.now(), &mut SystemEntropy).unwrap()),
            ring: Arc::new(Ring::missing("not yet")),
            metrics: Metrics::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("audit")
    }

    fn start(&self) -> Writing {
        let path = Some(self.path());
        let (auditor, ending) = Auditor::start(
            path,
            Arc::clone(&self.ring),
            Arc::new(System),
            self.metrics.clone(),
        );
        Writing { auditor, ending }
    }

    /// An operator that delivers so many values, and ends.
    async fn run(&self, values: usize) {
        self.start().deliver(values).end().await;
    }

    fn check(&self, paths: &[&Path]) -> Found {
        let (key, root) = (self.keys.chain_key(), self.keys.fingerprint_root_id().to_string());
        let mut checker = Checker::new(&key, &root);
        for (at, path) in paths.iter().enumerate() {
            if at > 0 {
                checker.next_file();
            }
            assert!(read_lines(path, &mut checker).unwrap());
        }
        let head = read_head(&self.path(), &key, &root).unwrap();
        checker.end_with(head.as_ref().map_err(|wrong| *wrong))
    }

    fn now(&self) -> Found {
        self.check(&[&self.path()])
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn breaks(&self) -> bool {
        !self.metrics.text().contains("audit_chain_breaks_total 0")
    }

    /// Until a level is reached; the thread has a clock of its own.
    fn until(&self, level: impl Fn(&Self) -> bool) {
        for _ in 0..600 {
            if level(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{}", self.metrics.text());
    }

    fn lines(&self) -> usize {
        fs::read_to_string(self.path()).map_or(0, |text| text.lines().count())
    }
}

struct Writing {
    auditor: Auditor,
    ending: Ending,
}

impl Writing {
    fn deliver(self, values: usize) -> Self {
        for n in 0..values {
            let delivery = Delivery {
                secret: format!("db-{n}"),
                outcome: "delivered".to_owned(),
                ..Delivery::default()
            };
            self.auditor.tell(Timestamp::UNIX_EPOCH, delivery);
        }
        self
    }

    async fn end(self) {
        self.ending.wait(&self.auditor).await;
    }
}

#[tokio::test]
async fn a_restart_goes_on_with_the_chain() {
    let bench = Bench::new();
    bench.run(2).await;
    bench.run(3).await;
    let found = bench.now();
    assert_eq!((found.wrong, found.records, found.deliveries), (0, 6, 5));
    assert_eq!(found.chains.len(), 1);
    assert!(!bench.breaks());
}

#[tokio::test]
async fn file_and_head_are_for_the_operator_alone() {
    let bench = Bench::new();
    fs::write(bench.path(), "").unwrap();
    fs::set_permissions(bench.path(), fs::Permissions::from_mode(0o644)).unwrap();
    bench.run(1).await;
    for path in [bench.path(), head_path(&bench.path())] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn records_wait_for_the_ring() {
    let bench = Bench::without_ring();
    let writing = bench.start().deliver(2);
    std::thread::sleep(Duration::from_millis(50));
    assert!(!bench.path().exists());
    bench.ring.replace(Opener::new(Arc::clone(&bench.keys)));
    writing.end().await;
    assert_eq!((bench.now().wrong, bench.now().deliveries), (0, 2));
}

#[tokio::test]
async fn a_line_that_a_kill_has_torn_is_closed_and_told() {
    let bench = Bench::new();
    bench.run(2).await;
    // As the head is while an operator runs: of before the last records.
    let text = bench.text();
    bench.run(1).await;
    let lines: Vec<&str> = text.lines().collect();
    let head = fs::read(head_path(&bench.path())).unwrap();
    let whole = bench.text();
    fs::write(bench.path(), &whole).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(bench.path()).unwrap();
    file.write_all(&lines[1].as_bytes()[..40]).unwrap();
    assert_eq!(bench.now().findings[0].wrong, Wrong::Torn);
    fs::write(head_path(&bench.path()), head).unwrap();
    bench.run(1).await;
    let found = bench.now();
    assert_eq!((found.wrong, found.torn, found.chains.len()), (0, 1, 1));
    assert!(!bench.breaks());
}

#[tokio::test]
async fn what_was_cut_edited_or_taken_away_meanwhile_begins_a_chain_that_says_so() {
    type Harm = fn(&Bench);
    let cases: [(Harm, Wrong); 5] = [
        (
            |b| {
                let text = b.text();
                let kept: Vec<&str> = text.lines().take(2).collect();
                fs::write(b.path(), kept.join("\n") + "\n").unwrap();
            },
            Wrong::CutTail,
        ),
        (
            |b| fs::write(b.path(), b.text().replace("db-1", "db-7")).unwrap(),
            Wrong::Edited,
        ),
        (|b| fs::write(b.path(), "").unwrap(), Wrong::Missing),
        (|b| fs::remove_file(head_path(&b.path())).unwrap(), Wrong::NoHead),
        (|b| fs::write(head_path(&b.path()), "{}").unwrap(), Wrong::BadHead),
    ];
    for (harm, wrong) in cases {
        let bench = Bench::new();
        bench.run(3).await;
        harm(&bench);
        bench.run(1).await;
        let found = bench.now();
        if wrong == Wrong::Missing {
            // An empty file is what logrotate's `create` leaves; that the one before is not given, is told.
            assert!(found.chains[0].continued);
            continue;
        }
        let last = found.chains.last().unwrap();
        assert_eq!(last.why, Some(wrong));
        assert!(bench.breaks(), "{wrong:?}");
        bench.run(1).await;
        assert_eq!(
            bench.now().chains.len(),
            found.chains.len(),
            "told once: {wrong:?}"
        );
    }
}

#[tokio::test]
async fn another_ring_begins_another_chain() {
    let mut bench = Bench::new();
    bench.run(2).await;
    bench.keys = Arc::new(Keys::generate(System.now(), &mut SystemEntropy).unwrap());
    bench.ring.replace(Opener::new(Arc::clone(&bench.keys)));
    bench.run(2).await;
    let found = bench.now();
    assert_eq!(found.findings[0].wrong, Wrong::OtherRoot);
    assert_eq!(found.chains.last().unwrap().why, Some(Wrong::OtherRoot));
    assert_eq!((found.wrong, found.deliveries), (1, 2));
}

#[tokio::test]
async fn a_renewed_key_breaks_no_chain() {
    let mut bench = Bench::new();
    bench.run(1).await;
    let mut keys = Keys::from_text(&bench.keys.to_text()).unwrap();
    let kid = keys.renew(System.now(), &mut SystemEntropy).unwrap();
    keys.promote(kid).unwrap();
    bench.keys = Arc::new(keys);
    bench.ring.replace(Opener::new(Arc::clone(&bench.keys)));
    bench.run(1).await;
    assert_eq!((bench.now().wrong, bench.now().chains.len()), (0, 1));
}

#[tokio::test]
async fn a_file_that_is_rotated_away_is_gone_on_with_in_a_new_one() {
    let bench = Bench::new();
    let writing = bench.start().deliver(2);
    bench.until(|b| b.lines() == 3);
    let old = bench.dir.path().join("audit.1");
    fs::rename(bench.path(), &old).unwrap();
    writing.deliver(2).end().await;
    let found = bench.check(&[&old, &bench.path()]);
    assert_eq!((found.wrong, found.records, found.chains.len()), (0, 6, 1));
    // And while no operator runs.
    let older = bench.dir.path().join("audit.2");
    fs::rename(&old, &older).unwrap();
    fs::rename(bench.path(), &old).unwrap();
    bench.run(1).await;
    let found = bench.check(&[&older, &old, &bench.path()]);
    assert_eq!((found.wrong, found.deliveries, found.chains.len()), (0, 5, 1));
    assert!(!bench.breaks());
}

#[tokio::test]
async fn a_file_that_is_cut_while_it_is_written_is_told() {
    let bench = Bench::new();
    let writing = bench.start().deliver(3);
    bench.until(|b| b.lines() == 4);
    let text = bench.text();
    let kept: Vec<&str> = text.lines().take(2).collect();
    fs::write(bench.path(), kept.join("\n") + "\n").unwrap();
    writing.deliver(1).end().await;
    assert_eq!(bench.now().chains.last().unwrap().why, Some(Wrong::CutTail));
    assert_eq!(bench.now().findings[0].wrong, Wrong::Missing);
}

#[tokio::test]
async fn what_cannot_be_written_waits_and_what_is_beyond_is_counted_and_told() {
    let bench = Bench::new();
    let away = bench.dir.path().with_extension("away");
    fs::rename(bench.dir.path(), &away).unwrap();
    let mut writing = bench.start();
    for _ in 0..10 {
        writing = writing.deliver(500);
        std::thread::sleep(Duration::from_millis(100));
    }
    bench.until(|b| !b.metrics.text().contains("outcome=\"lost\"} 0"));
    fs::rename(&away, bench.dir.path()).unwrap();
    writing.end().await;
    let found = bench.now();
    assert_eq!(found.wrong, 0);
    assert_eq!(found.deliveries + found.lost, 5000);
    assert!(found.deliveries >= WAITING as u64 && found.lost > 0);
}

#[tokio::test]
async fn a_link_in_the_place_of_the_file_is_not_followed() {
    let bench = Bench::new();
    let other = bench.dir.path().join("other");
    fs::write(&other, "").unwrap();
    std::os::unix::fs::symlink(&other, bench.path()).unwrap();
    bench.run(1).await;
    assert_eq!(fs::read_to_string(other).unwrap(), "");
}

#[test]
fn no_file_takes_nothing() {
    let (auditor, _) = Auditor::start(
        None,
        Arc::new(Ring::missing("none")),
        Arc::new(System),
        Metrics::default(),
    );
    auditor.tell(Timestamp::UNIX_EPOCH, Delivery::default());
    let root = FingerprintRoot::from_bytes(Zeroizing::new([1; 32]));
    assert_eq!(format!("{:?}", root.chain_key()), "ChainKey(..)");
}

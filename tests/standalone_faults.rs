//! Faults on a real `supercargo standalone`: SIGKILL under write load, a full disk, a second process on the same data, slow
//! and hostile clients. No engine is needed. `SUPERCARGO_KILL_ROUNDS` is how often it is
//! killed, `SUPERCARGO_SLOW_WRITES` how much is written beside a watch that reads nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test may"
)]

#[path = "standalone_faults/clients.rs"]
mod clients;
#[path = "standalone_faults/disk.rs"]
mod disk;
#[path = "standalone_faults/killing.rs"]
mod killing;
#[path = "standalone_faults/process.rs"]
mod process;
#[path = "standalone_faults/wire.rs"]
mod wire;

#[expect(clippy::disallowed_methods, reason = "a longer run asks for more")]
fn number(name: &str, otherwise: usize) -> usize {
    let asked = std::env::var(name).ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_minus_nine_under_load_every_acknowledged_write_is_there_and_watches_go_on() {
    killing::kill_minus_nine(number("SUPERCARGO_KILL_ROUNDS", 5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_reads_go_on_until_there_is_space() {
    disk::full().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_data_says_so_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = process::Standalone::new(dir.path());
    let wire = first.start().await;
    let mut second = process::Standalone::new(dir.path()).command();
    let ended = second.stderr(std::process::Stdio::piped()).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("is used by another supercargo"), "{said}");
    assert_eq!(wire.get("/livez").await.unwrap().code, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_reads_nothing_holds_up_no_writer() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = process::Standalone::new(dir.path());
    clients::slow_watchers(&mut server, number("SUPERCARGO_SLOW_WRITES", 2_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_slow_broken_and_hostile_clients_hurt_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = process::Standalone::new(dir.path());
    let wire = server.start().await;
    clients::broken_requests(&wire).await;
    clients::broken_tls(&wire).await;
    clients::coded_bodies(&wire).await;
    clients::rapid_reset(&wire).await;
    clients::slow_senders(&wire).await;
    clients::idle_connections(&wire).await;
}

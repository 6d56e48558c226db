//! What is left of plaintext in our own memory after a create or a delivery: nothing, in live and in freed memory alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::FileExt,
};

use futures::StreamExt;
use supercargo::{
    engine::{Commands, Containers},
    seal::Plaintext,
    state::container::{EnvValue, EnvVar, SlotId},
};
use tokio::io::AsyncWriteExt;

use super::{docker::DockerLab, lab::Lab};

/// Kept masked, so that the search does not find what it searches with.
const MASK: u8 = 0x5a;

fn masked(run: &str) -> Vec<u8> {
    let parts = b"zq7-".iter().copied().chain(run.bytes());
    parts
        .chain(*b"-plaintext-canary")
        .map(|byte| byte ^ MASK)
        .collect()
}

/// Where the text stands in the writable memory of this process. What is read is masked at once and the search's own
/// buffer left out, so that it does not find what it has read before.
fn copies(masked: &[u8]) -> BTreeSet<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let memory = std::fs::File::open("/proc/self/mem").unwrap();
    let mut buffer = vec![0; 1 << 16];
    let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
    let mut found = BTreeSet::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (from, to) = (
            u64::from_str_radix(from, 16).unwrap(),
            u64::from_str_radix(to, 16).unwrap(),
        );
        for at in (from..to).step_by(buffer.len() - masked.len()) {
            let length = usize::try_from(to - at).unwrap().min(buffer.len());
            // Some regions, such as the kernel's own, are not to be read.
            let read = memory.read_at(&mut buffer[..length], at).unwrap_or(0);
            buffer[..read].iter_mut().for_each(|byte| *byte ^= MASK);
            let windows = buffer[..read].windows(masked.len()).zip(at..);
            found.extend(
                windows
                    .filter(|(window, _)| *window == masked)
                    .map(|(_, at)| at)
                    .filter(|at| !own.contains(at)),
            );
        }
    }
    found
}

#[tokio::test]
async fn a_create_leaves_no_copy_of_a_value_in_our_memory() {
    let lab = DockerLab::open().await;
    let masked = masked(lab.run());
    let mut spec = lab.spec("c");
    spec.env = vec![EnvVar {
        name: "A".into(),
        value: EnvValue::Slot(SlotId("A".into())),
    }];
    // Made in full size at once: a growing buffer would leave copies of the test's own.
    let mut value = Vec::with_capacity(masked.len());
    value.extend(masked.iter().map(|byte| byte ^ MASK));
    let env = BTreeMap::from([(SlotId("A".into()), Plaintext::new(value))]);
    assert_eq!(
        copies(&masked).len(),
        1,
        "the search must find the one that is there"
    );
    // No inspect here: its answer has the value in it, which passes through hyper's buffer.
    lab.engine().create_container(&spec, &env).await.unwrap();
    drop(env);
    // The connection's task ends after the answer was read.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(copies(&masked).len(), 0);
}

#[tokio::test]
async fn what_is_written_into_a_command_leaves_no_copy_in_our_memory() {
    let lab = DockerLab::open().await;
    // One text is not to be the end of the other test's.
    let masked = masked(&format!("{}-delivery", lab.run()));
    let id = lab.running(&lab.spec("c")).await;
    let mut value = Vec::with_capacity(masked.len());
    value.extend(masked.iter().map(|byte| byte ^ MASK));
    let value = Plaintext::new(value);
    assert_eq!(
        copies(&masked).len(),
        1,
        "the search must find the one that is there"
    );
    let command = ["sh", "-c", "wc -c"].map(str::to_owned);
    let mut session = lab.engine().attach(&id, &command).await.unwrap();
    session.input.write_all(value.expose()).await.unwrap();
    session.input.shutdown().await.unwrap();
    let said: Vec<_> = session.output.map(|chunk| chunk.unwrap()).collect().await;
    assert!(!said.is_empty());
    assert_eq!(copies(&masked).len(), 1, "the one that is still held");
    drop(value);
    assert_eq!(copies(&masked).len(), 0);
}

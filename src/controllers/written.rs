//! Statuses that were written and that the watch has not shown yet. A reconcile that began from an older one would forget
//! what it says, such as how often a container was started again. Owns no request. Asked by [`super::deployment`] before a
//! decision, told by [`super::publish`].

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::api::status::DockerDeploymentStatus;

/// No watch is later than this: a version that is older even then is of an API server that was put back to an earlier time.
const LATEST: Duration = Duration::from_secs(60);

struct Entry {
    version: String,
    status: DockerDeploymentStatus,
    at: Instant,
}

/// See the file's header. By the uid of an object.
#[derive(Default)]
pub struct Written(Mutex<BTreeMap<String, Entry>>);

impl Written {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what was written to the object with this uid, which made it `version`.
    pub fn remember(&self, uid: &str, version: &str, status: DockerDeploymentStatus) {
        let entry = Entry {
            version: version.to_owned(),
            status,
            at: Instant::now(),
        };
        self.lock().insert(uid.to_owned(), entry);
    }

    /// The status to go on from: what was written, while the object is seen at an earlier `version`; else what it says.
    #[must_use]
    pub fn or(&self, uid: &str, version: &str, seen: DockerDeploymentStatus) -> DockerDeploymentStatus {
        let mut written = self.lock();
        match written.get(uid) {
            Some(entry) if is_before(version, &entry.version) && entry.at.elapsed() < LATEST => {
                entry.status.clone()
            }
            Some(_) => {
                written.remove(uid);
                seen
            }
            None => seen,
        }
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }
}

/// Whether a resource version is earlier than another. They are whole numbers that grow (KEP-5504); of any that are not,
/// nothing is known.
fn is_before(seen: &str, written: &str) -> bool {
    let number = |version: &str| version.parse::<u128>().ok();
    number(seen)
        .zip(number(written))
        .is_some_and(|(seen, written)| seen < written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(generation: i64) -> DockerDeploymentStatus {
        DockerDeploymentStatus {
            observed_generation: generation,
            ..DockerDeploymentStatus::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_version_that_an_earlier_write_of_ours_made_is_not_taken_for_the_last_one() {
        let written = Written::default();
        // One pass wrote twice; the watch shows the first write, and then the second.
        written.remember("uid", "98", status(1));
        written.remember("uid", "101", status(2));
        for late in ["97", "98", "100"] {
            assert_eq!(written.or("uid", late, status(1)), status(2), "{late}");
        }
        assert_eq!(written.or("uid", "101", status(2)), status(2));
        assert_eq!(
            written.or("uid", "100", status(1)),
            status(1),
            "forgotten by then"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_somebody_wrote_later_counts() {
        let written = Written::default();
        written.remember("uid", "101", status(2));
        assert_eq!(written.or("other", "7", status(1)), status(1));
        assert_eq!(written.or("uid", "1000", status(3)), status(3));
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_of_an_earlier_time_is_believed_after_a_minute() {
        let written = Written::default();
        written.remember("uid", "101", status(2));
        tokio::time::advance(LATEST).await;
        assert_eq!(written.or("uid", "12", status(1)), status(1));
        written.remember("uid", "one", status(2));
        assert_eq!(written.or("uid", "another", status(1)), status(1));
    }
}

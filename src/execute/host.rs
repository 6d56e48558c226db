//! Files in the operator's own directory of the host: the same parcels and receipts as through a holder, without one. Asks the
//! engine once a connection whether it shares that directory, which only somebody on the same host can answer. Every
//! change needs the running term that one of the engine needs. Decides nothing; called by [`super::files`] for its
//! actions, and by `controllers` to see what is there.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use jiff::Timestamp;

use super::{Executor, Outcome, Run, Skipped, files::EXEC};
use crate::{
    api::keys::label,
    clock::{Clock, System},
    delivery::{
        parcel::Parcel,
        receipt::{Shelf, User},
    },
    engine::{self, Engine, Error, Kind, LabelFilter, Op, Term},
    seal::{DigestKey, SystemEntropy},
    shelf::{
        self, Fault,
        host::{Directory, Found, HostDirectory, Record, SIGN},
    },
    state::{
        container::{ContainerId, ContainerSpec, Mount, MountSource, RunState},
        files::{FileUser, Holder, mounts, on_host},
        names,
        owner::Owner,
        volume::Volume,
    },
};

/// Where the container that is made to ask has what it should see.
const SEEN_AT: &str = "/host";
/// The longest sign, in bytes.
const LONGEST_SIGN: u64 = 256;
/// Hex digits of the hash that the name of a volume ends with.
const HASH: usize = 8;

/// A verified directory, and until when it may be written to. Clones share both.
#[derive(Debug, Clone)]
pub struct HostFiles {
    directory: Arc<HostDirectory>,
    term: Term,
    noswap: bool,
}

/// Makes an error of what went wrong in the directory, which names paths and no bytes.
fn failed(subject: &str, fault: &Fault) -> Error {
    let text = fault.to_string();
    let message = if text.contains("No space left") {
        "there is no room for the files: --host-tmpfs is full".to_owned()
    } else {
        format!("--host-tmpfs: {text}")
    };
    Error::new(Op::Deliver, subject, Kind::Failed, message)
}

/// What about an engine makes users of containers others than users of the host.
#[must_use]
pub fn apart(security_options: &[String]) -> Option<&'static str> {
    let has = |word: &str| {
        let named = format!("name={word}");
        security_options
            .iter()
            .any(|o| *o == word || o.split(',').any(|part| part == named))
    };
    if has("userns") {
        Some("gives users of containers other numbers on the host (userns-remap)")
    } else if has("rootless") {
        Some("is rootless, and neither sees what the host mounts nor has its users")
    } else {
        None
    }
}

impl HostFiles {
    /// Takes a directory; what is written there needs a running `term`.
    ///
    /// # Errors
    /// What is wrong with the directory, and what to do.
    pub fn open(path: &Path, term: Term) -> Result<Self, Fault> {
        let directory = Arc::new(HostDirectory::open(path)?);
        let noswap = directory.is_out_of_swap();
        Ok(Self {
            directory,
            term,
            noswap,
        })
    }

    /// Takes a directory for somebody who only looks: nothing can be written there, and nothing is to try it.
    ///
    /// # Errors
    /// What is wrong with the directory, and what to do.
    pub fn reading(path: &Path) -> Result<Self, Fault> {
        let directory = Arc::new(HostDirectory::reading(path)?);
        let noswap = directory.is_out_of_swap();
        Ok(Self {
            directory,
            term: Term::not_begun(),
            noswap,
        })
    }

    /// Whether what is written there stays out of swap, as of the start.
    #[must_use]
    pub const fn noswap(&self) -> bool {
        self.noswap
    }

    /// What holds a deployment's volumes there.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub async fn holders(&self, owner: &Owner) -> engine::Result<Vec<Holder>> {
        Ok(self.records(owner).await?.into_iter().map(holder).collect())
    }

    /// Where the volumes of a control plane are.
    fn root(&self, owner: &Owner) -> String {
        self.directory.root(&owner.instance.short())
    }

    /// Works in the directory, off the threads that others wait on.
    async fn work<T: Send + 'static>(
        &self,
        subject: &str,
        work: impl FnOnce(&HostDirectory) -> Result<T, Fault> + Send + 'static,
    ) -> engine::Result<T> {
        let directory = Arc::clone(&self.directory);
        let working = tokio::task::spawn_blocking(move || work(&directory));
        let late = |what: &str| Error::new(Op::Deliver, subject, Kind::Failed, what);
        match tokio::time::timeout(EXEC, working).await {
            Ok(Ok(done)) => done.map_err(|fault| failed(subject, &fault)),
            Ok(Err(_ended)) => Err(late("the writing of the files was cut off")),
            Err(_late) => Err(late("the directory of the files does not answer")),
        }
    }

    /// The same, changing something.
    async fn change<T: Send + 'static>(
        &self,
        subject: &str,
        work: impl FnOnce(&HostDirectory) -> Result<T, Fault> + Send + 'static,
    ) -> engine::Result<T> {
        if !self.term.runs() {
            let message = "another operator may lead by now, so nothing is changed";
            return Err(Error::new(Op::Deliver, subject, Kind::Unreachable, message));
        }
        self.work(subject, work).await
    }

    /// The records of a deployment.
    async fn records(&self, owner: &Owner) -> engine::Result<Vec<Found>> {
        let name = names::files(owner, &[]);
        let prefix = name
            .get(..name.len().saturating_sub(HASH))
            .unwrap_or_default()
            .to_owned();
        let root = self.root(owner);
        let found = self
            .work(&owner.name, move |directory| directory.records(&root, &prefix))
            .await?;
        let is_ours = |found: &Found| {
            let says = |key: &str| found.record.labels.get(key).map(String::as_str);
            says(label::HOLDS_FOR) == Some(&owner.uid)
                && says(label::INSTANCE) == Some(owner.instance.as_str())
        };
        Ok(found.into_iter().filter(is_ours).collect())
    }
}

fn holder(found: Found) -> Holder {
    let record = found.record;
    let complete = record
        .directories
        .iter()
        .all(|d| found.standing.contains_key(&d.path));
    let blind = record.blind.into_iter();
    let held = Holder::on_host(found.path, &record.labels, found.made_at);
    Holder {
        state: if complete {
            RunState::Running
        } else {
            RunState::Exited
        },
        volumes: record.volumes,
        blind: blind.map(|(id, run)| (ContainerId::new(id), run)).collect(),
        ..held
    }
}

impl<E: Engine> Executor<E> {
    /// What holds a deployment's volumes in the operator's own directory of the host, with that directory. What is known of
    /// volumes in which something else stands by now is forgotten.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub async fn host_holders(&self, owner: &Owner) -> engine::Result<(Option<String>, Vec<Holder>)> {
        let Some(host) = &self.host else {
            return Ok((None, Vec::new()));
        };
        let found = host.records(owner).await?;
        let standing = found.iter().flat_map(|found| {
            let volumes = found.record.volumes.keys();
            volumes.map(|volume| (volume.clone(), found.standing.get(volume).cloned().flatten()))
        });
        self.files.compare(&standing.collect());
        Ok((Some(host.root(owner)), found.into_iter().map(holder).collect()))
    }

    /// Removes all that a deployment has in the operator's own directory of the host.
    ///
    /// # Errors
    /// What cannot be removed.
    pub async fn clear_host(&self, owner: &Owner) -> engine::Result<()> {
        let Some(host) = &self.host else { return Ok(()) };
        let root = host.root(owner);
        for found in host.records(owner).await? {
            let root = root.clone();
            let remove = move |directory: &HostDirectory| {
                directory.remove_directories(&root, found.record.volumes.keys())?;
                directory.remove_record(&root, &found.path)
            };
            host.change(&owner.name, remove).await?;
        }
        Ok(())
    }
}

impl<E: Engine> Run<'_, E> {
    fn host(&self, subject: &str) -> engine::Result<&HostFiles> {
        let host = self.executor.host.as_ref();
        host.ok_or_else(|| {
            Error::new(
                Op::Deliver,
                subject,
                Kind::Failed,
                "there is no --host-tmpfs any more",
            )
        })
    }

    /// One of the deployment's own records.
    async fn own_record(&self, path: &str) -> engine::Result<Option<Found>> {
        let records = self.host(path)?.records(self.owner).await?;
        Ok(records.into_iter().find(|found| found.path == path))
    }

    pub(super) async fn ensure_record(
        &self,
        path: &str,
        (labels, holds): (&BTreeMap<String, String>, &BTreeMap<String, String>),
        volumes: &[Volume],
        spec: &ContainerSpec,
    ) -> engine::Result<Outcome> {
        let host = self.host(path)?;
        self.share_host(host, spec).await?;
        let directory = |volume: &Volume| {
            let memory = volume.memory.as_ref()?;
            let FileUser { uid, gid } = memory.user;
            Some(Directory {
                path: volume.name.clone(),
                user: User { uid, gid },
                mode: memory.mode,
            })
        };
        let before = self.own_record(path).await?;
        let record = Record {
            labels: labels.clone(),
            volumes: holds.clone(),
            directories: volumes.iter().filter_map(directory).collect(),
            blind: before.map(|found| found.record.blind).unwrap_or_default(),
        };
        self.lay_out(path, record).await
    }

    /// Makes what is missing of what a record says.
    pub(super) async fn restore_record(&self, path: &str) -> engine::Result<Outcome> {
        match self.own_record(path).await? {
            Some(found) => self.lay_out(path, found.record).await,
            None => Ok(Outcome::Skipped(Skipped::Gone)),
        }
    }

    /// Writes a record and makes its directories. Whoever runs with one that is gone would not come to the new one, and no
    /// engine shows that (20.10 mounts the path anew to look): they are noted in the record before.
    async fn lay_out(&self, path: &str, mut record: Record) -> engine::Result<Outcome> {
        let host = self.host(path)?;
        let directories = record.directories.clone();
        let missing = move |host: &HostDirectory| Ok(host.missing(&directories));
        let missing = host.work(path, missing).await?;
        if !missing.is_empty() {
            record.blind.extend(self.who_runs_with(&missing).await?);
        }
        let (root, at) = (host.root(self.owner), path.to_owned());
        host.change(path, move |host| host.keep(&root, &at, &record))
            .await?;
        Ok(Outcome::Done)
    }

    async fn who_runs_with(&self, volumes: &[String]) -> engine::Result<BTreeMap<String, Timestamp>> {
        let filter = LabelFilter {
            key: label::UID.to_owned(),
            value: self.owner.uid.clone(),
        };
        let mut found = BTreeMap::new();
        for one in self.engine().list_containers(&filter).await? {
            let view = match self.engine().inspect_container(one.id.as_str()).await {
                Err(error) if error.kind == Kind::NotFound => continue,
                other => other?,
            };
            let has = mounts(&view).keys().any(|volume| volumes.contains(volume));
            let runs = matches!(view.state, RunState::Running | RunState::Paused);
            found.extend(
                view.started_at
                    .filter(|_| has && runs)
                    .map(|at| (view.id.to_string(), at)),
            );
        }
        Ok(found)
    }

    /// Refuses an engine that has another host's directories, or other users. Asked once for each connection.
    async fn share_host(&self, host: &HostFiles, spec: &ContainerSpec) -> engine::Result<()> {
        let refuse = |what: &str| {
            let message = format!(
                "--host-tmpfs: the Docker Engine {what}; start the operator on the engine's host, or without the flag"
            );
            Err(Error::new(Op::Deliver, &spec.name, Kind::Failed, message))
        };
        let _turn = self.executor.agents.lock().await;
        if self.book().pages().shares_host {
            return Ok(());
        }
        if let Some(what) = apart(&self.engine().info().await?.security_options) {
            return refuse(what);
        }
        let fail = |error: String| Error::new(Op::Deliver, &spec.name, Kind::Failed, error);
        let random = DigestKey::new(&mut SystemEntropy).map_err(|error| fail(error.to_string()))?;
        let sign = serde_json::to_vec(&random.digest("", b"")).map_err(|error| fail(error.to_string()))?;
        let (root, name, text) = (host.root(self.owner), spec.name.clone(), sign.clone());
        let leave = move |host: &HostDirectory| host.leave_sign(&root, &name, &text);
        let at = host.change(&spec.name, leave).await?;
        let seen = self.look_through_engine(&at, spec).await;
        let (root, name) = (host.root(self.owner), spec.name.clone());
        let remove = move |host: &HostDirectory| {
            host.remove_sign(&root, &name);
            Ok(())
        };
        host.change(&spec.name, remove).await?;
        if seen?.as_ref() != Some(&sign) {
            return refuse("does not see the directory: it is on another machine, or among other mounts");
        }
        self.book().pages().shares_host = true;
        Ok(())
    }

    /// What the engine reads from the sign in a directory of the host; `None` where it sees none.
    async fn look_through_engine(&self, at: &str, spec: &ContainerSpec) -> engine::Result<Option<Vec<u8>>> {
        let mut spec = spec.clone();
        spec.mounts.push(Mount {
            target: SEEN_AT.to_owned(),
            read_only: true,
            source: MountSource::HostPath(at.to_owned()),
        });
        let id = match self.make_question(&spec).await {
            Err(error) if matches!(error.kind, Kind::HostPathMissing | Kind::Invalid) => return Ok(None),
            other => other?,
        };
        self.touch(&id);
        let path = format!("{SEEN_AT}/{SIGN}");
        let read = self.engine().read_file(&id, &path, LONGEST_SIGN).await;
        self.engine().remove_container(&id, true).await?;
        read
    }

    async fn make_question(&self, spec: &ContainerSpec) -> engine::Result<ContainerId> {
        match self.make_agent(spec).await {
            Err(error) if error.kind == Kind::Conflict => {
                // Left behind by one that was killed.
                match self.holder(&spec.name).await? {
                    Some(view) => self.engine().remove_container(&view.id, true).await?,
                    None => return Err(error),
                }
                self.make_agent(spec).await
            }
            other => other,
        }
    }

    /// Carries out a parcel in directories that one of the deployment's own records names.
    pub(super) async fn write_on_host(
        &self,
        path: &str,
        parcel: Parcel,
    ) -> engine::Result<(Holder, Parcel, Vec<Shelf>)> {
        let host = self.host(path)?;
        let fail = |message: &str| Error::new(Op::Deliver, path, Kind::Failed, message);
        let record = self.own_record(path).await?;
        let held = holder(record.ok_or_else(|| fail("the record of the files is not there"))?);
        if parcel
            .loads
            .iter()
            .any(|load| !held.volumes.contains_key(&load.directory))
        {
            return Err(fail("the record of the files names other directories"));
        }
        let FileUser { uid, gid } = held.user;
        let write = move |host: &HostDirectory| {
            host.verify()?;
            let now = System.now();
            let loads = parcel.loads.iter();
            let shelves = loads.map(|load| shelf::carry_out(load, &parcel.key, now, Some(User { uid, gid })));
            let shelves = shelves.collect::<Result<Vec<Shelf>, Fault>>()?;
            Ok((parcel, shelves))
        };
        let (parcel, shelves) = host.change(path, write).await?;
        Ok((held, parcel, shelves))
    }

    pub(super) async fn remove_record(&self, path: &str) -> engine::Result<Outcome> {
        if self.own_record(path).await?.is_some() {
            let host = self.host(path)?;
            let (root, at) = (host.root(self.owner), path.to_owned());
            host.change(path, move |host| host.remove_record(&root, &at))
                .await?;
        }
        Ok(Outcome::Done)
    }

    /// Removes directories that one of the deployment's own records names.
    pub(super) async fn remove_directories(&self, volumes: &[String]) -> engine::Result<Outcome> {
        let subject = volumes.first().map_or("", String::as_str);
        let host = self.host(subject)?;
        let records = host.records(self.owner).await?;
        let is_ours = |volume: &&String| {
            let names = |found: &Found| found.record.volumes.contains_key(*volume);
            on_host(volume) && records.iter().any(names)
        };
        let ours: Vec<String> = volumes.iter().filter(is_ours).cloned().collect();
        let root = host.root(self.owner);
        host.change(subject, move |host| host.remove_directories(&root, &ours))
            .await?;
        self.book().forget_contents(|volume| volumes.contains(volume));
        Ok(Outcome::Done)
    }
}

//! The port to a container engine: seven small traits in our own types, and their adapters (`bollard` for Docker,
//! `fake` in memory, `faulty` as a decorator of either). Owns nothing but the wire: no policy, no retries, no cache.
//! Called by `execute` (changes) and `controllers` (observation). The same contract suite runs on `fake` and on Docker.

use std::{collections::BTreeMap, future::Future};

use futures::stream::BoxStream;
use jiff::Timestamp;

use crate::state::{
    container::{ContainerId, ContainerSpec, ContainerView, Limits},
    image::{ImageTag, ImageView},
    network::{NetworkSpec, NetworkView},
    volume::Volume,
};

pub mod bollard;
pub mod decorate;
pub mod fake;
pub mod faulty;
pub mod limited;
pub mod termed;

pub use faulty::{Fault, FaultKind, Faulty};
pub use limited::{Limited, Meter};
pub use termed::{Term, Termed};

pub use crate::state::{
    fault::{self as error, Error, Kind, Op, Result},
    plaintext::{RegistryCredential, SecretEnv},
};

/// Selects what carries this label with this value; all our listings go by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelFilter {
    /// The label's key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Something that happened to a container or a network of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened, in the engine's word: `create`, `start`, `die`, `destroy`, `pause`, `connect`...
    pub action: String,
    /// The container that it happened to (for a network's connect and disconnect: the container concerned).
    pub container: Option<ContainerId>,
    /// The labels that came with the event, among words of the engine's own (`name`, `image`, `exitCode`, `signal`,
    /// `oldName`), which it keeps in the same map; those of a network event are absent.
    pub labels: BTreeMap<String, String>,
    /// When, by the engine's clock.
    pub at: Timestamp,
}

/// Which part of a container's log to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Keep the stream open for what comes.
    pub follow: bool,
    /// Only that many last lines; all when absent.
    pub tail: Option<u64>,
    /// Only what was written since.
    pub since: Option<Timestamp>,
    /// Put the time before each line.
    pub timestamps: bool,
}

/// A piece of a container's output, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogChunk {
    /// From standard output.
    Stdout(bytes::Bytes),
    /// From standard error.
    Stderr(bytes::Bytes),
}

/// What the engine says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// The product's version, such as `20.10.24`.
    pub version: String,
    /// The newest API version that it serves, such as `1.41`; used as a feature gate only.
    pub api_version: String,
    /// The host's name.
    pub name: String,
    /// The version of the host's kernel, such as `6.1.0-18-amd64`; empty where it is not told.
    pub kernel: String,
    /// Its operating system and architecture, such as `linux/amd64`.
    pub platform: String,
    /// Where it keeps its files.
    pub root_dir: String,
    /// `SecurityOptions` as the engine names them (rootless, userns, selinux...).
    pub security_options: Vec<String>,
    /// The time by its clock, where it tells.
    pub time: Option<Timestamp>,
}

/// One container in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Which one.
    pub id: ContainerId,
    /// What the list shows of it. Another text tells that it has changed since: each run of a container has another one.
    pub trace: String,
}

/// Containers: one call of the Engine API each.
///
/// Every method fails with [`Kind::Unreachable`] when the engine cannot be asked or does not answer in time; then it
/// is unknown whether the call took effect. Each changing call is safe to repeat.
pub trait Containers: Send + Sync + 'static {
    /// Lists all containers, running or not, that carry the label. One consistent answer of the engine.
    fn list_containers(&self, filter: &LabelFilter) -> impl Future<Output = Result<Vec<Listed>>> + Send;

    /// Shows one container, of ours or not, by id or by name; [`Kind::NotFound`] when there is none.
    fn inspect_container(&self, id_or_name: &str) -> impl Future<Output = Result<ContainerView>> + Send;

    /// Makes a container. [`Kind::Conflict`] when the name is taken, [`Kind::NotFound`] when the image is absent (it is
    /// never pulled), [`Kind::Invalid`] for an option that the engine refuses. A slot without bytes is `Invalid`.
    fn create_container(
        &self,
        spec: &ContainerSpec,
        env: &SecretEnv,
    ) -> impl Future<Output = Result<ContainerId>> + Send;

    /// Starts it; one that runs already is a success.
    fn start_container(&self, id: &ContainerId) -> impl Future<Output = Result<()>> + Send;

    /// Asks it to end and kills it after `grace_seconds`; answers when it has ended. One that has ended is a success.
    fn stop_container(&self, id: &ContainerId, grace_seconds: i64)
    -> impl Future<Output = Result<()>> + Send;

    /// Sends its program a signal, by name (`SIGHUP`); what the program makes of it is not waited for. A paused container is
    /// thawed. [`Kind::Conflict`] when it does not run, [`Kind::Invalid`] for what is no signal.
    fn signal_container(&self, id: &ContainerId, signal: &str) -> impl Future<Output = Result<()>> + Send;

    /// Thaws a paused container; one that is not paused is a success.
    fn unpause_container(&self, id: &ContainerId) -> impl Future<Output = Result<()>> + Send;

    /// Removes it with its anonymous volumes; `force` kills it first. One that is gone or going is a success.
    fn remove_container(&self, id: &ContainerId, force: bool) -> impl Future<Output = Result<()>> + Send;

    /// Renames it. [`Kind::Conflict`] when the name is another's; its own name already is a success.
    fn rename_container(&self, id: &ContainerId, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// Sets limits (memory and swap together) and the restart policy `no`, live. Cannot take a limit away: an absent one
    /// is left as it is. The engine ignores what it does not know, so inspect afterwards.
    fn update_container(&self, id: &ContainerId, limits: &Limits) -> impl Future<Output = Result<()>> + Send;

    /// Reads its log.
    fn logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<LogChunk>>>> + Send;
}

/// Images.
pub trait Images: Send + Sync + 'static {
    /// Shows a local image; [`Kind::NotFound`] when it is absent. Asks no registry.
    fn inspect_image(&self, reference: &str) -> impl Future<Output = Result<ImageView>> + Send;

    /// Fetches an image from its registry and answers when it is there. [`Kind::RegistryDenied`],
    /// [`Kind::ImageNotFound`], [`Kind::RegistryUnavailable`] or [`Kind::Invalid`] (a bad reference) otherwise.
    fn pull_image(
        &self,
        reference: &str,
        credential: Option<&RegistryCredential>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Makes an image of one layer from the archive of its root file system, under this reference (with a tag), which
    /// no longer means another image then. [`Kind::Invalid`] for what is no archive.
    fn load_image(&self, reference: &str, archive: Archive) -> impl Future<Output = Result<()>> + Send;

    /// Lists the names of local images that are in this repository, whoever put them there.
    fn list_images(&self, repository: &str) -> impl Future<Output = Result<Vec<ImageTag>>> + Send;

    /// Takes a name from an image, and removes it with its last name; one that is gone is a success. [`Kind::Conflict`]
    /// while a container, running or not, was made from it.
    fn remove_image(&self, reference: &str) -> impl Future<Output = Result<()>> + Send;
}

/// A tar archive, piece by piece.
pub type Archive = BoxStream<'static, std::io::Result<bytes::Bytes>>;

/// A command that runs inside a container: its streams.
pub struct Session {
    /// What it writes; ends when it does.
    pub output: BoxStream<'static, Result<LogChunk>>,
    /// What it reads; shutting it down ends its input, dropping it alone does not.
    pub input: std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>,
}

/// Commands inside running containers. They get the container's environment and user. Every method fails with
/// [`Kind::Conflict`] when the container does not run and with [`Kind::NotFound`] when there is none.
pub trait Commands: Send + Sync + 'static {
    /// Starts a command and hands out its streams. A command that cannot be run is told by the end of its output.
    fn attach(&self, id: &ContainerId, command: &[String]) -> impl Future<Output = Result<Session>> + Send;

    /// Runs a command to its end and answers its exit code; 126 and 127 for one that cannot be run. What it writes is
    /// not kept. Has no bound in time: the caller drops it; the command itself then goes on, as no engine can end it.
    fn run_command(&self, id: &ContainerId, command: &[String]) -> impl Future<Output = Result<i64>> + Send;
}

/// Files inside a container, running or not, as they are mounted there now; needs no program of the image. Every method
/// fails with [`Kind::NotFound`] when there is no container. Paths are absolute.
pub trait Files: Send + Sync + 'static {
    /// Where the symbolic link at this path leads, links on the way followed: the name alone of a neighbour, else an
    /// absolute path. `None` when nothing is there or it is no link; what it leads to need not be there.
    fn read_link(&self, id: &ContainerId, path: &str) -> impl Future<Output = Result<Option<String>>> + Send;

    /// Reads a small regular file; links are followed within the container. `None` when nothing is there,
    /// [`Kind::Invalid`] for more than `limit` bytes and for what is no regular file. Not for plaintext: nothing is wiped.
    fn read_file(
        &self,
        id: &ContainerId,
        path: &str,
        limit: u64,
    ) -> impl Future<Output = Result<Option<Vec<u8>>>> + Send;
}

/// Networks.
pub trait Networks: Send + Sync + 'static {
    /// Lists all networks of the engine, ours and others: subnets must not overlap any.
    fn list_networks(&self) -> impl Future<Output = Result<Vec<NetworkView>>> + Send;

    /// Makes a bridge network; answers its id. [`Kind::Conflict`] when the name is taken, [`Kind::AddressSpace`] when the
    /// subnet overlaps.
    fn create_network(&self, spec: &NetworkSpec) -> impl Future<Output = Result<String>> + Send;

    /// Removes it; one that is gone is a success. [`Kind::NetworkInUse`] while endpoints are left.
    fn remove_network(&self, id: &str) -> impl Future<Output = Result<()>> + Send;

    /// Puts a container on a network under these names; one that runs and is on it already is [`Kind::Conflict`], one
    /// that does not run keeps the names that it has there, so disconnect it first. [`Kind::NotFound`] for a network that
    /// is not there, but of a container that does not run only its next start says so. (20.10.)
    fn connect_network(
        &self,
        network: &str,
        container: &ContainerId,
        aliases: &[String],
    ) -> impl Future<Output = Result<()>> + Send;

    /// Takes a container off a network; one that is not on it is a success.
    fn disconnect_network(
        &self,
        network: &str,
        container: &ContainerId,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// Named volumes.
pub trait Volumes: Send + Sync + 'static {
    /// Lists the volumes that carry the label.
    fn list_volumes(&self, filter: &LabelFilter) -> impl Future<Output = Result<Vec<Volume>>> + Send;

    /// Makes a local volume; one of that name that exists is a success (its labels stay as they are).
    fn create_volume(&self, volume: &Volume) -> impl Future<Output = Result<()>> + Send;

    /// Removes it; one that is gone is a success, one in use is [`Kind::Conflict`].
    fn remove_volume(&self, name: &str) -> impl Future<Output = Result<()>> + Send;
}

/// The engine itself.
pub trait Daemon: Send + Sync + 'static {
    /// Whether it answers.
    fn ping(&self) -> impl Future<Output = Result<()>> + Send;

    /// What it is.
    fn info(&self) -> impl Future<Output = Result<EngineInfo>> + Send;

    /// Streams what happens to containers that carry the label, and every connect and disconnect of a network, from
    /// now on; the stream ends or fails when the connection does. Events may precede the reply of the call that caused
    /// them. There is no replay worth relying on (a ring of 256 for the whole engine): list after every reconnect.
    fn events(
        &self,
        filter: &LabelFilter,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<Event>>>> + Send;
}

/// A container engine.
pub trait Engine: Containers + Commands + Files + Images + Networks + Volumes + Daemon {}

impl<T: Containers + Commands + Files + Images + Networks + Volumes + Daemon> Engine for T {}

//! Why a call to the engine failed, in our words: a noun, so that `plan` and `status` can speak of it without the port.
//! Built by the adapters of `engine`, which classify by status code and, where the engine answers 500 for everything, by
//! text. Text that came back from a call that carried plaintext is never kept: the engine quotes what it was sent.

use std::fmt;

/// Which call failed; also the `op` label of the engine metrics, so the set is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the call of the same name")]
pub enum Op {
    Connect,
    Ping,
    Info,
    Events,
    ListContainers,
    InspectContainer,
    CreateContainer,
    StartContainer,
    StopContainer,
    SignalContainer,
    UnpauseContainer,
    RemoveContainer,
    RenameContainer,
    UpdateContainer,
    Logs,
    Exec,
    RunCommand,
    ReadLink,
    ReadFile,
    InspectImage,
    PullImage,
    LoadImage,
    ListImages,
    RemoveImage,
    ListNetworks,
    CreateNetwork,
    RemoveNetwork,
    ConnectNetwork,
    DisconnectNetwork,
    ListVolumes,
    CreateVolume,
    RemoveVolume,
    Deliver,
    Confirm,
    FindUser,
}

impl Op {
    /// Whether the call changes something on the host.
    #[must_use]
    pub fn changes(self) -> bool {
        !matches!(
            self,
            Self::Connect
                | Self::Ping
                | Self::Info
                | Self::Events
                | Self::ListContainers
                | Self::InspectContainer
                | Self::Logs
                | Self::Exec
                | Self::RunCommand
                | Self::ReadLink
                | Self::ReadFile
                | Self::InspectImage
                | Self::ListImages
                | Self::ListNetworks
                | Self::ListVolumes
                | Self::Confirm
        )
    }

    /// Whether the call is about a network.
    #[must_use]
    pub fn is_network(self) -> bool {
        matches!(
            self,
            Self::ListNetworks
                | Self::CreateNetwork
                | Self::RemoveNetwork
                | Self::ConnectNetwork
                | Self::DisconnectNetwork
        )
    }

    /// The word used in metrics and messages, such as `create_container`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Ping => "ping",
            Self::Info => "info",
            Self::Events => "events",
            Self::ListContainers => "list_containers",
            Self::InspectContainer => "inspect_container",
            Self::CreateContainer => "create_container",
            Self::StartContainer => "start_container",
            Self::StopContainer => "stop_container",
            Self::SignalContainer => "signal_container",
            Self::UnpauseContainer => "unpause_container",
            Self::RemoveContainer => "remove_container",
            Self::RenameContainer => "rename_container",
            Self::UpdateContainer => "update_container",
            Self::Logs => "logs",
            Self::Exec => "exec",
            Self::RunCommand => "run_command",
            Self::ReadLink => "read_link",
            Self::ReadFile => "read_file",
            Self::InspectImage => "inspect_image",
            Self::PullImage => "pull_image",
            Self::LoadImage => "load_image",
            Self::ListImages => "list_images",
            Self::RemoveImage => "remove_image",
            Self::ListNetworks => "list_networks",
            Self::CreateNetwork => "create_network",
            Self::RemoveNetwork => "remove_network",
            Self::ConnectNetwork => "connect_network",
            Self::DisconnectNetwork => "disconnect_network",
            Self::ListVolumes => "list_volumes",
            Self::CreateVolume => "create_volume",
            Self::RemoveVolume => "remove_volume",
            Self::Deliver => "deliver",
            Self::Confirm => "confirm",
            Self::FindUser => "find_user",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str().replace('_', " "))
    }
}

/// What kind of failure it was: what a caller can decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The engine could not be asked, or did not answer in time. Whether the call took effect is unknown.
    Unreachable,
    /// The thing named does not exist.
    NotFound,
    /// The name is taken, or the thing is in a state that forbids this.
    Conflict,
    /// A host port is taken, by a container or by a process of the host.
    PortTaken,
    /// No address is left, or the subnet overlaps another.
    AddressSpace,
    /// Its runtime has the container or its task, and the engine does not know of it: it was killed while it started the
    /// container (20.10). No start of it will ever succeed.
    Unstartable,
    /// The network still has endpoints (or the engine believes so).
    NetworkInUse,
    /// The registry refused the credentials, or asks for some.
    RegistryDenied,
    /// The registry has no such image, tag or digest.
    ImageNotFound,
    /// The registry could not be reached or failed.
    RegistryUnavailable,
    /// The command of the container does not exist or is not executable.
    CommandNotRunnable,
    /// A host path to mount does not exist.
    HostPathMissing,
    /// The kernel refused to mount a volume, mostly because it does not know one of the options (`noswap` before 6.4).
    MountRefused,
    /// The engine understood and refused; asking again is useless until something changes.
    Invalid,
    /// Anything else: the engine failed.
    Failed,
}

impl Kind {
    /// The word used in metrics, such as `port_taken`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::PortTaken => "port_taken",
            Self::AddressSpace => "address_space",
            Self::Unstartable => "unstartable",
            Self::NetworkInUse => "network_in_use",
            Self::RegistryDenied => "registry_denied",
            Self::ImageNotFound => "image_not_found",
            Self::RegistryUnavailable => "registry_unavailable",
            Self::CommandNotRunnable => "command_not_runnable",
            Self::HostPathMissing => "host_path_missing",
            Self::MountRefused => "mount_refused",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
        }
    }
}

/// One failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{op}{}{subject}: {}", if .subject.is_empty() { "" } else { " " }, one_line(.message))]
pub struct Error {
    /// The call.
    pub op: Op,
    /// What it was about: a name or an id; empty where there is none.
    pub subject: String,
    /// What kind of failure.
    pub kind: Kind,
    /// What the engine said, or a fixed sentence with its status code where its text may quote plaintext.
    pub message: String,
}

impl Error {
    /// An error of this call about this subject.
    #[must_use]
    pub fn new(op: Op, subject: impl Into<String>, kind: Kind, message: impl Into<String>) -> Self {
        Self {
            op,
            subject: subject.into(),
            kind,
            message: message.into(),
        }
    }
}

/// What the engine says may come from an image or a registry, and ends in logs and terminals: no control character of
/// it does.
fn one_line(text: &str) -> String {
    text.trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The result of a call to the engine.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_a_change_and_reading_a_file_is_none() {
        let changes = [Op::SignalContainer, Op::ReadLink, Op::ReadFile].map(Op::changes);
        assert_eq!(changes, [true, false, false]);
    }

    #[test]
    fn what_the_engine_says_stays_on_one_line_and_moves_no_cursor() {
        let error = Error::new(Op::StartContainer, "web", Kind::Failed, "a\nb\u{1b}[2J\r\n");
        assert_eq!(error.to_string(), "start container web: a b [2J");
        assert_eq!(Error::new(Op::Ping, "", Kind::Failed, "x").to_string(), "ping: x");
    }
}

//! Files that a deployment is given: what stands in each of its volumes, for whom, and what has been delivered. Holds
//! slots and fingerprints, never bytes. Made by `secrets` and [`super::build`]; read by `plan`, `execute` and `status`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    container::{ContainerId, ContainerView, RunState, SlotId},
    hash::hex,
    image::ImageView,
};
use crate::api::keys::label;

/// Whose a file is, by number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileUser {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl std::fmt::Display for FileUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// The files of one volume of the pod, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeFiles {
    /// The volume's name in the pod.
    pub volume: String,
    /// Its files, sorted by path.
    pub files: Vec<FileSlot>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileSlot {
    /// Below the volume's root, with `/`.
    pub path: String,
    /// Its permissions, such as `0o400`.
    pub mode: u32,
    /// The bytes that belong into it.
    pub slot: SlotId,
    /// Keyed fingerprint of them.
    pub fingerprint: String,
}

/// What becomes of a container that runs when a value in one of its files changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnChange {
    /// Nothing: it finds the new file when it reads again.
    Update,
    /// It is sent this signal, such as `SIGHUP`.
    Signal(String),
    /// A rolling update replaces it; the old ones never see the new value.
    Restart,
}

/// A volume of the pod with files, as wanted. Where on the engine they stand depends on whose they are, which only the
/// image may say; `plan::files` decides it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileVolume {
    /// The volume's name in the pod.
    pub entry: String,
    /// Hash of how the volume is written: another one is another volume, so that replicas of two templates never see each
    /// other's files.
    pub definition: String,
    /// What a change does.
    pub on_change: OnChange,
    /// Permissions of the directory.
    pub mode: u32,
    /// Where the container mounts it.
    pub targets: Vec<String>,
    /// Its files.
    pub files: Vec<FileSlot>,
}

impl FileVolume {
    /// Names what stands in it: the same files with the same values have the same generation.
    #[must_use]
    pub fn generation(&self) -> String {
        let modes: Vec<String> = self.files.iter().map(|f| format!("{:o}", f.mode)).collect();
        let parts = self.files.iter().zip(&modes);
        let parts: Vec<&str> = parts
            .flat_map(|(f, mode)| [f.path.as_str(), mode.as_str(), f.fingerprint.as_str()])
            .collect();
        hex(&parts, 16)
    }
}

/// What holds volumes with files, so that they stay, and through what they are written: a container that has them mounted,
/// or a record in the operator's own directory of the host, which is named by its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The engine's id; of a record its path.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Whether it can write; nobody can through a record while one of its directories is gone.
    pub state: RunState,
    /// When its present run began; of a record, when it was written.
    pub started_at: Option<Timestamp>,
    /// Which volume of the engine is which of the pod.
    pub volumes: BTreeMap<String, String>,
    /// Whose the files are.
    pub user: FileUser,
    /// How many sets of volumes came before these, whose users the engine had forgotten.
    #[serde(default)]
    pub round: u32,
    /// The volume of the engine with the program that sets protected variables, where it has one.
    #[serde(default)]
    pub program: String,
    /// Containers, in the run that began then, that have mounted a directory of the host which is gone.
    #[serde(default)]
    pub blind: BTreeMap<ContainerId, Timestamp>,
}

impl Holder {
    /// Reads the labels; one that somebody broke holds nothing, and goes.
    #[must_use]
    pub fn of(view: ContainerView) -> Self {
        Self {
            volumes: serde_json::from_str(view.label(label::HOLDS)).unwrap_or_default(),
            user: FileUser::parse(view.label(label::FILE_USER)).unwrap_or_default(),
            round: view.label(label::ROUND).parse().unwrap_or_default(),
            program: view.label(label::PROGRAM).to_owned(),
            id: view.id,
            name: view.name,
            state: view.state,
            started_at: view.started_at,
            blind: BTreeMap::new(),
        }
    }

    /// Of a record at this path of the host, of this age.
    #[must_use]
    pub fn on_host(path: String, labels: &BTreeMap<String, String>, made_at: Timestamp) -> Self {
        let user = labels
            .get(label::FILE_USER)
            .and_then(|text| FileUser::parse(text));
        Self {
            id: ContainerId::new(path.clone()),
            name: path,
            state: RunState::Running,
            started_at: Some(made_at),
            volumes: BTreeMap::new(),
            user: user.unwrap_or_default(),
            round: 0,
            program: String::new(),
            blind: BTreeMap::new(),
        }
    }

    /// Whether it can write.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.state == RunState::Running
    }

    /// Where a volume, which is this one of the pod, is for whoever writes into it.
    #[must_use]
    pub fn directory(volume: &str, entry: &str) -> String {
        if on_host(volume) {
            volume.to_owned()
        } else {
            format!("/files/{entry}")
        }
    }
}

/// Whether a volume with files, or what holds it, is in a directory of the host, whose path its name then is. No name of
/// a container or a volume begins with `/`.
#[must_use]
pub fn on_host(name: &str) -> bool {
    name.starts_with('/')
}

/// Whether a container of ours holds files, and so is nobody's replica.
#[must_use]
pub fn is_holder(view: &ContainerView) -> bool {
    !view.label(label::HOLDS_FOR).is_empty()
}

/// A user that only the image's own lists of users and groups can turn into numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserLookup {
    /// The image's id.
    pub image: String,
    /// As written in the image or the template: a name, a number, or two with `:`.
    pub user: String,
}

/// Whose a container's files have to be, or what must be looked up in the image to know it. `written` is what the
/// template says, which wins; an image that says nothing means root.
///
/// # Errors
/// The lookup.
pub fn user_of(written: Option<&str>, image: &ImageView) -> Result<FileUser, UserLookup> {
    let text = written.unwrap_or(&image.user);
    if matches!(text, "" | "0" | "root") {
        return Ok(FileUser::default());
    }
    FileUser::parse(text).ok_or_else(|| UserLookup {
        image: image.id.clone(),
        user: text.to_owned(),
    })
}

impl FileUser {
    /// Reads `uid:gid`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (uid, gid) = text.split_once(':')?;
        Some(Self {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
        })
    }
}

/// What was found in a volume, by a holder in one of its runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivered {
    /// Who looked.
    pub holder: ContainerId,
    /// When that run of it began.
    pub started_at: Timestamp,
    /// What stands there; `None` for nothing.
    pub generation: Option<String>,
    /// The generation that the containers have been told of.
    pub told: Option<String>,
}

/// What a container in one of its runs was found to see of its volumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// When that run began.
    pub started_at: Timestamp,
    /// The generation that stood in each volume then, and whether the container saw it.
    pub volumes: BTreeMap<String, (String, bool)>,
}

/// Where a container mounts its volumes with files: by volume, the paths. From its label.
#[must_use]
pub fn mounts(view: &ContainerView) -> BTreeMap<String, Vec<String>> {
    serde_json::from_str(view.label(label::FILES)).unwrap_or_default()
}

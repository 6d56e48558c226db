//! Every label, annotation, finalizer and field manager that we write or read, once.
//! Owns the strings; what they carry is decided where they are written.
//! Used by every room that touches metadata, of Kubernetes objects or of Docker's.

/// Prefix of everything that is ours; users cannot set labels under it.
pub const PREFIX: &str = "supercargo.dev/";

/// Labels of Docker containers, networks and volumes; some of them are on ControllerRevisions, too.
pub mod label {
    /// Identity of the control plane: uid of its namespace `kube-system`. Objects of another instance are foreign.
    pub const INSTANCE: &str = "supercargo.dev/instance";
    /// Namespace of the owning object.
    pub const NAMESPACE: &str = "supercargo.dev/namespace";
    /// Name of the owning `DockerDeployment`.
    pub const DEPLOYMENT: &str = "supercargo.dev/deployment";
    /// `metadata.uid` of the owning object.
    pub const UID: &str = "supercargo.dev/uid";
    /// Name of the container in the template.
    pub const CONTAINER: &str = "supercargo.dev/container";
    /// Number of the replica, from 0.
    pub const REPLICA: &str = "supercargo.dev/replica";
    /// Revision that the container was made from.
    pub const REVISION: &str = "supercargo.dev/revision";
    /// Hash of the canonical template, with its version.
    pub const TEMPLATE_HASH: &str = "supercargo.dev/template-hash";
    /// Id of the fingerprint root that [`FINGERPRINTS`] are keyed with; another root says nothing about a value.
    pub const FINGERPRINT_ROOT: &str = "supercargo.dev/fingerprint-root";
    /// Keyed fingerprints of the secrets that the container was given.
    pub const FINGERPRINTS: &str = "supercargo.dev/fingerprints";
    /// `metadata.generation` that the container was made for.
    pub const GENERATION: &str = "supercargo.dev/generation";
    /// How the container is asked whether it has started, is ready and is alive, as JSON; absent without probes.
    pub const PROBES: &str = "supercargo.dev/probes";
    /// On a namespace's agent, which is nobody's replica: what it was made from. Another value is another agent.
    pub const AGENT: &str = "supercargo.dev/agent";
    /// On a container with delivered files: where it mounts which volume, as JSON.
    pub const FILES: &str = "supercargo.dev/files";
    /// On what holds a deployment's files, which is nobody's replica: the deployment's name.
    pub const HOLDER: &str = "supercargo.dev/holder";
    /// On holders and on the volumes that they hold: `metadata.uid` of the deployment whose files these are.
    pub const HOLDS_FOR: &str = "supercargo.dev/holds-for";
    /// On holders: which volume it holds for which volume of the pod, as JSON.
    pub const HOLDS: &str = "supercargo.dev/holds";
    /// On holders: whose the files are, `uid:gid`.
    pub const FILE_USER: &str = "supercargo.dev/file-user";
    /// On holders: how many sets of volumes came before, whose accounts the engine lost; absent for none.
    pub const ROUND: &str = "supercargo.dev/files-round";
    /// On holders of protected variables: the volume with the program that sets them. On that volume: the instance.
    pub const PROGRAM: &str = "supercargo.dev/program";
}

/// Annotations of Kubernetes objects that users may set.
pub mod annotation {
    /// `"true"`: drops our finalizer without touching Docker, with a warning that names what is left.
    pub const FORCE_DELETE: &str = "supercargo.dev/force-delete";
    /// [`ORPHAN`]: deletion leaves the containers alone.
    pub const DELETION_POLICY: &str = "supercargo.dev/deletion-policy";
    /// The value of [`DELETION_POLICY`] that leaves the containers alone.
    pub const ORPHAN: &str = "Orphan";
    /// `"true"`: the object is observed and planned for, and nothing is done to Docker.
    pub const SUSPEND: &str = "supercargo.dev/suspend";
    /// On the template: a new value is a new revision, as `kubectl rollout restart` does.
    pub const RESTARTED_AT: &str = "supercargo.dev/restartedAt";
    /// Why the template is as it is, in a person's words: shown by `rollout history`, as for every workload.
    pub const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
    /// On our CRDs, by `standalone`: which text was applied and what its `spec` became, so that a start that finds both
    /// again has nothing to apply.
    pub const INSTALLED: &str = "supercargo.dev/installed";
    /// Any new value asks for a reconcile now, and for a new look at what is taken for known: delivered files, opened values.
    pub const RECONCILE_AT: &str = "supercargo.dev/reconcile-at";
}

/// Finalizer: the object stays until what it owns in Docker is gone.
pub const FINALIZER: &str = "supercargo.dev/teardown";
/// Field manager of everything that we write to the API server.
pub const FIELD_MANAGER: &str = "supercargo";
/// ConfigMap of the operator's namespace with the public keys.
pub const PUBLIC_KEYS_CONFIG_MAP: &str = "supercargo-public-keys";

//! What this server serves: one [`Kind`] per served version of a resource, and the snapshot of all of them.
//! Owns the description and the look-up, not the verbs. Custom resources come from CRD objects, the others are built in.
//! Read by every request; replaced as a whole when a CRD changes, so that a request sees one consistent set.

pub mod builtin;
pub mod custom;
pub mod metadata;
pub mod names;

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::Value;

use super::{
    authorize::User,
    field_error::FieldError,
    names::{GroupResource, GroupVersion},
    schema::Schema,
    status::Result,
};

/// Everything that can be done with a resource, in the order of discovery.
pub const VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// One served version of one resource.
#[derive(Clone)]
pub struct Kind {
    /// Group and version under which it is served.
    pub version: GroupVersion,
    /// `DockerSecret`.
    pub kind: Arc<str>,
    /// `DockerSecretList`.
    pub list_kind: Arc<str>,
    /// Group and plural.
    pub resource: GroupResource,
    /// `dockersecret`.
    pub singular: Arc<str>,
    /// `dsec`.
    pub short_names: Vec<String>,
    /// `all`.
    pub categories: Vec<String>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// What can be done: `create`, `delete`, `deletecollection`, `get`, `list`, `patch`, `update`, `watch`.
    pub verbs: &'static [&'static str],
    /// `/status` exists.
    pub status: bool,
    /// `/scale` exists.
    pub scale: Option<Scale>,
    /// Under which resource objects are stored: `resource`, except that `events.k8s.io` stores core events.
    pub stored_as: GroupResource,
    /// The version in which objects are stored; only `apiVersion` differs between versions (conversion `None`).
    pub storage_version: GroupVersion,
    /// The schema of the whole object, metadata included.
    pub schema: Arc<Schema>,
    /// What is published of it.
    pub definition: Definition,
    /// Columns of a table, besides the name.
    pub columns: Vec<Column>,
    /// Fields by which lists can be selected, besides `metadata.name` and `metadata.namespace`: dotted paths.
    pub selectable: Vec<String>,
    /// `metadata.generation` counts changes outside `metadata` (and outside `status`, when that is a subresource).
    pub counts_generations: bool,
    /// An update without a resource version is allowed.
    pub unconditional_update: bool,
    /// A PUT to a name that is free creates.
    pub create_on_update: bool,
    /// Some objects may have been stored before the schema had all of its defaults, so that reading fills them in.
    pub fills_defaults: bool,
    /// Encrypted at rest, on disk and in memory.
    pub sealed: bool,
    /// Comes from a CRD: no strategic merge patch, no protobuf.
    pub custom: bool,
    /// What this kind does of its own.
    pub rules: Arc<dyn Rules>,
}

impl Kind {
    /// A namespaced kind of a CRD with these names, which says nothing else: no schema, no subresource, every verb.
    #[must_use]
    pub fn bare(version: GroupVersion, kind: &str, plural: &str) -> Self {
        let resource = GroupResource::new(&version.group, plural);
        Self {
            kind: kind.into(),
            list_kind: format!("{kind}List").into(),
            singular: kind.to_lowercase().into(),
            short_names: Vec::new(),
            categories: Vec::new(),
            namespaced: true,
            verbs: VERBS,
            status: false,
            scale: None,
            stored_as: resource.clone(),
            storage_version: version.clone(),
            schema: Arc::default(),
            definition: Definition::Custom(Arc::default()),
            columns: Vec::new(),
            selectable: Vec::new(),
            counts_generations: true,
            unconditional_update: false,
            create_on_update: false,
            fills_defaults: false,
            sealed: false,
            custom: true,
            rules: Arc::new(NoRules),
            version,
            resource,
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, self.kind)
    }
}

/// The published schema of a kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Definition {
    /// The name of a built-in definition: `io.k8s.api.core.v1.ConfigMap`.
    BuiltIn(&'static str),
    /// The `openAPIV3Schema` of a CRD version as it was written.
    Custom(Arc<Value>),
}

/// `/scale` of a kind: dotted paths into the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// `.spec.replicas`.
    pub spec_replicas: String,
    /// `.status.replicas`.
    pub status_replicas: String,
    /// `.status.selector`.
    pub label_selector: Option<String>,
}

/// One column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// `integer`, `number`, `string`, `boolean`, `date`.
    pub kind: String,
    /// `int32`, `date-time`, `name`, ...; may be empty.
    pub format: String,
    /// What it shows.
    pub description: String,
    /// 0 is always shown, more only with `-o wide`.
    pub priority: i32,
    /// Where the value is.
    pub source: CellSource,
}

/// Where the value of a cell comes from.
#[derive(Debug, Clone)]
pub enum CellSource {
    /// A Kubernetes JSONPath without braces, as in `additionalPrinterColumns`.
    Path(String),
    /// Computed: the number of entries of a map at `/pointer`s, the age, ... (built-in kinds only).
    Computed(fn(&Value) -> Value),
    /// How long ago this time (RFC 3339) was, as the age of an object is shown; `<unknown>` when empty (built-in kinds only).
    Since(fn(&Value) -> String),
}

/// What one kind does of its own, besides the rules that hold for all. Every method has the behaviour of a CRD.
pub trait Rules: Send + Sync + 'static {
    /// Sets what the server owns and drops what a client may not set, before defaults and validation of a create.
    fn prepare_create(&self, _object: &mut Value) {}

    /// The same for an update through the main endpoint.
    fn prepare_update(&self, _object: &mut Value, _old: &Value) {}

    /// Findings that the schema cannot say. `old` is there on an update. Immutability belongs here.
    fn validate(&self, _object: &Value, _old: Option<&Value>) -> Vec<FieldError> {
        Vec::new()
    }

    /// Which names objects may have.
    fn name_rule(&self) -> names::NameRule {
        names::subdomain_name
    }

    /// Texts for `Warning` headers.
    fn warnings(&self, _object: &Value) -> Vec<String> {
        Vec::new()
    }

    /// Makes the form in which it is stored from the form in which it is served.
    fn stored_form(&self, object: Value) -> Value {
        object
    }

    /// Makes the form in which it is served from the form in which it is stored.
    fn served_form(&self, object: Value) -> Value {
        object
    }

    /// The value of a selectable field; `None` when the field is not selectable.
    fn selectable(&self, _object: &Value, _field: &str) -> Option<String> {
        None
    }

    /// What the first request for its deletion does to an object (phase of a namespace, finalizer of a CRD), before
    /// `deletionTimestamp` is set to `now`. `true`: it stays for now, even when no finalizer holds it, and its deletion
    /// is a state of its own, which neither has a grace period nor counts as a generation.
    ///
    /// # Errors
    /// The refusal, for an object that may not be deleted.
    fn begin_delete(&self, _object: &mut Value, _now: &str) -> Result<bool> {
        Ok(false)
    }

    /// Whether something besides `metadata.finalizers` holds an object that is being deleted (`spec.finalizers`).
    fn holds(&self, _object: &Value) -> bool {
        false
    }

    /// For kinds that are not stored but answered (reviews): the object with its `status` filled in.
    fn answer(&self, _object: &Value, _user: &User) -> Option<Result<Value>> {
        None
    }
}

/// The rules of a kind that has none of its own.
#[derive(Debug, Clone, Copy)]
pub struct NoRules;

impl Rules for NoRules {}

/// All that is served at one moment.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    by_path: BTreeMap<(GroupVersion, Arc<str>), Arc<Kind>>,
    /// Counts replacements: the same number means the same set.
    pub edition: u64,
}

impl Kinds {
    /// The set of `kinds`.
    #[must_use]
    pub fn new(kinds: impl IntoIterator<Item = Arc<Kind>>, edition: u64) -> Self {
        let by_path = kinds
            .into_iter()
            .map(|kind| ((kind.version.clone(), kind.resource.resource.clone()), kind))
            .collect();
        Self { by_path, edition }
    }

    /// By what a path says: group, version, plural.
    #[must_use]
    pub fn get(&self, version: &GroupVersion, plural: &str) -> Option<&Arc<Kind>> {
        self.by_path.get(&(version.clone(), Arc::from(plural)))
    }

    /// By `apiVersion` and `kind`.
    #[must_use]
    pub fn by_kind(&self, version: &GroupVersion, kind: &str) -> Option<&Arc<Kind>> {
        self.iter()
            .find(|known| known.version == *version && &*known.kind == kind)
    }

    /// By the resource under which objects are stored, in the version in which they are stored.
    #[must_use]
    pub fn stored(&self, of: &GroupResource) -> Option<&Arc<Kind>> {
        self.iter()
            .find(|known| known.resource == *of && known.version == known.storage_version)
    }

    /// All, ordered by group, version and plural.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.by_path.values()
    }
}

//! The metrics of `api.md`, prefix `supercargo_`, in OpenMetrics text. Label sets are closed; no object's name is a label,
//! but that of a secret whose date comes near.
//! Filled by `controllers` and by the meter around the engine; served by [`super::http`].

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

type Labels<const N: usize> = [(&'static str, String); N];

/// All metrics of one process.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    reconciles: Family<Vec<(&'static str, &'static str)>, Counter>,
    reconcile_seconds: Family<Vec<(&'static str, &'static str)>, Histogram>,
    resolutions: Family<Vec<(&'static str, &'static str)>, Counter>,
    deliveries: Family<Vec<(&'static str, &'static str)>, Counter>,
    delivery_seconds: Family<Vec<(&'static str, &'static str)>, Histogram>,
    drifts: Family<Vec<(&'static str, &'static str)>, Counter>,
    audit_records: Family<Vec<(&'static str, &'static str)>, Counter>,
    audit_breaks: Counter,
    values: Family<Vec<(&'static str, String)>, Gauge>,
    not_after: Family<Vec<(&'static str, String)>, Gauge>,
    key_age: Family<Vec<(&'static str, String)>, Gauge>,
    key_backup_age: Family<Vec<(&'static str, String)>, Gauge>,
    instances: Family<Vec<(&'static str, &'static str)>, Gauge>,
    requests: Family<Vec<(&'static str, &'static str)>, Counter>,
    request_seconds: Family<Vec<(&'static str, &'static str)>, Histogram>,
    connected: Family<Vec<(&'static str, &'static str)>, Gauge>,
    agents_expected: Family<Vec<(&'static str, &'static str)>, Gauge>,
    agents_connected: Family<Vec<(&'static str, &'static str)>, Gauge>,
    agent_sessions: Family<Vec<(&'static str, &'static str)>, Counter>,
    probe_results: Family<Vec<(&'static str, &'static str)>, Counter>,
    reviews: Family<Vec<(&'static str, &'static str)>, Counter>,
    review_seconds: Histogram,
    webhook_expiry: Gauge,
    api_requests: Family<Vec<(&'static str, String)>, Counter>,
    api_request_seconds: Histogram,
    api_watchers: Gauge,
    commit_seconds: Histogram,
}

fn seconds() -> Histogram {
    Histogram::new([
        0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("supercargo"),
            reconciles: Family::default(),
            reconcile_seconds: Family::new_with_constructor(seconds),
            resolutions: Family::default(),
            deliveries: Family::default(),
            delivery_seconds: Family::new_with_constructor(seconds),
            drifts: Family::default(),
            audit_records: Family::default(),
            audit_breaks: Counter::default(),
            values: Family::default(),
            not_after: Family::default(),
            key_age: Family::default(),
            key_backup_age: Family::default(),
            instances: Family::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            connected: Family::default(),
            agents_expected: Family::default(),
            agents_connected: Family::default(),
            agent_sessions: Family::default(),
            probe_results: Family::default(),
            reviews: Family::default(),
            review_seconds: seconds(),
            webhook_expiry: Gauge::default(),
            api_requests: Family::default(),
            api_request_seconds: seconds(),
            api_watchers: Gauge::default(),
            commit_seconds: seconds(),
        };
        let registry = &mut inner.registry;
        registry.register(
            "reconcile",
            "Reconciles that ended, by kind and outcome",
            inner.reconciles.clone(),
        );
        registry.register(
            "reconcile_duration_seconds",
            "Time of a reconcile",
            inner.reconcile_seconds.clone(),
        );
        registry.register(
            "secret_resolutions",
            "References to secrets, by outcome and cause",
            inner.resolutions.clone(),
        );
        registry.register(
            "instances",
            "Containers of ours by state",
            inner.instances.clone(),
        );
        register_deliveries(&mut inner);
        register_keys(&mut inner);
        register_engine(&mut inner);
        register_agents(&mut inner);
        register_admission(&mut inner);
        register_apiserver(&mut inner);
        Self(Arc::new(inner))
    }
}

fn register_deliveries(inner: &mut Inner) {
    let registry = &mut inner.registry;
    registry.register(
        "secret_deliveries",
        "Values handed to containers, by form and outcome",
        inner.deliveries.clone(),
    );
    registry.register(
        "secret_delivery_duration_seconds",
        "Time of the call that hands values over, by form",
        inner.delivery_seconds.clone(),
    );
    registry.register(
        "secret_file_drifts",
        "Volumes in which delivered files were found changed, by what had changed",
        inner.drifts.clone(),
    );
    registry.register(
        "audit_records",
        "Records for the audit file, by whether they were written or lost",
        inner.audit_records.clone(),
    );
    registry.register(
        "audit_chain_breaks",
        "How often the audit file was found other than it was left, and a new chain begun",
        inner.audit_breaks.clone(),
    );
    for outcome in ["written", "lost"] {
        let _zero_is_told = inner.audit_records.get_or_create(&vec![("outcome", outcome)]);
    }
}

fn register_keys(inner: &mut Inner) {
    let registry = &mut inner.registry;
    registry.register(
        "secret_values",
        "Sealed values by the key that they are sealed to, and its state",
        inner.values.clone(),
    );
    registry.register(
        "secret_not_after_timestamp_seconds",
        "When the values of each secret expire that says so",
        inner.not_after.clone(),
    );
    registry.register(
        "keyring_key_age_seconds",
        "Age of each key that opens values",
        inner.key_age.clone(),
    );
    registry.register(
        "keyring_backup_age_seconds",
        "Time since each key was last in a backup; absent when it never was",
        inner.key_backup_age.clone(),
    );
}

fn register_engine(inner: &mut Inner) {
    let registry = &mut inner.registry;
    registry.register(
        "engine_requests",
        "Calls to the Docker Engine",
        inner.requests.clone(),
    );
    registry.register(
        "engine_request_duration_seconds",
        "Time of a call to the Docker Engine",
        inner.request_seconds.clone(),
    );
    registry.register(
        "engine_connected",
        "Whether the Docker Engine answers",
        inner.connected.clone(),
    );
}

fn register_agents(inner: &mut Inner) {
    let registry = &mut inner.registry;
    registry.register(
        "agents_expected",
        "Namespaces whose names an agent is to answer for",
        inner.agents_expected.clone(),
    );
    registry.register(
        "agents_connected",
        "Agents to which a session is open",
        inner.agents_connected.clone(),
    );
    registry.register(
        "agent_sessions",
        "Sessions with agents that ended, by why",
        inner.agent_sessions.clone(),
    );
    registry.register(
        "probe_results",
        "How often a probe began to say yes or no of a container, by probe and outcome",
        inner.probe_results.clone(),
    );
}

fn register_admission(inner: &mut Inner) {
    let registry = &mut inner.registry;
    registry.register(
        "admission_reviews",
        "Reviews that the webhooks answered, by kind, operation and outcome",
        inner.reviews.clone(),
    );
    registry.register(
        "admission_review_duration_seconds",
        "Time of a review, from its last byte to its answer",
        inner.review_seconds.clone(),
    );
    registry.register(
        "webhook_certificate_expiry_timestamp_seconds",
        "When the certificate ends that the webhooks serve, 0 without one",
        inner.webhook_expiry.clone(),
    );
}

fn register_apiserver(inner: &mut Inner) {
    let registry = &mut inner.registry;
    registry.register(
        "apiserver_requests",
        "Requests to the embedded API server, by verb and HTTP code",
        inner.api_requests.clone(),
    );
    registry.register(
        "apiserver_request_duration_seconds",
        "Time of a request to the embedded API server until its answer begins",
        inner.api_request_seconds.clone(),
    );
    registry.register(
        "apiserver_watchers",
        "Watches that are open",
        inner.api_watchers.clone(),
    );
    registry.register(
        "store_commit_duration_seconds",
        "Time of a durable commit of the store",
        inner.commit_seconds.clone(),
    );
}

fn set_by_kid(
    family: &Family<Vec<(&'static str, String)>, Gauge>,
    values: impl Iterator<Item = (String, i64)>,
) {
    family.clear();
    for (kid, value) in values {
        family.get_or_create(&vec![("kid", kid)]).set(value);
    }
}

impl Metrics {
    /// A reconcile has ended.
    pub fn reconciled(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.0
            .reconciles
            .get_or_create(&vec![("kind", kind), ("outcome", outcome)])
            .inc();
        self.0
            .reconcile_seconds
            .get_or_create(&vec![("kind", kind)])
            .observe(took.as_secs_f64());
    }

    /// A reference did or did not resolve; `cause` is empty when it did.
    pub fn resolved(&self, outcome: &'static str, cause: &'static str) {
        self.0
            .resolutions
            .get_or_create(&vec![("outcome", outcome), ("cause", cause)])
            .inc();
    }

    /// Values were handed to a container.
    pub fn delivered(&self, form: &'static str, outcome: &'static str, values: u64) {
        self.0
            .deliveries
            .get_or_create(&vec![("form", form), ("outcome", outcome)])
            .inc_by(values);
    }

    /// A call that hands values over has ended.
    pub fn delivery_took(&self, form: &'static str, took: Duration) {
        let labels = vec![("form", form)];
        self.0
            .delivery_seconds
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// The files of a volume were found changed.
    pub fn drifted(&self, property: &'static str) {
        self.0.drifts.get_or_create(&vec![("property", property)]).inc();
    }

    /// Records for the audit file were written, or lost.
    pub fn audited(&self, outcome: &'static str, records: u64) {
        let labels = vec![("outcome", outcome)];
        self.0.audit_records.get_or_create(&labels).inc_by(records);
    }

    /// The audit file is not as it was left.
    pub fn audit_broken(&self) {
        self.0.audit_breaks.inc();
    }

    /// How many values are sealed to each key, by its id and its state.
    pub fn sealed_values(&self, counts: impl Iterator<Item = ((String, &'static str), i64)>) {
        self.0.values.clear();
        for ((kid, state), count) in counts {
            let labels: Labels<2> = [("kid", kid), ("state", state.to_owned())];
            self.0.values.get_or_create(&labels.to_vec()).set(count);
        }
    }

    /// When secrets expire, in seconds since 1970, by namespace and name.
    pub fn secrets_not_after(&self, ends: impl Iterator<Item = ((String, String), i64)>) {
        self.0.not_after.clear();
        for ((namespace, name), end) in ends {
            let labels: Labels<2> = [("namespace", namespace), ("name", name)];
            self.0.not_after.get_or_create(&labels.to_vec()).set(end);
        }
    }

    /// How old each key is, in seconds, by its id.
    pub fn key_ages(&self, ages: impl Iterator<Item = (String, i64)>) {
        set_by_kid(&self.0.key_age, ages);
    }

    /// How long ago each key was last in a backup, in seconds, by its id.
    pub fn key_backup_ages(&self, ages: impl Iterator<Item = (String, i64)>) {
        set_by_kid(&self.0.key_backup_age, ages);
    }

    /// How many containers are in each state.
    pub fn instances(&self, counts: impl Iterator<Item = (&'static str, i64)>) {
        self.0.instances.clear();
        for (state, count) in counts {
            self.0.instances.get_or_create(&vec![("state", state)]).set(count);
        }
    }

    /// A call to the engine has ended.
    pub fn engine_call(&self, op: &'static str, outcome: &'static str, took: Duration) {
        self.0
            .requests
            .get_or_create(&vec![("op", op), ("outcome", outcome)])
            .inc();
        self.0
            .request_seconds
            .get_or_create(&vec![("op", op)])
            .observe(took.as_secs_f64());
    }

    /// Whether the engine answers.
    pub fn engine_connected(&self, host: &'static str, connected: bool) {
        self.0
            .connected
            .get_or_create(&vec![("host", host)])
            .set(i64::from(connected));
    }

    /// How many agents there should be, and to how many a session is open.
    pub fn agents(&self, host: &'static str, expected: i64, connected: i64) {
        let labels = vec![("host", host)];
        self.0.agents_expected.get_or_create(&labels).set(expected);
        self.0.agents_connected.get_or_create(&labels).set(connected);
    }

    /// A session with an agent has ended.
    pub fn agent_session(&self, outcome: &'static str) {
        self.0
            .agent_sessions
            .get_or_create(&vec![("outcome", outcome)])
            .inc();
    }

    /// A probe says otherwise than before of a container.
    pub fn probe_result(&self, probe: &'static str, well: bool) {
        let outcome = if well { "ok" } else { "failed" };
        let labels = vec![("probe", probe), ("outcome", outcome)];
        self.0.probe_results.get_or_create(&labels).inc();
    }

    /// A webhook has answered.
    pub fn reviewed(
        &self,
        kind: &'static str,
        operation: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        let labels = vec![("kind", kind), ("operation", operation), ("outcome", outcome)];
        self.0.reviews.get_or_create(&labels).inc();
        self.0.review_seconds.observe(took.as_secs_f64());
    }

    /// When the certificate ends that the webhooks serve.
    pub fn webhook_certificate(&self, not_after: i64) {
        self.0.webhook_expiry.set(not_after);
    }

    /// A request to the embedded API server has its answer.
    pub fn apiserver_request(&self, verb: &'static str, code: u16, took: Duration) {
        let labels: Vec<(&'static str, String)> = vec![("verb", verb.to_owned()), ("code", code.to_string())];
        self.0.api_requests.get_or_create(&labels).inc();
        self.0.api_request_seconds.observe(took.as_secs_f64());
    }

    /// So many watches more, or fewer.
    pub fn apiserver_watchers(&self, more: i64) {
        self.0.api_watchers.inc_by(more);
    }

    /// The store has made something durable.
    pub fn store_commit(&self, took: Duration) {
        self.0.commit_seconds.observe(took.as_secs_f64());
    }

    /// Everything as OpenMetrics text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _written = encode(&mut text, &self.0.registry);
        text
    }
}

//! What of a Compose file has no counterpart here, key by key, and the next step for each.
//! Owns the sentences. A key that is in none of these lists and is not converted is named as unknown, so that nothing is
//! dropped in silence. Called by the other files of `compose`.

use super::super::node::Node;
use super::super::report::Report;

/// Key, and what to do about it.
type Said = (&'static str, &'static str);

const LIMITS: &str =
    "there is a limit of CPU (deploy.resources.limits.cpus) and of memory (mem_limit) only: remove it";
const NETWORK_OF_OURS: &str = "the network of a namespace is made by the operator: remove it";
const HOST: &str = "containers share nothing with the host and with each other: remove it";
const DNS: &str = "names are answered by the operator's agent, others by the host's resolver: remove it";
const LATER: &str = "has no counterpart yet: remove it";

/// Keys of a service.
const SERVICE: &[Said] = &[
    (
        "annotations",
        "annotations of containers have no counterpart in Docker's API: use labels",
    ),
    (
        "attach",
        "there is no terminal to attach to: read `supercargo logs`",
    ),
    ("blkio_config", LIMITS),
    ("cgroup", HOST),
    ("cgroup_parent", HOST),
    ("cpu_count", LIMITS),
    ("cpu_percent", LIMITS),
    ("cpu_period", LIMITS),
    ("cpu_quota", LIMITS),
    ("cpu_rt_period", LIMITS),
    ("cpu_rt_runtime", LIMITS),
    ("cpu_shares", LIMITS),
    ("cpuset", LIMITS),
    ("credential_spec", "is for Windows: remove it"),
    (
        "develop",
        "is for `docker compose watch`: go on using that where you develop",
    ),
    (
        "device_cgroup_rules",
        "devices are not passed through yet: remove it",
    ),
    (
        "devices",
        "devices are not passed through yet: remove them, or go on running this service with Compose",
    ),
    ("dns", DNS),
    ("dns_opt", DNS),
    ("dns_search", DNS),
    ("domainname", "a container has its own name: remove it"),
    (
        "external_links",
        "reach what is elsewhere by a published port: remove it",
    ),
    (
        "extra_hosts",
        "no lines are added to /etc/hosts: use a name that the host's resolver knows",
    ),
    ("gpus", "devices are not passed through yet: remove it"),
    (
        "group_add",
        "a process has one group here, the one of user: remove it, or change the group in the image",
    ),
    (
        "hostname",
        "a container's host name is its own: the deployment's name leads to it",
    ),
    ("ipc", HOST),
    ("isolation", "is for Windows: remove it"),
    ("label_file", "write the labels under labels"),
    (
        "logging",
        "the engine's own log driver is used (daemon.json): set it there, read with `supercargo logs`",
    ),
    ("mac_address", NETWORK_OF_OURS),
    ("mem_swappiness", LIMITS),
    ("memswap_limit", LIMITS),
    ("models", LATER),
    ("oom_kill_disable", LIMITS),
    ("oom_score_adj", LIMITS),
    ("pid", HOST),
    ("pids_limit", LIMITS),
    ("platform", "the platform is the host's: name an image of it"),
    (
        "post_start",
        "commands beside the start are not run: do it in the entrypoint",
    ),
    (
        "pre_stop",
        "commands before the stop are not run: act upon SIGTERM",
    ),
    ("provider", "a service without a container: remove it"),
    (
        "pull_refresh_after",
        "when to pull is pull_policy: always, missing or never",
    ),
    (
        "runtime",
        "the engine's own runtime is used: set it in daemon.json",
    ),
    ("stdin_open", "containers have no standard input: remove it"),
    (
        "stop_signal",
        "the image's signal is sent: write STOPSIGNAL into the Dockerfile",
    ),
    ("storage_opt", LIMITS),
    (
        "sysctls",
        "kernel parameters are not set per container yet: set them on the host, or remove them",
    ),
    ("tty", "containers have no terminal: remove it"),
    (
        "ulimits",
        "limits of processes are the engine's (daemon.json, default-ulimits): set them there",
    ),
    (
        "use_api_socket",
        "the engine's socket is not handed out: remove it",
    ),
    ("userns_mode", HOST),
    ("uts", HOST),
    ("volumes_from", "mount the same named volume in both services"),
];

/// Keys of `deploy`.
const DEPLOY: &[Said] = &[
    (
        "endpoint_mode",
        "a name leads to all ready instances (dnsrr): remove it",
    ),
    ("placement", "there is one host: remove it"),
    (
        "rollback_config",
        "a rollout that fails stays where it is, `supercargo rollout undo` goes back: remove it",
    ),
];

/// Keys of a definition under `volumes`.
pub(super) const VOLUME: &[Said] = &[
    (
        "driver",
        "volumes are local: mount the path on the host, and name that (--allow-host-path)",
    ),
    (
        "driver_opts",
        "volumes are local: mount the path on the host, and name that (--allow-host-path)",
    ),
    ("labels", "volumes have the operator's labels: remove them"),
    ("external", ""),
    ("name", ""),
];

/// Keys of a definition under `networks`.
pub(super) const NETWORK: &[Said] = &[
    ("attachable", NETWORK_OF_OURS),
    ("driver", NETWORK_OF_OURS),
    ("driver_opts", NETWORK_OF_OURS),
    ("enable_ipv4", NETWORK_OF_OURS),
    ("enable_ipv6", NETWORK_OF_OURS),
    ("external", ""),
    ("internal", NETWORK_OF_OURS),
    ("ipam", NETWORK_OF_OURS),
    ("labels", NETWORK_OF_OURS),
    ("name", NETWORK_OF_OURS),
];

/// Keys of a definition under `secrets` or `configs`.
pub(super) const FILES: &[Said] = &[
    ("file", ""),
    ("environment", ""),
    ("content", ""),
    ("external", ""),
    ("name", ""),
    ("labels", "write them into the result's metadata.labels"),
    (
        "driver",
        "values are sealed in the manifest: take them out of the driver's store and give a file",
    ),
    (
        "driver_opts",
        "values are sealed in the manifest: take them out of the driver's store and give a file",
    ),
    (
        "template_driver",
        "files have no templates: write the result into the file",
    ),
];

/// Says what a key of a service is that nothing was made of. One that is off is no use of it.
pub(super) fn service(path: &str, key: &str, value: &Node, report: &mut Report) {
    one(&format!("{path}.{key}"), key, value, SERVICE, report);
}

/// The same for `deploy`.
pub(super) fn deploy(path: &str, key: &str, value: &Node, report: &mut Report) {
    one(&format!("{path}.{key}"), key, value, DEPLOY, report);
}

/// The same for the top level.
pub(super) fn top(key: &str, report: &mut Report) {
    report.unmapped(
        key,
        match key {
            "include" => "other files are not read: run `docker compose config --no-interpolate` and convert what it prints",
            "models" => LATER,
            _ => UNKNOWN,
        },
    );
}

/// The same for every definition of a section. An empty sentence is for what is converted elsewhere.
pub(super) fn fields(section: &str, definitions: &Node, known: &[Said], report: &mut Report) {
    for (name, definition) in definitions.entries() {
        for (key, value) in definition.entries() {
            one(&format!("{section}.{name}.{key}"), key, value, known, report);
        }
    }
}

/// The keys of a map that are not among those that are converted.
pub(super) fn others(path: &str, map: &Node, converted: &[&str], report: &mut Report) {
    for (key, value) in map.entries() {
        if !converted.contains(&key.as_str()) {
            one(&format!("{path}.{key}"), key, value, &[], report);
        }
    }
}

const UNKNOWN: &str = "is no key that is known here: correct or remove it";

fn one(path: &str, key: &str, value: &Node, known: &[Said], report: &mut Report) {
    if key.starts_with("x-") {
        return report.differs(path, "an extension: it is for other tools");
    }
    match known.iter().find(|(name, _)| *name == key) {
        Some((_, "")) => {}
        Some(_) if value.is_idle() => {}
        Some((_, said)) => report.unmapped(path, *said),
        None => report.unmapped(path, UNKNOWN),
    }
}

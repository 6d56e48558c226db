//! The checks of `doctor` about the engine: whether it answers and is new enough, how it is secured, what time it is there;
//! and what is on it of ours: the pool of subnets, networks without containers, containers without an object, and what
//! belongs to other control planes. Called by `doctor`.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::{DynamicObject, ListParams};
use kube::{Api, Client};

use super::Failure;
use super::connect::{self, Docker};
use super::doctor::{Args, Report, patiently};
use super::doctor_agents;
use super::doctor_cluster::Cluster;
use super::prune::without_owner;
use crate::api::keys::label;
use crate::clock::{Clock, System};
use crate::controllers::object::resource;
use crate::engine::{Containers, Daemon, EngineInfo, LabelFilter, Networks};
use crate::execute::knows_noswap;
use crate::plan::subnet;
use crate::state::container::ContainerView;
use crate::state::network::NetworkView;
use crate::state::observed::namespace_of;
use crate::state::owner::Instance;

/// The oldest API that has everything we ask for (Docker Engine 20.10).
const OLDEST_API: (u32, u32) = (1, 41);
/// Fewer free subnets than this are worth a word.
const FEW: usize = 16;

/// Asks the engine who it is.
pub(super) async fn engine(
    report: &mut Report,
    docker: Result<Docker, Failure>,
    address: &str,
) -> Result<Option<Docker>, Failure> {
    let docker = match docker {
        Ok(docker) => docker,
        Err(Failure::Failed(error)) => {
            report.fail(
                "engine",
                format!("{error:#}"),
                "correct --docker-cert-path or DOCKER_CERT_PATH",
            );
            return Ok(None);
        }
        Err(usage) => return Err(usage),
    };
    let info = match patiently(docker.info()).await {
        Ok(info) => info,
        Err(why) => {
            let next = "check that it runs and that this user may reach it (--docker-host or DOCKER_HOST says where)";
            report.fail("engine", why, next);
            return Ok(None);
        }
    };
    let (version, api, platform) = (&info.version, &info.api_version, &info.platform);
    let detail = format!(
        "Docker {version}, API {api}, {platform}, host {:?} at {address}",
        info.name
    );
    if is_old(api) {
        let next = "upgrade to Docker Engine 20.10 or newer";
        report.fail("engine", format!("{detail}: older than API 1.41"), next);
    } else {
        report.ok("engine", detail);
    }
    security(report, &info);
    swap(report, &info);
    if let Some(time) = info.time {
        report.clock("engine's clock", time.as_second() - System.now().as_second());
    }
    Ok(Some(docker))
}

fn is_old(api: &str) -> bool {
    let parse = || {
        let (major, minor) = api.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    parse().is_none_or(|version: (u32, u32)| version < OLDEST_API)
}

/// Whether files that are delivered can reach a swap device. By the kernel's version alone: to mount one takes a container.
fn swap(report: &mut Report, info: &EngineInfo) {
    let (what, kernel) = ("tmpfs for files", &info.kernel);
    if knows_noswap(kernel) {
        return report.ok(what, format!("Linux {kernel} keeps them out of swap (noswap)"));
    }
    let detail = if kernel.is_empty() {
        "the engine does not tell its kernel: files may be swapped".to_owned()
    } else {
        format!("Linux {kernel} does not know noswap, which came with 6.4: files may be swapped")
    };
    report.warn(what, detail, "use no swap on that host, or encrypt it");
}

/// `name=seccomp,profile=default` and the like.
fn security(report: &mut Report, info: &EngineInfo) {
    let names: BTreeSet<&str> = info
        .security_options
        .iter()
        .filter_map(|option| option.split(',').find_map(|part| part.strip_prefix("name=")))
        .collect();
    let words = [
        (
            "rootless",
            "host ports below 1024, limits and some volumes may not work, and --host-tmpfs is refused",
            "test what you use",
        ),
        (
            "userns",
            "owners of files in hostPath volumes are shifted, and --host-tmpfs is refused",
            "give those directories to the shifted ids",
        ),
        (
            "selinux",
            "hostPath volumes and --host-tmpfs need a label that containers may read",
            "label them container_file_t",
        ),
    ];
    for (name, meaning, next) in words {
        if names.contains(name) {
            report.warn("engine's security", format!("{name}: {meaning}"), next);
        }
    }
    let shown: Vec<&str> = names.into_iter().collect();
    report.ok(
        "engine's security",
        if shown.is_empty() {
            "no options".to_owned()
        } else {
            shown.join(", ")
        },
    );
}

/// Looks at what is on the engine.
pub(super) async fn leftovers(report: &mut Report, engine: &Docker, cluster: Option<&Cluster>, args: &Args) {
    let networks = match patiently(engine.list_networks()).await {
        Ok(networks) => networks,
        Err(why) => return report.fail("networks", why, "restart the engine if it goes on"),
    };
    pool(report, &networks, args);
    let Some((client, ours)) = cluster.and_then(|c| Some((&c.client, c.instance.as_ref()?))) else {
        return;
    };
    let found = patiently(connect::containers(engine, label::INSTANCE, ours.as_str())).await;
    match found {
        Ok(views) => {
            stale(report, &networks, &views, ours);
            orphans(report, client, &views, args).await;
        }
        Err(why) => report.fail("containers", why, "restart the engine if it goes on"),
    }
    foreign(report, engine, &networks, ours).await;
}

fn pool(report: &mut Report, networks: &[NetworkView], args: &Args) {
    let mut used: Vec<String> = networks
        .iter()
        .flat_map(|network| network.subnets.clone())
        .collect();
    if args.docker.is_local() {
        used.extend(connect::host_routes());
    }
    let pool = args.network_pool;
    let (what, detail) = (
        "network pool",
        format!("{} subnets of {pool} are free", subnet::count_free(pool, &used)),
    );
    let next = "give the operator another --network-pool, or remove networks that nobody uses";
    match subnet::count_free(pool, &used) {
        0 => report.fail(what, detail, next),
        1..FEW => report.warn(what, detail, next),
        _ => report.ok(what, detail),
    }
}

fn label_of<'a>(network: &'a NetworkView, key: &str) -> &'a str {
    network.labels.get(key).map_or("", String::as_str)
}

/// Networks of ours in whose namespace nothing of ours is.
fn stale(report: &mut Report, networks: &[NetworkView], views: &[ContainerView], ours: &Instance) {
    let used: BTreeSet<&str> = views.iter().map(|view| view.label(label::NAMESPACE)).collect();
    let own = networks
        .iter()
        .filter(|n| label_of(n, label::INSTANCE) == ours.as_str());
    let idle: Vec<&str> = own
        .filter(|n| !used.contains(label_of(n, label::NAMESPACE)))
        .map(|n| n.name.as_str())
        .collect();
    if idle.is_empty() {
        return report.ok("idle networks", "none");
    }
    let next = format!(
        "if nothing is being deployed there, run `docker network rm {}`",
        idle.join(" ")
    );
    report.warn(
        "idle networks",
        format!("no container of ours uses {}", idle.join(", ")),
        next,
    );
}

/// Containers of ours whose object does not exist; and, as that tells where one is needed, agents.
async fn orphans(report: &mut Report, client: &Client, views: &[ContainerView], args: &Args) {
    let apis: Vec<Api<DynamicObject>> = match args.namespace.as_slice() {
        [] => vec![Api::all_with(client.clone(), &resource())],
        some => some
            .iter()
            .map(|n| Api::namespaced_with(client.clone(), n, &resource()))
            .collect(),
    };
    let mut uids = BTreeSet::new();
    for api in apis {
        match patiently(api.list_metadata(&ListParams::default())).await {
            Ok(objects) => uids.extend(objects.into_iter().filter_map(|object| object.metadata.uid)),
            Err(why) => {
                let next = "install the CRDs, and permit listing DockerDeployments";
                return report.warn(
                    "orphans",
                    format!("not known, as DockerDeployments cannot be listed: {why}"),
                    next,
                );
            }
        }
    }
    let asked = |view: &&ContainerView| {
        args.namespace.is_empty() || args.namespace.iter().any(|n| n == view.label(label::NAMESPACE))
    };
    let owned = |view: &&ContainerView| uids.contains(view.label(label::UID));
    let needed: BTreeSet<&str> = views
        .iter()
        .filter(asked)
        .filter(owned)
        .map(namespace_of)
        .collect();
    doctor_agents::agents(report, views, &needed);
    let lost = without_owner(views.iter().filter(asked).cloned().collect(), &uids);
    if lost.is_empty() {
        return report.ok("orphans", format!("none of {} containers", views.len()));
    }
    let names: Vec<&str> = lost.iter().take(10).map(|view| view.name.as_str()).collect();
    let detail = format!(
        "{} containers of ours have no object: {}",
        lost.len(),
        names.join(", ")
    );
    let next = "restore the objects if they were lost; else remove the containers with `supercargo prune --orphans`: the operator never does";
    report.warn("orphans", detail, next);
}

/// What belongs to other control planes, as their networks tell: each namespace has one.
async fn foreign(report: &mut Report, engine: &Docker, networks: &[NetworkView], ours: &Instance) {
    let others: BTreeSet<&str> = networks
        .iter()
        .map(|network| label_of(network, label::INSTANCE))
        .filter(|instance| !instance.is_empty() && *instance != ours.as_str())
        .collect();
    let mut counts = BTreeMap::new();
    for other in others {
        let filter = LabelFilter {
            key: label::INSTANCE.to_owned(),
            value: other.to_owned(),
        };
        let count = patiently(engine.list_containers(&filter))
            .await
            .map_or(0, |ids| ids.len());
        counts.insert(other, count);
    }
    if counts.is_empty() {
        return report.ok("other instances", "none on this engine");
    }
    for (other, count) in counts {
        let next = "nothing if another operator drives this engine too; else remove them with `docker rm -f`";
        report.warn(
            "other instances",
            format!("{other} has {count} containers here, which are left alone"),
            next,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_before_20_10_are_old() {
        let old: Vec<bool> = ["1.40", "1.41", "1.51", "2.0", "", "x"]
            .into_iter()
            .map(is_old)
            .collect();
        assert_eq!(old, [true, false, false, false, true, true]);
    }

    #[test]
    fn security_options_are_named() {
        let info = |options: &[&str]| EngineInfo {
            version: String::new(),
            api_version: String::new(),
            name: String::new(),
            kernel: String::new(),
            platform: String::new(),
            root_dir: String::new(),
            security_options: options.iter().map(|o| (*o).to_owned()).collect(),
            time: None,
        };
        let mut report = Report::default();
        security(
            &mut report,
            &info(&["name=seccomp,profile=default", "name=rootless"]),
        );
        let text = format!("{report:?}");
        assert!(
            text.contains("rootless: host ports") && text.contains("rootless, seccomp"),
            "{text}"
        );
    }
}

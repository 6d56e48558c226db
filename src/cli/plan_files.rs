//! What stands in the volumes of a deployment with files and what its containers see of it, for `plan`: read from links alone,
//! so that the verb tells what the operator does after its own look. Changes nothing. Called by `plan`.

use std::collections::BTreeMap;
use std::path::Path;

use super::connect::Docker;
use crate::delivery::place::{DATA, generation};
use crate::engine::{self, Files as _, Kind};
use crate::execute::HostFiles;
use crate::state::container::{ContainerId, RunState};
use crate::state::files::{Delivered, Holder, Shown, mounts, on_host};
use crate::state::observed::Observed;
use crate::state::owner::Owner;

/// Adds what is in the operator's own directory of the host, which is known by what the newest container has there.
pub(super) async fn with_host(observed: Observed, owner: &Owner) -> Observed {
    let newest = observed.replicas.iter().max_by_key(|r| r.view.created_at);
    let mut volumes = newest.map(|r| mounts(&r.view).into_keys()).into_iter().flatten();
    let Some(volume) = volumes.find(|volume| on_host(volume)) else {
        return observed;
    };
    let root = volume.rsplit_once('/').map(|(root, _)| root.to_owned());
    let directory = root.as_deref().and_then(|root| Path::new(root).parent());
    let read = async {
        let host =
            HostFiles::reading(directory.unwrap_or(Path::new("/"))).map_err(|fault| fault.to_string())?;
        host.holders(owner).await.map_err(|error| error.to_string())
    };
    let holders = read.await.unwrap_or_else(|why| {
        eprintln!("what is in the operator's directory cannot be read here ({why}), and is planned as if it were not there");
        Vec::new()
    });
    observed.with_host(root, holders)
}

/// Adds what stands in each volume, and what each container that runs sees of it. Whoever is to be told of a change is taken
/// to know of what stands there.
pub(super) async fn look(engine: &Docker, observed: Observed) -> engine::Result<Observed> {
    let mut delivered = BTreeMap::new();
    for held in observed.files.holders.iter().filter(|held| held.runs()) {
        let Some(started_at) = held.started_at else {
            continue;
        };
        for (volume, entry) in &held.volumes {
            let directory = Holder::directory(volume, entry);
            let generation = if on_host(volume) {
                let link = std::fs::read_link(Path::new(&directory).join(DATA)).ok();
                link.and_then(|to| Some(generation(to.to_str()?)?.to_owned()))
            } else {
                standing(engine, &held.id, &directory).await?
            };
            let found = Delivered {
                holder: held.id.clone(),
                started_at,
                told: generation.clone(),
                generation,
            };
            delivered.insert(volume.clone(), found);
        }
    }
    let mut shown = BTreeMap::new();
    let running = observed.replicas.iter().map(|replica| &replica.view);
    for view in running.filter(|view| view.state == RunState::Running) {
        let Some(started_at) = view.started_at else {
            continue;
        };
        let mut volumes = BTreeMap::new();
        for (volume, targets) in mounts(view) {
            let Some(now) = delivered.get(&volume).and_then(|found| found.generation.clone()) else {
                continue;
            };
            let mut sees = true;
            for target in targets {
                sees &= standing(engine, &view.id, &target).await?.as_ref() == Some(&now);
            }
            volumes.insert(volume, (now, sees));
        }
        shown.insert(view.id.clone(), Shown { started_at, volumes });
    }
    Ok(observed.with_files(&delivered, &shown))
}

/// The generation that a container has in a directory; `None` also when it has gone meanwhile.
async fn standing(engine: &Docker, id: &ContainerId, directory: &str) -> engine::Result<Option<String>> {
    let link = format!("{}/{DATA}", directory.trim_end_matches('/'));
    match engine.read_link(id, &link).await {
        Ok(to) => Ok(to.as_deref().and_then(generation).map(str::to_owned)),
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

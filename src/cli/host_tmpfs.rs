//! The flag `--host-tmpfs` of verbs that run the operator or clean up behind it: what is refused at the start, before
//! anything is delivered. That the engine sees the same directory is asked by `execute` before the first delivery. Called
//! by `controller`, `standalone` and `prune`.

use std::path::PathBuf;

use super::{Failure, connect::DockerArgs};
use crate::{
    engine::{Daemon, Kind, Term},
    execute::{HostFiles, apart},
    shelf::{
        Fault,
        host::{Found, HostDirectory},
    },
    state::owner::Instance,
};

/// The flag.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct HostArgs {
    /// Keep files of new containers below this directory of the Docker host, in place of holders: faster, and on this host
    /// only. A tmpfs of root's, closed to others (0700), such as `mount -t tmpfs -o noswap,nosuid,nodev,noexec,mode=0700,size=256m
    /// tmpfs /run/supercargo`
    #[arg(long, value_name = "DIR")]
    host_tmpfs: Option<PathBuf>,
}

fn refused(fault: &Fault) -> Failure {
    Failure::Usage(format!("--host-tmpfs: {fault}"))
}

impl HostArgs {
    /// The directory, found fit; none without the flag. An engine that does not answer yet is asked later.
    pub(super) async fn open(
        &self,
        docker: &DockerArgs,
        engine: &impl Daemon,
        term: Term,
    ) -> Result<Option<HostFiles>, Failure> {
        let Some(path) = &self.host_tmpfs else {
            return Ok(None);
        };
        let away = |what: &str| {
            let next = "give the flag where the engine is, or not at all";
            Failure::Usage(format!("--host-tmpfs: the Docker Engine {what}; {next}"))
        };
        if !docker.is_local() {
            return Err(away(&format!(
                "at {} is reached over the network, so it may be another host's",
                docker.address()
            )));
        }
        let files = HostFiles::open(path, term).map_err(|fault| refused(&fault))?;
        match engine.info().await {
            Ok(info) => match apart(&info.security_options) {
                Some(what) => Err(away(what)),
                None => Ok(Some(files)),
            },
            Err(error) if error.kind == Kind::Unreachable => Ok(Some(files)),
            Err(error) => Err(super::connect::engine_failure(error)),
        }
    }

    /// What a control plane has there: the directory, its root in it, and its records.
    pub(super) fn records(&self, instance: &Instance) -> Result<Option<Kept>, Failure> {
        let Some(path) = &self.host_tmpfs else {
            return Ok(None);
        };
        let directory = HostDirectory::open(path).map_err(|fault| refused(&fault))?;
        let root = directory.root(&instance.short());
        let found = directory.records(&root, "").map_err(|fault| refused(&fault))?;
        Ok(Some(Kept {
            directory,
            root,
            found,
        }))
    }
}

/// See [`HostArgs::records`].
pub(super) struct Kept {
    directory: HostDirectory,
    root: String,
    pub(super) found: Vec<Found>,
}

impl Kept {
    /// Removes them with their directories.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        for found in &self.found {
            self.directory
                .remove_directories(&self.root, found.record.volumes.keys())
                .and_then(|()| self.directory.remove_record(&self.root, &found.path))
                .map_err(|fault| refused(&fault))?;
        }
        Ok(())
    }
}

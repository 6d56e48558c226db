//! The checks of `doctor` about a standalone control plane on this machine: its data directory, key ring, certificates,
//! store and port. Looks at files and asks the API's own health; opens no store, which belongs to the running process.
//! Called by `doctor` when there is a data directory, or one was named.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::net::TcpStream;

use super::{
    doctor::{Report, patiently},
    standalone_data::DataDir,
};
use crate::{
    apiserver::serve::{pki::Pki, private_file},
    clock::{Clock, System},
    secrets::{effective_uid, keyring_file},
};

/// A certificate that has less left was not renewed by a process that runs.
const SOON: i64 = 30;

fn told(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

/// All of them.
pub(super) async fn standalone(report: &mut Report, data: &DataDir) {
    let what = "data directory";
    match private_file::check_directory(&data.0, effective_uid()) {
        Ok(()) => report.ok(what, format!("{}, mode and owner are right", data.0.display())),
        Err(error) => return report.fail(what, told(error), "standalone does not start until that is right"),
    }
    ring(report, &data.keyring());
    certificates(report, data);
    let running = data.is_held();
    match (running, data.store().exists()) {
        (true, _) => report.ok("standalone", "a process has the data directory"),
        (false, true) => report.warn(
            "standalone",
            "no process has the data directory",
            "start it: systemctl start supercargo",
        ),
        (false, false) => report.warn(
            "standalone",
            "was never started here",
            "start it: supercargo standalone",
        ),
    }
    if running {
        port(report, data).await;
    }
}

fn ring(report: &mut Report, path: &Path) {
    let what = "key ring of standalone";
    match keyring_file::read(path) {
        Ok(ring) => report.ok(
            what,
            format!("{}, primary key {}", path.display(), ring.primary()),
        ),
        Err(error) => report.fail(
            what,
            told(error),
            "without it no sealed value and no core Secret opens",
        ),
    }
}

fn certificates(report: &mut Report, data: &DataDir) {
    let what = "certificates";
    let clock = Arc::new(System);
    let now = clock.now();
    match Pki::new(&data.pki(), effective_uid(), [], clock).ends() {
        Err(error) => report.fail(
            what,
            told(error),
            "a start makes certificates anew that are not the authority's",
        ),
        Ok(ends) if ends.len() < 3 => report.fail(what, "some are missing", "a start makes them"),
        Ok(ends) => {
            for (name, end) in ends {
                let days = end.duration_since(now).as_hours() / 24;
                let detail = format!("{name} is valid for {days} days");
                let next = "standalone renews them while it runs, and at every start; restart it";
                match days {
                    ..=0 => report.fail(what, format!("{name} has ended"), next),
                    1..SOON => report.warn(what, detail, next),
                    _ => report.ok(what, detail),
                }
            }
        }
    }
    let kubeconfig = data.kubeconfig();
    match private_file::read(&kubeconfig, effective_uid()) {
        Ok(Some(_)) => report.ok(
            "kubeconfig",
            format!("{}, mode and owner are right", kubeconfig.display()),
        ),
        Ok(None) => report.fail(
            "kubeconfig",
            format!("{} is gone", kubeconfig.display()),
            "a start writes it",
        ),
        Err(error) => report.fail("kubeconfig", told(error), "whoever reads it is admin"),
    }
}

/// Where the kubeconfig says that the API is: whether it is there, ready, and its store takes writes.
async fn port(report: &mut Report, data: &DataDir) {
    let what = "API of standalone";
    let Ok(config) = kube::config::Kubeconfig::read_from(data.kubeconfig()) else {
        return report.fail(what, "the kubeconfig cannot be read", "a start writes it");
    };
    let url = config
        .clusters
        .first()
        .and_then(|named| named.cluster.as_ref()?.server.clone())
        .unwrap_or_default();
    let address = url.trim_start_matches("https://").to_owned();
    let dialled = tokio::time::timeout(Duration::from_secs(3), TcpStream::connect(&address)).await;
    if !matches!(dialled, Ok(Ok(_))) {
        return report.fail(
            what,
            format!("nothing answers at {address}"),
            "look at its log; restart it",
        );
    }
    let ask = async {
        let config =
            kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await?;
        let client = kube::Client::try_from(config)?;
        let request = http::Request::get("/readyz?verbose").body(Vec::new())?;
        Ok::<String, anyhow::Error>(client.request_text(request).await?)
    };
    match patiently(ask).await {
        Ok(_) => report.ok(what, format!("{address} is ready, and the store takes writes")),
        Err(why) => report.fail(
            what,
            format!("{address} is not ready: {why}"),
            "look at `kubectl get --raw '/readyz?verbose'` and at its log; a full disk is the usual cause",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{seal::Ring, seal::SystemEntropy};

    #[tokio::test]
    async fn a_data_directory_as_a_start_leaves_it_is_well_and_each_damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir(dir.path().join("data"));
        let mut report = Report::default();
        standalone(&mut report, &data).await;
        assert!(
            report.text().contains("FAIL  data directory"),
            "{}",
            report.text()
        );

        drop(data.hold().unwrap());
        let clock = Arc::new(System);
        let ring = Ring::generate(clock.now(), &mut SystemEntropy).unwrap();
        keyring_file::create(&data.keyring(), &ring).unwrap();
        Pki::new(&data.pki(), effective_uid(), [], clock)
            .ensure()
            .unwrap();
        private_file::write(&data.kubeconfig(), b"x").unwrap();
        let mut report = Report::default();
        standalone(&mut report, &data).await;
        assert!(!report.text().contains("FAIL"), "{}", report.text());

        std::fs::remove_file(data.pki().join("serving.pem")).unwrap();
        std::fs::remove_file(data.keyring()).unwrap();
        let mut report = Report::default();
        standalone(&mut report, &data).await;
        let text = report.text();
        assert!(
            text.contains("FAIL  certificates") && text.contains("FAIL  key ring of standalone"),
            "{text}"
        );
    }
}

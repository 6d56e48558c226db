//! The control plane of standalone put together: ring, certificates, kubeconfig, store, server and socket, in the order
//! in which each needs the one before, and taken apart again. Owns what a start makes and renews; the operator is
//! `standalone`'s. Nothing of a data directory is touched before it is held.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context as _;
use kube::Client;
use tokio::task::JoinHandle;

use super::{
    Failure,
    standalone_admission::OwnKinds,
    standalone_data::{DataDir, Held},
    standalone_ring::{self, RingAtRest},
};
use crate::{
    api::validate::Policy,
    apiserver::{
        authorize::{DefaultRoles, User},
        loops,
        names::{GroupResource, Key},
        serve::{Check, Listener, Options, Refresh, Server, Tls, kubeconfig, pki::Pki},
        store::{self, Store},
    },
    clock::{Clock, System},
    secrets::effective_uid,
    telemetry::{http::Ready, metrics::Metrics},
};

/// How often certificates are looked at. They are renewed months before they end.
const RENEWAL: Duration = Duration::from_secs(6 * 3_600);

/// How long an event is kept after it was last seen, as `--event-ttl` of a Kubernetes API server.
const EVENT_TTL: Duration = Duration::from_secs(3_600);

/// What the operator tells later than the server is made.
#[derive(Default)]
pub(super) struct Later {
    /// Whether the operator is ready.
    pub(super) ready: OnceLock<Ready>,
    /// Brings its gauges up to date.
    pub(super) gauges: OnceLock<Refresh>,
}

/// A control plane whose socket is bound and whose store is open.
pub(super) struct Plane {
    pub(super) server: Server,
    pub(super) later: Arc<Later>,
    pub(super) address: SocketAddr,
    /// The ring was made just now.
    pub(super) new_ring: bool,
    listener: Option<Listener>,
    tls: Tls,
    certificates: Certificates,
    store: Store,
    _held: Held,
}

/// What renews.
struct Certificates {
    pki: Pki,
    kubeconfig: std::path::PathBuf,
    url: String,
}

impl Plane {
    /// Puts it together.
    pub(super) fn assemble(
        data: &DataDir,
        listen: SocketAddr,
        policy: Policy,
        new_cluster: bool,
        metrics: &Metrics,
    ) -> Result<Self, Failure> {
        let held = data.hold()?;
        let clock: Arc<dyn Clock> = Arc::new(System);
        let fresh = new_cluster || !data.store().exists();
        let (ring, new_ring) = standalone_ring::first(&data.keyring(), fresh, &*clock)?;
        let listener = Listener::bind(listen)?;
        let address = listener.address();
        let names = [super::controller::reporter(), address.ip().to_string()];
        let certificates = Certificates {
            pki: Pki::new(&data.pki(), effective_uid(), names, Arc::clone(&clock)),
            kubeconfig: data.kubeconfig(),
            url: format!("https://{address}"),
        };
        let material = certificates.pki.ensure()?;
        kubeconfig::keep(
            &certificates.kubeconfig,
            effective_uid(),
            &certificates.url,
            &material,
        )?;
        let tls = Tls::new(&material, Arc::clone(&clock))?;
        let at_rest = RingAtRest::new(&data.keyring(), ring);
        let store = open(&data.store(), at_rest, metrics)?;
        let later = Arc::new(Later::default());
        let (ready, gauges) = (Arc::clone(&later), Arc::clone(&later));
        let operator = Check::ready("operator", move || {
            ready
                .ready
                .get()
                .map_or_else(|| Err("starting".to_owned()), |ready| ready())
        });
        let server = Server::new(Options {
            store: store.clone(),
            clock: Arc::clone(&clock),
            admission: Arc::new(OwnKinds {
                policy,
                store: store.clone(),
                clock,
            }),
            authorizer: Arc::new(DefaultRoles),
            metrics: metrics.clone(),
            refresh: Arc::new(move |metrics| {
                if let Some(refresh) = gauges.gauges.get() {
                    refresh(metrics);
                }
            }),
            address: address.to_string(),
            checks: vec![operator],
            loops: loops::Options {
                ca_pem: material.authority.certificate.clone(),
                event_ttl: EVENT_TTL,
            },
        });
        Ok(Self {
            server,
            later,
            address,
            new_ring,
            listener: Some(listener),
            tls,
            certificates,
            store,
            _held: held,
        })
    }

    /// The uid of kube-system, if the store has one: an empty store has none.
    pub(super) fn identity(&self) -> Option<String> {
        let key = Key::new(&GroupResource::new("", "namespaces"), "", "kube-system");
        let record = self.store.get(&key)?;
        let object = self.store.object(&record).ok()?;
        Some(crate::apiserver::object::uid(&object).to_owned())
    }

    /// Starts to answer on the socket.
    pub(super) fn listen(&mut self) -> Option<JoinHandle<()>> {
        let listener = self.listener.take()?;
        let serving = listener.serve(self.tls.clone(), self.server.handler(), self.server.stopped());
        Some(tokio::spawn(serving))
    }

    /// A client in this process that may do everything.
    pub(super) fn client(&self) -> Client {
        let user = User::master("system:supercargo:operator");
        Client::new(self.server.handler().acting_as(user), "default")
    }

    /// Renews certificates before they end, for ever.
    pub(super) async fn renew(&self) {
        loop {
            tokio::time::sleep(RENEWAL).await;
            if let Err(error) = self.renew_once() {
                tracing::error!(error = %format!("{error:#}"), "certificates could not be renewed; it is tried again");
            }
        }
    }

    fn renew_once(&self) -> anyhow::Result<()> {
        let certificates = &self.certificates;
        let material = certificates.pki.ensure()?;
        if material.made.is_empty() {
            return Ok(());
        }
        self.tls.swap(&material.serving)?;
        kubeconfig::keep(
            &certificates.kubeconfig,
            effective_uid(),
            &certificates.url,
            &material,
        )?;
        tracing::info!(renewed = material.made.join(", "), "certificates are renewed");
        Ok(())
    }
}

fn open(path: &Path, at_rest: RingAtRest, metrics: &Metrics) -> Result<Store, Failure> {
    let options = store::Options {
        at_rest: Some(Arc::new(at_rest)),
        sealed: [GroupResource::new("", "secrets")].into(),
        metrics: metrics.clone(),
        ..store::Options::default()
    };
    Ok(Store::open(path, options)
        .with_context(|| format!("the store {} cannot be opened", path.display()))?)
}

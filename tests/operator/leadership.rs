//! Two operators and one Lease: who leads, who takes over and when, and that there are never two.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use serde_json::{Value, json};
use supercargo::{
    clock::System,
    controllers::leadership::{Election, LEASE, Times},
    engine::{self, Op, Session, Term, Termed, decorate::Decorator, fake::Fake},
    state::container::ContainerId,
};
use tokio::{
    io::AsyncWrite,
    time::{Instant, timeout},
};

use super::{
    bench::{Bench, web},
    cluster::Cluster,
};

const NAMESPACE: &str = "supercargo-system";

struct Candidate {
    election: Election,
    term: Term,
}

fn candidate(cluster: &Cluster, name: &str) -> Candidate {
    let term = Term::not_begun();
    let election = Election::new(
        cluster.client(),
        NAMESPACE,
        name.to_owned(),
        Arc::new(System),
        Times::default(),
        term.clone(),
    );
    Candidate { election, term }
}

fn cluster() -> Cluster {
    let cluster = Cluster::new(Arc::new(System));
    cluster.put(
        "namespaces",
        serde_json::json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } }),
    );
    cluster
}

fn lease(cluster: &Cluster) -> Value {
    cluster.get("leases", NAMESPACE, LEASE).unwrap()["spec"].take()
}

#[tokio::test(start_paused = true)]
async fn the_first_leads_the_second_stands_by_until_the_lease_is_given_back() {
    let cluster = cluster();
    let (one, two) = (candidate(&cluster, "one"), candidate(&cluster, "two"));
    let mut held = one.election.win().await;
    assert!(one.term.runs());
    assert_eq!(lease(&cluster)["holderIdentity"], "one");
    let waiting = async {
        let begun = Instant::now();
        let held = two.election.win().await;
        (held, begun.elapsed())
    };
    let leading = async {
        let lost = timeout(Duration::from_secs(300), one.election.keep(&mut held)).await;
        assert!(lost.is_err(), "it renews");
        assert!(one.term.runs() && !two.term.runs());
        one.election.release(held).await;
        assert!(!one.term.runs());
    };
    let ((_held, took), ()) = tokio::join!(waiting, leading);
    assert!(took < Duration::from_secs(303), "{took:?}");
    assert!(two.term.runs());
    let lease = lease(&cluster);
    assert_eq!(
        (&lease["holderIdentity"], &lease["leaseTransitions"]),
        (&"two".into(), &1.into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_ends_its_term_long_before_another_begins() {
    let (cluster, elsewhere) = (cluster(), Duration::from_secs(30));
    let (one, two) = (candidate(&cluster, "one"), candidate(&cluster, "two"));
    let mut held = one.election.win().await;
    let begun = Instant::now();
    // The first is stopped, as by SIGSTOP: it neither renews nor notices.
    let taken = two.election.win().await;
    assert!(begun.elapsed() >= Times::default().lease, "{:?}", begun.elapsed());
    assert!(!one.term.runs(), "its time was over by itself");
    assert!(begun.elapsed() >= Times::default().renew + elsewhere);
    // It goes on, and learns that it is not the leader.
    let why = one.election.keep(&mut held).await;
    assert!(!one.term.runs());
    assert!(
        why.contains("could not be renewed") || why.contains("two holds it"),
        "{why}"
    );
    assert!(two.term.runs());
    drop(taken);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_for_a_while_costs_no_leadership() {
    let cluster = cluster();
    let one = candidate(&cluster, "one");
    let mut held = one.election.win().await;
    let outage = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        cluster.go_away();
        tokio::time::sleep(Duration::from_secs(15)).await;
        cluster.come_back();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(one.term.runs());
        cluster.go_away();
    };
    let (why, ()) = tokio::join!(one.election.keep(&mut held), outage);
    assert!(why.contains("could not be renewed for 25 s"), "{why}");
    assert!(!one.term.runs());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_took_ends_the_term_at_once() {
    let cluster = cluster();
    let one = candidate(&cluster, "one");
    let mut held = one.election.win().await;
    let theft = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        cluster.edit("leases", NAMESPACE, LEASE, |lease| {
            lease["spec"]["holderIdentity"] = "somebody".into();
        });
    };
    let begun = Instant::now();
    let (why, ()) = tokio::join!(one.election.keep(&mut held), theft);
    assert_eq!(why, "somebody holds it");
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert!(!one.term.runs());
}

#[tokio::test(start_paused = true)]
async fn of_many_that_begin_at_once_one_leads() {
    let cluster = cluster();
    let all: Vec<Candidate> = (0..8).map(|n| candidate(&cluster, &n.to_string())).collect();
    let wins = all.iter().map(|one| {
        timeout(Duration::from_secs(50), async {
            let mut held = one.election.win().await;
            one.election.keep(&mut held).await
        })
    });
    let ended = futures::future::join_all(wins).await;
    assert!(ended.iter().all(Result::is_err), "{ended:?}");
    assert_eq!(all.iter().filter(|one| one.term.runs()).count(), 1);
}

/// An engine that counts what is written into sessions.
struct Tapped {
    fake: Fake,
    written: Arc<AtomicUsize>,
}

impl Decorator for Tapped {
    type Inner = Fake;

    fn inner(&self) -> &Fake {
        &self.fake
    }

    async fn around<T: Send>(
        &self,
        _op: Op,
        _subject: &str,
        call: impl Future<Output = engine::Result<T>> + Send,
    ) -> engine::Result<T> {
        call.await
    }

    fn session(&self, _id: &ContainerId, session: Session) -> Session {
        let input = Tap(session.input, Arc::clone(&self.written));
        Session {
            input: Box::pin(input),
            ..session
        }
    }
}

struct Tap(Pin<Box<dyn AsyncWrite + Send>>, Arc<AtomicUsize>);

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.1.fetch_add(bytes.len(), Ordering::SeqCst);
        self.0.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn whose_term_is_over_gives_no_order_to_an_agent_in_a_session_that_is_open() {
    let (mut bench, term) = (Bench::still(), Term::endless());
    let written = Arc::new(AtomicUsize::new(0));
    let tapped = Tapped {
        fake: bench.fake.clone(),
        written: Arc::clone(&written),
    };
    bench.start_on(Termed::new(tapped, term.clone()));
    bench.settle(web(2)).await;
    let said = || written.load(Ordering::SeqCst);
    let before = said();
    assert!(before > 0, "the agent was told of both");
    // It was stopped, and does not know yet that somebody else leads: one of two is to go, so its name is to go first.
    term.end();
    bench.edit("web", |o| o["spec"]["replicas"] = json!(1));
    bench
        .always(30, "nobody is told and nothing is done", |b| {
            said() == before && b.live("web") == 2
        })
        .await;
    // What was not said is said in the next term.
    term.extend(Instant::now() + Duration::from_secs(3_600));
    bench.within(30, "one is gone", |b| b.live("web") == 1).await;
    assert!(said() > before);
}

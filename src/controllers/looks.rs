//! Looks at an engine that many want: a read that answers all who asked before it began, and looks at containers side by
//! side, one of each at a time. Everybody gets what was read after they asked, so nobody sees less than with a call of
//! their own; in a burst it is one call for many. Remembers nothing. Called by [`super::host`] and [`super::deployment`].

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};

use crate::{
    engine::{self, Engine, Kind},
    state::{
        container::ContainerId,
        desired::{Desired, Template},
        image::ImageView,
        network::NetworkView,
    },
};

/// One read that many want.
#[derive(Debug)]
struct Shared<T> {
    /// Numbers the moments at which somebody asks and at which a read begins.
    moments: AtomicU64,
    last: tokio::sync::Mutex<Option<(u64, T)>>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            moments: AtomicU64::new(0),
            last: tokio::sync::Mutex::new(None),
        }
    }
}

impl<T: Clone> Shared<T> {
    fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::SeqCst)
    }

    /// What a read says that begins after this call: one's own, or another's who came first.
    async fn read(&self, read: impl Future<Output = T>) -> T {
        let asked = self.moment();
        let mut last = self.last.lock().await;
        if let Some((began, value)) = &*last
            && *began > asked
        {
            return value.clone();
        }
        let began = self.moment();
        let value = read.await;
        *last = Some((began, value.clone()));
        value
    }
}

/// What one look found around the containers.
#[derive(Debug)]
pub struct Around {
    /// All networks.
    pub networks: Vec<NetworkView>,
    /// The wanted image, when it is there.
    pub image: Option<ImageView>,
    /// Whether a tmpfs can be kept out of swap, where that matters.
    pub noswap: bool,
}

type SharedImage = Shared<engine::Result<Option<ImageView>>>;

/// What is around the containers: the networks, and which images are there.
#[derive(Debug, Default)]
pub struct Surroundings {
    networks: Shared<engine::Result<Vec<NetworkView>>>,
    images: Mutex<BTreeMap<String, Arc<SharedImage>>>,
}

impl Surroundings {
    /// All networks, and the wanted image when it is there.
    ///
    /// # Errors
    /// The engine's.
    pub async fn look<E: Engine>(&self, engine: &E, desired: &Desired) -> engine::Result<Around> {
        let image = async {
            match &desired.template {
                Template::Known(prototype) => self.image(engine, &prototype.spec.image).await,
                Template::Blocked(_) => Ok(None),
            }
        };
        let networks = self.networks.read(engine.list_networks());
        let (networks, image) = futures::join!(networks, image);
        Ok(Around {
            networks: networks?,
            image: image?,
            noswap: false,
        })
    }

    async fn image<E: Engine>(&self, engine: &E, image: &str) -> engine::Result<Option<ImageView>> {
        let shared = {
            let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody asks for just now are not kept.
            images.retain(|_, shared| Arc::strong_count(shared) > 1);
            Arc::clone(images.entry(image.to_owned()).or_default())
        };
        let look = async {
            match engine.inspect_image(image).await {
                Ok(view) => Ok(Some(view)),
                Err(error) if error.kind == Kind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        };
        shared.read(look).await
    }
}

type Looked = (ContainerId, engine::Result<()>);

/// Looks at containers that are under way, at most one at each; who wants another one meanwhile gets it afterwards.
#[derive(Default)]
pub(super) struct Looks<'a> {
    running: FuturesUnordered<BoxFuture<'a, Looked>>,
    /// Whether it is to be looked at again when the look that runs has ended.
    again: BTreeMap<ContainerId, bool>,
}

impl<'a> Looks<'a> {
    /// Looks at a container now, or once more when the look at it has ended that is under way.
    pub(super) fn want<F>(&mut self, id: ContainerId, look: impl Fn(ContainerId) -> F)
    where
        F: Future<Output = Looked> + Send + 'a,
    {
        match self.again.get_mut(&id) {
            Some(again) => *again = true,
            None => {
                self.again.insert(id.clone(), false);
                self.running.push(Box::pin(look(id)));
            }
        }
    }

    /// Waits until a look has ended; for ever while there is none.
    pub(super) async fn next<F>(&mut self, look: impl Fn(ContainerId) -> F) -> engine::Result<()>
    where
        F: Future<Output = Looked> + Send + 'a,
    {
        let Some((id, result)) = self.running.next().await else {
            return std::future::pending().await;
        };
        if self.again.remove(&id) == Some(true) {
            self.want(id, look);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::join_all};
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn who_asks_while_a_read_is_under_way_shares_the_next_one() {
        let shared = Shared::default();
        let reads = AtomicU64::new(0);
        let gate = Notify::new();
        let read = || async {
            let number = reads.fetch_add(1, Ordering::SeqCst);
            gate.notified().await;
            number
        };
        let mut first = Box::pin(shared.read(read()));
        assert!((&mut first).now_or_never().is_none());
        let mut others = Box::pin(join_all((0..5).map(|_| shared.read(read()))));
        assert!((&mut others).now_or_never().is_none());
        gate.notify_one();
        assert_eq!(first.await, 0, "it asked before anybody");
        assert!(
            (&mut others).now_or_never().is_none(),
            "the first read is too old for them"
        );
        gate.notify_one();
        assert_eq!(others.await, [1; 5]);
    }

    #[tokio::test]
    async fn who_asks_after_a_read_gets_another_one() {
        let shared = Shared::default();
        assert_eq!(shared.read(async { 1 }).await, 1);
        assert_eq!(shared.read(async { 2 }).await, 2);
    }

    #[tokio::test]
    async fn a_read_that_is_given_up_leaves_nobody_waiting() {
        let shared = Shared::default();
        let mut given_up = Box::pin(shared.read(std::future::pending::<u8>()));
        assert!((&mut given_up).now_or_never().is_none());
        drop(given_up);
        assert_eq!(shared.read(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn a_container_is_looked_at_once_more_for_all_that_happened_during_a_look() {
        let count = AtomicU64::new(0);
        let look = |id: ContainerId| {
            count.fetch_add(1, Ordering::SeqCst);
            async { (id, Ok(())) }
        };
        let mut looks = Looks::default();
        for _ in 0..3 {
            looks.want(ContainerId::new("a"), look);
        }
        looks.want(ContainerId::new("b"), look);
        while let Some(result) = looks.next(look).now_or_never() {
            result.unwrap();
        }
        assert_eq!(count.load(Ordering::SeqCst), 3, "a twice and b once");
    }
}

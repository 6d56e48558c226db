//! Watches: where one begins, and its stream of frames until it times out, falls behind, or the server stops. A watcher
//! pulls from the store's history, so that a slow one holds up nobody and buffers nothing; one that is too slow gets an
//! ERROR event, as does one that begins too far back. Called for GET of a collection with `watch`.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration, vec};

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::time::Instant;

use super::{
    super::{
        kinds::Kind,
        request::{Query, Shape},
        response::{self, Response},
        status::{Result, Status},
        store::{Next, Range, Record, RevisionError, Watch},
        table,
    },
    Api, forms,
    frames::{self, Framer},
    identity,
    list::version,
    render::Rendering,
    select::Selection,
};

/// How long a watch lasts whose client does not say, at least; up to twice as long.
const SHORTEST: u64 = 30 * 60;
/// About once a minute, but not all at the same time.
const BOOKMARKS: (u64, u64) = (50, 10);
/// After so many events that are none to this watcher, others get their turn.
const PATIENCE: usize = 256;

/// A watch on its way to a client.
struct Stream {
    api: Api,
    kind: Arc<Kind>,
    edition: u64,
    framer: Framer,
    /// Objects that were there at the beginning, still to be sent.
    initial: vec::IntoIter<Arc<Record>>,
    /// The revision at which they were, until the bookmark that says so is sent.
    marks_end: Option<u64>,
    watch: Option<Watch>,
    ready: VecDeque<Bytes>,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    revision: u64,
}

/// Where a watch begins.
struct Beginning {
    initial: Vec<Arc<Record>>,
    revision: u64,
    marks_end: bool,
}

impl Api {
    /// The answer to a watch: 200 whatever the revision is, since clients look for errors in the stream.
    ///
    /// # Errors
    /// 400.
    pub(super) fn watch_response(
        &self,
        kind: Arc<Kind>,
        namespace: &str,
        query: &Query,
        rendering: Rendering,
    ) -> Result<Response> {
        let selection = Selection::new(query, &kind)?;
        let beginning = self.begin(&kind, namespace, query)?;
        let columns = (rendering.accept.shape == Shape::Table).then(|| table::columns(&kind));
        let framer = Framer {
            selection,
            rendering,
            columns,
        };
        let now = Instant::now();
        let seconds = query
            .timeout_seconds
            .filter(|seconds| *seconds > 0)
            .unwrap_or_else(|| SHORTEST + identity::spread(SHORTEST));
        let mut stream = Stream {
            api: self.clone(),
            edition: self.kinds.load().edition,
            framer,
            initial: Vec::new().into_iter(),
            marks_end: None,
            watch: None,
            ready: VecDeque::new(),
            bookmarks: query.allow_watch_bookmarks,
            next_bookmark: now + bookmark_after(),
            deadline: now + Duration::from_secs(seconds.min(SHORTEST * 48)),
            revision: 0,
            kind,
        };
        match beginning.and_then(|beginning| {
            let namespace = (!namespace.is_empty()).then_some(namespace);
            let watch = self
                .store
                .watch(&stream.kind.stored_as, namespace, beginning.revision);
            watch.map(|watch| (beginning, watch))
        }) {
            Ok((beginning, watch)) => {
                stream.initial = beginning.initial.into_iter();
                stream.marks_end = beginning.marks_end.then_some(beginning.revision);
                stream.revision = beginning.revision;
                stream.watch = Some(watch);
            }
            Err(e) => stream.ready.push_back(frames::error(&unwatched(&e, query))),
        }
        Ok(stream.response())
    }

    /// What a watch sends first, and from which revision on it follows.
    fn begin(
        &self,
        kind: &Kind,
        namespace: &str,
        query: &Query,
    ) -> Result<std::result::Result<Beginning, RevisionError>> {
        let (asked, current) = (version(&query.resource_version)?, self.store.revision());
        let wanted = query.send_initial_events.unwrap_or(asked == 0);
        if !wanted {
            let revision = if asked == 0 { current } else { asked };
            return Ok(Ok(Beginning {
                initial: Vec::new(),
                revision,
                marks_end: false,
            }));
        }
        if asked > current {
            return Ok(Err(RevisionError::Future { asked, current }));
        }
        let range = Range {
            of: kind.stored_as.clone(),
            namespace: (!namespace.is_empty()).then(|| namespace.into()),
            after: None,
        };
        Ok(self.store.list(&range, None, 0).map(|page| Beginning {
            initial: page.records,
            revision: page.revision,
            marks_end: query.send_initial_events == Some(true),
        }))
    }
}

/// What a watcher is told that asks for a revision that is not there. One from the future is told to begin anew, too: it
/// has seen a store that is gone, and would otherwise wait for ever.
fn unwatched(error: &RevisionError, query: &Query) -> Status {
    match *error {
        RevisionError::Expired { asked, oldest } => {
            Status::expired(format!("too old resource version: {asked} ({oldest})"))
        }
        RevisionError::Future { asked, current } if query.send_initial_events.is_some() => {
            forms::too_large(asked, current)
        }
        RevisionError::Future { asked, current } => {
            Status::expired(format!("too large resource version: {asked}, current: {current}"))
        }
    }
}

fn bookmark_after() -> Duration {
    Duration::from_secs(BOOKMARKS.0 + identity::spread(BOOKMARKS.1))
}

impl Stream {
    fn response(self) -> Response {
        let frames = stream::unfold(self, |mut stream| async move {
            let frame = stream.next().await?;
            Some((Ok::<_, Infallible>(Frame::data(frame)), stream))
        });
        let mut response = response::bytes(200, "application/json", Bytes::new());
        *response.body_mut() = StreamBody::new(frames).boxed_unsync();
        response
    }

    async fn next(&mut self) -> Option<Bytes> {
        let mut idle = 0;
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if let Some(record) = self.initial.next() {
                let frame = self.framer.initial(&self.api, &self.kind, &record);
                self.take(frame);
            } else if let Some(revision) = self.marks_end.take() {
                if self.bookmarks {
                    self.ready
                        .push_back(self.framer.bookmark(&self.kind, revision, true));
                }
            } else {
                self.follow().await?;
            }
            idle += 1;
            if idle % PATIENCE == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Waits for what comes next; `None` is the end.
    async fn follow(&mut self) -> Option<()> {
        let now = Instant::now();
        if now >= self.deadline {
            self.watch.take()?;
            if self.bookmarks {
                self.ready
                    .push_back(self.framer.bookmark(&self.kind, self.revision, false));
            }
            return Some(());
        }
        if self.bookmarks && now >= self.next_bookmark {
            self.next_bookmark = now + bookmark_after();
            self.ready
                .push_back(self.framer.bookmark(&self.kind, self.revision, false));
            return Some(());
        }
        let until = if self.bookmarks {
            self.deadline.min(self.next_bookmark)
        } else {
            self.deadline
        };
        let next = self.watch.as_mut()?.next(until - now).await;
        if !self.is_still_served() {
            return None;
        }
        match next {
            Next::Event(event) => {
                self.revision = event.revision;
                let frame = self.framer.event(&self.api, &self.kind, &event);
                self.take(frame);
            }
            Next::Quiet(revision) => self.revision = self.revision.max(revision),
            Next::Expired(e) => self.end(&unwatched(&e, &Query::default())),
            Next::Closed => return None,
        }
        Some(())
    }

    fn take(&mut self, frame: Result<Option<Bytes>>) {
        match frame {
            Ok(frame) => self.ready.extend(frame),
            Err(status) => self.end(&status),
        }
    }

    /// An ERROR event, and nothing after it.
    fn end(&mut self, status: &Status) {
        self.ready.push_back(frames::error(status));
        self.initial = Vec::new().into_iter();
        self.marks_end = None;
        self.watch = None;
    }

    /// A watch ends with its kind. It keeps its columns when these change.
    fn is_still_served(&mut self) -> bool {
        let kinds = self.api.kinds.load();
        if kinds.edition == self.edition {
            return true;
        }
        self.edition = kinds.edition;
        match kinds.get(&self.kind.version, &self.kind.resource.resource) {
            Some(kind) => {
                self.kind = kind.clone();
                true
            }
            None => false,
        }
    }
}

//! The verb `logs`: what the instances of a deployment wrote, straight from the engine, which finds them by their labels;
//! the API server is asked only whose they are, and may be away. Following, it picks up instances that come later and
//! those that are started again, and repeats nothing. Lines are `logs_lines`'. Called by `mod`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use futures::StreamExt;
use tokio::sync::mpsc;

use super::connect::{self, Docker};
use super::logs_args::Args;
use super::logs_lines::{Line, Lines, Stream};
use super::{Failure, Outcome, block_on};
use crate::api::keys::label;
use crate::clock::{Clock, System};
use crate::engine::{self, Containers, Daemon, Kind, LabelFilter, LogOptions};
use crate::state::container::{ContainerId, ContainerView};
use crate::state::names;

/// How long an API server that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the verb.
pub(super) fn run(args: Args) -> Outcome {
    block_on(async {
        let mut reader = Reader::new(args).await?;
        tokio::select! {
            outcome = reader.read() => outcome?,
            stopped = stopped() => stopped?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn stopped() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// What a stream of one container brings.
enum News {
    Lines(ContainerId, Vec<Line>),
    Ended(ContainerId, Lines, engine::Result<()>),
}

struct Reader {
    args: Args,
    namespace: String,
    instance: Option<String>,
    engine: Docker,
    names: BTreeMap<ContainerId, String>,
    open: BTreeSet<ContainerId>,
    closed: BTreeMap<ContainerId, Lines>,
    again: BTreeSet<ContainerId>,
    prefix: bool,
}

impl Reader {
    async fn new(args: Args) -> Result<Self, Failure> {
        let engine = args.docker.connect()?;
        let namespace = match &args.namespace {
            Some(namespace) => namespace.clone(),
            None => connect::namespace_here().await,
        };
        // Whoever may read the engine may read its logs; the API server only tells whose containers are meant.
        let ask = async {
            let client = connect::kube().await.ok()?;
            connect::instance(&client).await.ok()
        };
        let told = tokio::time::timeout(PATIENCE, ask).await.ok().flatten();
        let instance = told.map(|found| found.as_str().to_owned());
        Ok(Self {
            prefix: args.prefix,
            args,
            namespace,
            instance: instance.filter(|uid| !uid.is_empty()),
            engine,
            names: BTreeMap::new(),
            open: BTreeSet::new(),
            closed: BTreeMap::new(),
            again: BTreeSet::new(),
        })
    }

    async fn read(&mut self) -> Result<(), Failure> {
        let filter = LabelFilter {
            key: label::DEPLOYMENT.to_owned(),
            value: self.args.name.clone(),
        };
        // Before the list, so that nothing that comes in between is missed.
        let events = if self.args.follow {
            Some(
                self.engine
                    .events(&filter)
                    .await
                    .map_err(connect::engine_failure)?,
            )
        } else {
            None
        };
        let found = connect::containers(&self.engine, &filter.key, &filter.value).await;
        let found = self.select(found.map_err(connect::engine_failure)?)?;
        if found.is_empty() {
            self.nothing()?;
        }
        self.prefix |= found.len() > 1;
        for view in &found {
            self.names.insert(view.id.clone(), view.name.clone());
        }
        let ids: Vec<ContainerId> = found.into_iter().map(|view| view.id).collect();
        match events {
            None => self.each(&ids).await,
            Some(events) => self.follow(&ids, events).await,
        }
    }

    /// There is no container: an error, unless what comes is wanted.
    fn nothing(&self) -> Result<(), Failure> {
        let (namespace, name) = (&self.namespace, &self.args.name);
        let what = match &self.args.instance {
            Some(instance) => format!("{namespace}/{name} has no instance {instance} on this engine"),
            None => format!("{namespace}/{name} has no instances on this engine"),
        };
        if self.args.follow {
            eprintln!("{what} yet; waiting for them");
            return Ok(());
        }
        Err(anyhow!("{what}; `kubectl describe ddep {name} -n {namespace}` says why, `docker ps -a` shows what there is").into())
    }

    /// Those that are meant, by replica and age.
    fn select(&self, found: Vec<ContainerView>) -> Result<Vec<ContainerView>, Failure> {
        let mut meant: Vec<ContainerView> = found.into_iter().filter(|view| self.is_meant(view)).collect();
        let owners: BTreeSet<&str> = meant.iter().map(|view| view.label(label::INSTANCE)).collect();
        if owners.len() > 1 {
            return Err(anyhow!(
                "{} control planes have a {}/{} on this engine, and the API server does not say which is yours; set KUBECONFIG",
                owners.len(),
                self.namespace,
                self.args.name
            )
            .into());
        }
        meant.sort_by_key(|view| (slot(view), view.created_at));
        Ok(meant)
    }

    fn is_meant(&self, view: &ContainerView) -> bool {
        let name = &self.args.name;
        let whose = view.label(label::INSTANCE);
        view.label(label::NAMESPACE) == self.namespace
            && view.label(label::DEPLOYMENT) == name
            && self.instance.as_ref().is_none_or(|ours| ours == whose)
            && self.args.instance.as_ref().is_none_or(|wanted| {
                let by_id = wanted.len() >= 12 && view.id.as_str().starts_with(wanted.as_str());
                view.name == *wanted || by_id || names::hostname(name, slot(view)) == *wanted
            })
    }

    fn options(&self, lines: &Lines) -> LogOptions {
        let since = self.args.since.map(|since| since.at(System.now()));
        LogOptions {
            follow: self.args.follow,
            tail: lines.last().is_none().then_some(self.args.tail).flatten(),
            since: lines.last().or(since),
            // They are cut off again; the last one tells where to go on.
            timestamps: true,
        }
    }

    /// One instance after the other.
    async fn each(&mut self, ids: &[ContainerId]) -> Result<(), Failure> {
        for id in ids {
            let mut lines = Lines::default();
            let chunks = self.engine.logs(id, &self.options(&lines)).await;
            let mut chunks = chunks.map_err(connect::engine_failure)?;
            while let Some(chunk) = chunks.next().await {
                let done = lines.take(&chunk.map_err(connect::engine_failure)?);
                if !self.print(id, &done)? {
                    return Ok(());
                }
            }
            if !self.print(id, &lines.finish())? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// All at once, with those that come.
    async fn follow(
        &mut self,
        ids: &[ContainerId],
        mut events: futures::stream::BoxStream<'static, engine::Result<engine::Event>>,
    ) -> Result<(), Failure> {
        // Bounded, so that a reader who is slower than the instances slows the engine down and fills no memory.
        let (to, mut news) = mpsc::channel(64);
        for id in ids {
            self.start(id, Lines::default(), &to);
        }
        loop {
            tokio::select! {
                // Lines first: an instance that has gone was heard out before.
                biased;
                Some(news) = news.recv() => if !self.hear(news, &to)? { return Ok(()) },
                event = events.next() => match event {
                    Some(Ok(event)) => if let Some(id) = event.container && event.action == "start" {
                        self.started(&id, &to).await?;
                    },
                    Some(Err(error)) => return Err(connect::engine_failure(error)),
                    None => return Err(anyhow!("the engine closed its stream of events; run this again when it is back").into()),
                },
            }
        }
    }

    /// Whether to go on.
    fn hear(&mut self, news: News, to: &mpsc::Sender<News>) -> Result<bool, Failure> {
        match news {
            News::Lines(id, lines) => self.print(&id, &lines),
            News::Ended(id, mut lines, outcome) => {
                self.open.remove(&id);
                let go_on = self.print(&id, &lines.finish())?;
                match outcome {
                    Err(error) if error.kind != Kind::NotFound => {
                        eprintln!("{}: {error}", self.names.get(&id).map_or("", String::as_str));
                    }
                    Ok(()) | Err(_) => {}
                }
                if self.again.remove(&id) {
                    lines.reopen();
                    self.start(&id, lines, to);
                } else {
                    self.closed.insert(id, lines);
                }
                Ok(go_on)
            }
        }
    }

    async fn started(&mut self, id: &ContainerId, to: &mpsc::Sender<News>) -> Result<(), Failure> {
        if self.open.contains(id) {
            // Its stream has ended or is about to; the news of that is on its way.
            self.again.insert(id.clone());
            return Ok(());
        }
        let lines = match self.closed.remove(id) {
            Some(mut lines) => {
                lines.reopen();
                lines
            }
            None => {
                let view = match self.engine.inspect_container(id.as_str()).await {
                    Ok(view) => view,
                    Err(error) if error.kind == Kind::NotFound => return Ok(()),
                    Err(error) => return Err(connect::engine_failure(error)),
                };
                if !self.is_meant(&view) {
                    return Ok(());
                }
                self.prefix |= !self.names.is_empty();
                self.names.insert(id.clone(), view.name);
                Lines::default()
            }
        };
        self.start(id, lines, to);
        Ok(())
    }

    fn start(&mut self, id: &ContainerId, mut lines: Lines, to: &mpsc::Sender<News>) {
        self.open.insert(id.clone());
        let (engine, options, id, to) = (self.engine.clone(), self.options(&lines), id.clone(), to.clone());
        tokio::spawn(async move {
            let outcome = async {
                let mut chunks = engine.logs(&id, &options).await?;
                while let Some(chunk) = chunks.next().await {
                    let done = lines.take(&chunk?);
                    if !done.is_empty() && to.send(News::Lines(id.clone(), done)).await.is_err() {
                        break;
                    }
                }
                Ok(())
            }
            .await;
            // Nobody listens any more when this fails.
            let _ = to.send(News::Ended(id, lines, outcome)).await;
        });
    }

    /// Writes lines; false when nobody reads them any more.
    fn print(&self, id: &ContainerId, lines: &[Line]) -> Result<bool, Failure> {
        let name = self.names.get(id).map_or("", String::as_str);
        for line in lines {
            let text = layout(line, self.prefix.then_some(name), self.args.timestamps);
            let written = match line.stream {
                Stream::Out => write(&mut io::stdout().lock(), &text),
                Stream::Err => write(&mut io::stderr().lock(), &text),
            };
            match written {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

fn write(to: &mut impl Write, text: &[u8]) -> io::Result<()> {
    to.write_all(text).and_then(|()| to.flush())
}

fn slot(view: &ContainerView) -> u32 {
    view.label(label::REPLICA).parse().unwrap_or(u32::MAX)
}

/// A line as it is printed. Under a prefix every line has an end, so that the next prefix begins a line.
fn layout(line: &Line, prefix: Option<&str>, timestamps: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.text.len() + 64);
    if let Some(name) = prefix {
        out.extend_from_slice(format!("[{name}] ").as_bytes());
    }
    if let Some(stamp) = line.stamp.as_ref().filter(|_| timestamps) {
        out.extend_from_slice(format!("{stamp} ").as_bytes());
    }
    out.extend_from_slice(&line.text);
    if prefix.is_some() && !line.text.ends_with(b"\n") {
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefixed_line_always_ends() {
        let line = Line {
            stream: Stream::Out,
            stamp: Some("T".into()),
            text: b"x".to_vec(),
        };
        assert_eq!(layout(&line, Some("web"), true), b"[web] T x\n");
        assert_eq!(layout(&line, None, false), b"x");
    }
}

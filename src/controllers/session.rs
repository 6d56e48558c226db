//! One session with an agent: a command in its container that passes lines both ways. Says what [`super::agents`] has to
//! say and passes on what it hears, until either side ends. A session that does not begin with the right greeting, or that
//! takes no line in time, is given up.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::agents::Agents;
use crate::{
    agent::protocol::{LONGEST_LINE, Order, VERSION, Word},
    engine::{self, Engine, LogChunk},
    state::container::ContainerId,
};

/// How long an agent may take to greet, or to take a line.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The engine could not open it, or it broke.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The agent is gone, or its relay.
    #[error("the agent closed it{0}")]
    Closed(String),
    /// It did not answer or read in time.
    #[error("the agent took longer than {} s", PATIENCE.as_secs())]
    Silent,
    /// It says what nobody understands.
    #[error("the agent said what is no word of version {VERSION}: {0}")]
    Nonsense(String),
}

impl Ended {
    /// The word in metrics.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Engine(_) => "engine",
            Self::Closed(_) => "closed",
            Self::Silent => "silent",
            Self::Nonsense(_) => "nonsense",
        }
    }
}

/// Opens a session with the agent in this container and keeps it; `Ok` when there is nothing more to say.
pub(super) async fn open<E: Engine>(
    agents: &Agents<E>,
    namespace: &str,
    container: &ContainerId,
) -> Result<(), Ended> {
    let command = ["/supercargo", "agent", "session"].map(str::to_owned);
    let session = agents.engine().attach(container, &command).await?;
    let mut output = session.output;
    let mut input = session.input;
    let mut lines = Lines::default();
    let greeting = async {
        loop {
            if let Some(word) = lines.next()? {
                return Ok::<_, Ended>(word);
            }
            lines.read(output.next().await)?;
        }
    };
    match tokio::time::timeout(PATIENCE, greeting).await {
        Ok(word) => match word? {
            Word::Hello { version: VERSION, .. } => {}
            other => return Err(Ended::Nonsense(format!("{other:?}"))),
        },
        Err(_) => return Err(Ended::Silent),
    }
    let _greeted = agents.greeted();
    let Some(mut changes) = agents.changes(namespace) else {
        return Ok(());
    };
    let mut said = BTreeMap::new();
    loop {
        changes.mark_unchanged();
        say(&mut input, &agents.orders(namespace, &mut said)).await?;
        if said.is_empty() {
            return Ok(());
        }
        loop {
            while let Some(word) = lines.next()? {
                agents.hear(namespace, word);
            }
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    break;
                }
                chunk = output.next() => lines.read(chunk)?,
            }
        }
    }
}

async fn say(input: &mut std::pin::Pin<Box<dyn AsyncWrite + Send>>, orders: &[Order]) -> Result<(), Ended> {
    for order in orders {
        let mut line = serde_json::to_vec(order).map_err(|e| Ended::Nonsense(e.to_string()))?;
        line.push(b'\n');
        let written = async {
            input.write_all(&line).await?;
            input.flush().await
        };
        match tokio::time::timeout(PATIENCE, written).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Ended::Closed(format!(": {error}"))),
            Err(_) => return Err(Ended::Silent),
        }
    }
    Ok(())
}

/// What has come and is not a whole line yet.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    /// The last of what the relay wrote beside the words: why it ended.
    complaint: String,
}

impl Lines {
    fn read(&mut self, chunk: Option<engine::Result<LogChunk>>) -> Result<(), Ended> {
        match chunk {
            Some(Ok(LogChunk::Stdout(bytes))) => self.buffer.extend_from_slice(&bytes),
            Some(Ok(LogChunk::Stderr(bytes))) => {
                self.complaint = format!(": {}", String::from_utf8_lossy(&bytes).trim());
            }
            Some(Err(error)) => return Err(error.into()),
            None => return Err(Ended::Closed(self.complaint.clone())),
        }
        if self.buffer.len() > LONGEST_LINE {
            return Err(Ended::Nonsense("a line without an end".to_owned()));
        }
        Ok(())
    }

    /// The next whole line, as a word.
    fn next(&mut self) -> Result<Option<Word>, Ended> {
        let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        let word = serde_json::from_slice(&line).map_err(|e| Ended::Nonsense(e.to_string()))?;
        Ok(Some(word))
    }
}

//! One session: reads orders and writes words on a stream, a line each, until either side ends it. A peer that does not
//! read is waited for by nobody else, and closed once it has taken nothing for a while; a line that is no order changes
//! nothing. Owns the framing; what an order does is `desk`'s. Called by [`super::serve`].

use std::{io, sync::Arc, time::Duration};

use serde_json::error::Category;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    time::timeout,
};

use super::{
    desk::{Desk, Seat},
    protocol::{LONGEST_LINE, Order},
};

/// How long a peer may take nothing while there is something for it.
const STUCK: Duration = Duration::from_secs(30);
/// What is read at a time, and kept between lines.
const CHUNK: usize = 8 << 10;

/// Gives the place back, however the session ends.
struct Closing<'a>(&'a Desk, u64);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close(self.1);
    }
}

/// Serves one session.
pub(super) async fn serve<S>(desk: Arc<Desk>, stream: S)
where
    S: AsyncRead + AsyncWrite,
{
    let (reader, writer) = tokio::io::split(stream);
    let seat = desk.open();
    let _closing = Closing(&desk, seat.id);
    let ended = tokio::select! {
        read = listen(&desk, &seat, BufReader::with_capacity(CHUNK, reader)) => read,
        wrote = speak(&desk, &seat, writer) => wrote,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a session ended");
    }
}

async fn speak(desk: &Desk, seat: &Seat, mut writer: impl AsyncWrite + Unpin) -> io::Result<()> {
    while let Some(words) = desk.take(seat.id) {
        if words.is_empty() {
            seat.filled.notified().await;
            continue;
        }
        let mut lines = Vec::new();
        for word in &words {
            serde_json::to_writer(&mut lines, word)?;
            lines.push(b'\n');
        }
        timeout(STUCK, writer.write_all(&lines)).await??;
    }
    Ok(())
}

async fn listen(desk: &Arc<Desk>, seat: &Seat, mut reader: impl AsyncBufRead + Unpin) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        line.shrink_to(CHUNK);
        if !read_line(&mut reader, &mut line).await? {
            return Ok(());
        }
        match read_order(&line) {
            Ok(Some(order)) => desk.order(seat.id, order),
            Ok(None) => {}
            Err(message) => desk.refuse(seat.id, message),
        }
        while desk.crowded(seat.id).ok_or(io::ErrorKind::NotConnected)? {
            seat.emptied.notified().await;
        }
    }
}

/// Reads up to the end of a line; false at the end of the stream, where half a line is none.
async fn read_line(reader: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let chunk = reader.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(false);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(chunk.len(), |end| end + 1);
        line.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
        reader.consume(taken);
        if line.len() > LONGEST_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
        }
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// Reads one line; none if it is blank. A message repeats nothing of the line: headers of probes may hold a secret.
///
/// # Errors
/// What is wrong with it.
pub fn read_order(line: &[u8]) -> Result<Option<Order>, String> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    serde_json::from_slice(line)
        .map(Some)
        .map_err(|error| match error.classify() {
            Category::Data => "a line that is not one of the orders".to_owned(),
            Category::Syntax | Category::Eof | Category::Io => {
                format!("a line that is no JSON from its column {} on", error.column())
            }
        })
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;

//! A body in chunks: pieces are put together until a chunk is worth sending. Owns the size of a chunk and nothing of what
//! is in it. Called by `list` for what may be large.

use std::convert::Infallible;

use bytes::{Bytes, BytesMut};
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use super::super::response::Body;

/// A chunk is sent when it has this many bytes.
const CHUNK: usize = 64 * 1024;

/// The body of these pieces, made as they are sent.
pub(super) fn body(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Body {
    StreamBody::new(stream::iter(
        Chunks { pieces }.map(|chunk| Ok::<_, Infallible>(Frame::data(chunk))),
    ))
    .boxed_unsync()
}

/// All pieces at once, when they come to no more than a chunk; otherwise those that were made, and the others.
pub(super) fn small<I: Iterator<Item = Bytes>>(mut pieces: I) -> Result<Bytes, (Bytes, I)> {
    let mut all = BytesMut::new();
    while let Some(piece) = pieces.next() {
        all.extend_from_slice(&piece);
        if all.len() > CHUNK {
            return Err((all.freeze(), pieces));
        }
    }
    Ok(all.freeze())
}

struct Chunks<I> {
    pieces: I,
}

impl<I: Iterator<Item = Bytes>> Iterator for Chunks<I> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let first = self.pieces.next()?;
        if first.len() >= CHUNK {
            return Some(first);
        }
        let mut chunk = BytesMut::with_capacity(CHUNK + CHUNK / 4);
        chunk.extend_from_slice(&first);
        while chunk.len() < CHUNK {
            match self.pieces.next() {
                Some(piece) => chunk.extend_from_slice(&piece),
                None => break,
            }
        }
        Some(chunk.freeze())
    }
}

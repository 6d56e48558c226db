//! Answers that do not end: splits a body into JSON lines (events, pull progress) or into the frames of a log or a command.
//! Knows the framing only. Called by `daemon`, `images`, `containers` and `commands`.

use bytes::{Buf, Bytes, BytesMut};
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::engine::LogChunk;

/// No line and no frame of the engine is longer; a peer that sends one is not an engine.
const LONGEST: usize = 64 << 20;

type Piece<T> = Result<T, String>;

/// Bytes as they come, from an answer's body or from a connection that was upgraded.
type Source = BoxStream<'static, Piece<Bytes>>;

struct Reader {
    body: Source,
    buffer: BytesMut,
    ended: bool,
}

/// The lines of a body, without their ends; empty ones are left out.
pub(super) fn lines(response: Response<Incoming>) -> impl Stream<Item = Piece<Bytes>> + Send {
    pieces(body(response), |buffer, ended| {
        loop {
            let end = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(end) => end,
                None if ended && !buffer.is_empty() => buffer.len(),
                None => return Ok(None),
            };
            let line = buffer.split_to(end).freeze();
            buffer.advance(usize::from(!buffer.is_empty()));
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    })
}

/// The pieces of a container's log: each with an eight byte header (stream, three zeros, big endian length), unless the
/// container has a terminal, whose log is raw.
pub(super) fn log_chunks(response: Response<Incoming>) -> impl Stream<Item = Piece<LogChunk>> + Send {
    frames(body(response))
}

/// The same of what is read from a connection.
pub(super) fn read_chunks<R>(reader: R) -> impl Stream<Item = Piece<LogChunk>> + Send
where
    R: AsyncRead + Send + Unpin + 'static,
{
    let source = stream::unfold(reader, |mut reader| async move {
        let mut buffer = BytesMut::with_capacity(8 << 10);
        match reader.read_buf(&mut buffer).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(buffer.freeze()), reader)),
            Err(error) => Some((Err(error.to_string()), reader)),
        }
    });
    frames(source.boxed())
}

fn body(response: Response<Incoming>) -> Source {
    let data = response.into_body().into_data_stream();
    data.map(|piece| piece.map_err(|error| error.to_string())).boxed()
}

fn frames(source: Source) -> impl Stream<Item = Piece<LogChunk>> + Send {
    let mut raw = false;
    pieces(source, move |buffer, ended| {
        raw |= buffer.first().is_some_and(|stream| *stream > 2);
        if raw && !buffer.is_empty() {
            return Ok(Some(LogChunk::Stdout(buffer.split().freeze())));
        }
        let Some((header, rest)) = buffer.split_first_chunk::<8>() else {
            return Ok(None);
        };
        let [stream, _, _, _, length @ ..] = *header;
        let length = u32::from_be_bytes(length) as usize;
        if length > LONGEST {
            return Err("a log frame is too long".to_owned());
        }
        if rest.len() < length {
            return if ended {
                Err("the log ended within a frame".to_owned())
            } else {
                Ok(None)
            };
        }
        buffer.advance(8);
        let bytes = buffer.split_to(length).freeze();
        Ok(Some(if stream == 2 {
            LogChunk::Stderr(bytes)
        } else {
            LogChunk::Stdout(bytes)
        }))
    })
}

/// Reads the body and gives out what `take` cuts off the buffer's front, until it has nothing more at the end.
fn pieces<T: Send>(
    source: Source,
    take: impl FnMut(&mut BytesMut, bool) -> Piece<Option<T>> + Send,
) -> impl Stream<Item = Piece<T>> + Send {
    let reader = Reader {
        body: source,
        buffer: BytesMut::new(),
        ended: false,
    };
    stream::unfold(Some((reader, take)), |state| async move {
        let (mut reader, mut take) = state?;
        loop {
            match take(&mut reader.buffer, reader.ended) {
                Ok(Some(piece)) => return Some((Ok(piece), Some((reader, take)))),
                Ok(None) if reader.ended => return None,
                Ok(None) if reader.buffer.len() > LONGEST => {
                    return Some((Err("a line is too long".to_owned()), None));
                }
                Ok(None) => {}
                Err(message) => return Some((Err(message), None)),
            }
            match reader.body.next().await {
                Some(Ok(data)) => reader.buffer.extend_from_slice(&data),
                Some(Err(error)) => return Some((Err(error), None)),
                None => reader.ended = true,
            }
        }
    })
}

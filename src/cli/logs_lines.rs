//! Owns turning pieces of a log into whole lines: cuts off the engine's time stamps, remembers the last one so that a
//! stream that is opened again repeats nothing, and puts lines together per stream. Pure; knows no engine and no output.
//! Called by `logs`.

use std::mem;

use jiff::Timestamp;

use crate::engine::LogChunk;

/// Longer lines are given out in pieces: an endless one must not fill the memory.
const LONGEST: usize = 1 << 20;
/// Characters of the engine's stamp, `2026-01-02T03:04:05.000000006Z`.
const STAMP: usize = 30;

/// Which of its two streams a container wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A line to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it was written to.
    pub(super) stream: Stream,
    /// When, in the engine's words.
    pub(super) stamp: Option<String>,
    /// The line with its end, which only the last one of a stream may lack.
    pub(super) text: Vec<u8>,
}

/// The beginning of a line whose end has not come.
#[derive(Debug, Default)]
struct Half {
    stamp: Option<String>,
    text: Vec<u8>,
}

/// Puts the lines of one container together.
#[derive(Debug, Default)]
pub(super) struct Lines {
    out: Half,
    err: Half,
    last: Option<Timestamp>,
    skip_until: Option<Timestamp>,
}

impl Lines {
    /// The time of the last line that was seen.
    pub(super) fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// The stream is opened again from the last line's time on; what was seen is left out.
    pub(super) fn reopen(&mut self) {
        self.skip_until = self.last;
    }

    /// Takes a piece; gives out the lines that it completes.
    pub(super) fn take(&mut self, chunk: &LogChunk) -> Vec<Line> {
        let (stream, bytes) = match chunk {
            LogChunk::Stdout(bytes) => (Stream::Out, bytes),
            LogChunk::Stderr(bytes) => (Stream::Err, bytes),
        };
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (stamp, at, text) = unstamp(piece);
            if let (Some(at), Some(seen)) = (at, self.skip_until)
                && at <= seen
            {
                continue;
            }
            self.last = self.last.max(at);
            let half = match stream {
                Stream::Out => &mut self.out,
                Stream::Err => &mut self.err,
            };
            half.stamp = half.stamp.take().or(stamp);
            half.text.extend_from_slice(text);
            if half.text.ends_with(b"\n") || half.text.len() >= LONGEST {
                lines.push(mem::take(half).line(stream));
            }
        }
        lines
    }

    /// The stream has ended: what has no end is given out as it is.
    pub(super) fn finish(&mut self) -> Vec<Line> {
        let halves = [(Stream::Out, &mut self.out), (Stream::Err, &mut self.err)];
        let begun = halves.into_iter().filter(|(_, half)| !half.text.is_empty());
        begun.map(|(stream, half)| mem::take(half).line(stream)).collect()
    }
}

impl Half {
    fn line(self, stream: Stream) -> Line {
        Line {
            stream,
            stamp: self.stamp,
            text: self.text,
        }
    }
}

/// Takes the engine's stamp off; a piece without one is left as it is.
fn unstamp(piece: &[u8]) -> (Option<String>, Option<Timestamp>, &[u8]) {
    let parse = || {
        let (stamp, rest) = piece.split_at_checked(STAMP)?;
        let stamp = std::str::from_utf8(stamp).ok()?;
        let at: Timestamp = stamp.parse().ok()?;
        Some((stamp.to_owned(), at, rest.strip_prefix(b" ")?))
    };
    match parse() {
        Some((stamp, at, rest)) => (Some(stamp), Some(at), rest),
        None => (None, None, piece),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const FIRST: &str = "2026-01-02T03:04:05.000000006Z";
    const SECOND: &str = "2026-01-02T03:04:05.000000007Z";

    fn out(text: &str) -> LogChunk {
        LogChunk::Stdout(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn texts(lines: &[Line]) -> Vec<String> {
        lines
            .iter()
            .map(|l| String::from_utf8_lossy(&l.text).into_owned())
            .collect()
    }

    #[test]
    fn stamps_are_cut_off_and_kept() {
        let mut lines = Lines::default();
        let got = lines.take(&out(&format!("{FIRST} hello\n")));
        assert_eq!(texts(&got), ["hello\n"]);
        assert_eq!(got[0].stamp.as_deref(), Some(FIRST));
        assert_eq!(lines.last(), FIRST.parse().ok());
    }

    #[test]
    fn halves_are_put_together_and_streams_are_kept_apart() {
        let mut lines = Lines::default();
        assert!(lines.take(&out(&format!("{FIRST} a"))).is_empty());
        let other = LogChunk::Stderr(Bytes::from(format!("{FIRST} e\n")));
        assert_eq!(texts(&lines.take(&other)), ["e\n"]);
        assert_eq!(texts(&lines.take(&out(&format!("{SECOND} b\n")))), ["ab\n"]);
        assert!(lines.take(&out(&format!("{SECOND} end"))).is_empty());
        assert_eq!(texts(&lines.finish()), ["end"]);
        assert!(lines.finish().is_empty());
    }

    #[test]
    fn a_stream_that_is_opened_again_repeats_nothing() {
        let mut lines = Lines::default();
        lines.take(&out(&format!("{FIRST} a\n")));
        lines.reopen();
        let again = lines.take(&out(&format!("{FIRST} a\n{SECOND} b\n")));
        assert_eq!(texts(&again), ["b\n"]);
    }

    #[test]
    fn an_applications_own_stamp_and_bytes_that_are_no_text_survive() {
        let mut lines = Lines::default();
        let got = lines.take(&out(&format!("{FIRST} {SECOND} x\n")));
        assert_eq!(texts(&got), [format!("{SECOND} x\n")]);
        let raw = LogChunk::Stdout(Bytes::from_static(
            b"\xff\xfe no stamp here, and longer than one\n",
        ));
        assert_eq!(
            lines.take(&raw)[0].text,
            b"\xff\xfe no stamp here, and longer than one\n"
        );
    }

    #[test]
    fn an_endless_line_is_given_out_in_pieces() {
        let mut lines = Lines::default();
        let piece = out(&"x".repeat(LONGEST));
        assert_eq!(lines.take(&piece).len(), 1);
        assert!(lines.finish().is_empty());
    }
}

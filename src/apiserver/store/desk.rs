//! The way to the writer. For a disk it is a queue to a thread, because a commit blocks and many share one; for memory it
//! is a lock, because nothing blocks there: the write is done when the call returns, whatever time does meanwhile.
//! Owns both ways and their end, which is that of the last clone. Decides nothing about a write. Called by `Store`.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use tokio::sync::oneshot;

use super::writer::{End, Message, Write, Writer};

/// Where writes are handed in. Cloning shares the writer behind it.
#[derive(Clone)]
pub(super) enum Desk {
    /// A thread takes them.
    Thread(mpsc::Sender<Message>),
    /// Whoever hands one in does it. `None` once it is closed.
    Here(Arc<Mutex<Option<Open>>>),
}

/// A writer that is not closed. The end comes after the writer, and tells everybody.
pub(super) struct Open {
    writer: Writer,
    _end: End,
}

impl Desk {
    /// A thread of its own.
    ///
    /// # Errors
    /// The machine has none.
    pub(super) fn thread(writer: Writer) -> io::Result<Self> {
        let (queue, messages) = mpsc::channel();
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(|| writer.run(messages))?;
        Ok(Self::Thread(queue))
    }

    /// No thread.
    pub(super) fn here(writer: Writer) -> Self {
        let end = End(writer.shared.clone());
        Self::Here(Arc::new(Mutex::new(Some(Open { writer, _end: end }))))
    }

    /// Hands a write in. It is answered through itself; dropped unanswered when the writer has ended.
    pub(super) fn write(&self, write: Write) {
        match self {
            Self::Thread(queue) => _ = queue.send(Message::Write(write)),
            Self::Here(open) => {
                let mut open = match open.lock() {
                    Ok(open) => open,
                    // A panic in the writer ends it, as it ends the thread.
                    Err(panicked) => return drop(panicked.into_inner().take()),
                };
                if let Some(open) = &mut *open {
                    open.writer.write(vec![write]);
                }
            }
        }
    }

    /// Ends the writer after what came before; returns when it has ended.
    pub(super) async fn close(&self) {
        match self {
            Self::Thread(queue) => {
                let (closed, wait) = oneshot::channel();
                _ = queue.send(Message::Close(closed));
                // An error: it has ended before.
                _ = wait.await;
            }
            Self::Here(open) => {
                let open = open.lock().unwrap_or_else(PoisonError::into_inner).take();
                drop(open);
            }
        }
    }
}

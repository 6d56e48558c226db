//! Bodies: reading a request's up to its limit, and what is put around the answer of a watch, so that it ends when the
//! server stops, is counted while it lasts, and a panic in it ends only itself. Decides nothing. Called by `handler`.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::watch;

use crate::{
    apiserver::{
        response::Body,
        status::{Result, Status},
    },
    telemetry::metrics::Metrics,
};

/// The largest body, as `k8s.io/apiserver` has it.
pub const LIMIT: usize = 3 * 1024 * 1024;

fn too_large() -> Status {
    Status::too_large(format!("Request entity too large: limit is {LIMIT}"))
}

/// Reads a body.
///
/// # Errors
/// 413 beyond [`LIMIT`], 400 when it breaks off.
pub async fn read<B>(headers: &HeaderMap, body: B) -> Result<Bytes>
where
    B: HttpBody<Data = Bytes>,
{
    let told = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok())
        .unwrap_or(0);
    let mut body = pin!(body);
    if told > LIMIT {
        pass_over(body).await;
        return Err(too_large());
    }
    let (mut first, mut more) = (Bytes::new(), BytesMut::new());
    let mut over = false;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Status::bad_request("the body of the request broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + more.len() + data.len() > LIMIT {
            over = true;
            break;
        }
        // Most bodies come in one piece, which is then not copied.
        if first.is_empty() && more.is_empty() {
            first = data;
        } else {
            if more.is_empty() {
                more.reserve(told.max(first.len() + data.len()));
                more.extend_from_slice(&std::mem::take(&mut first));
            }
            more.extend_from_slice(&data);
        }
    }
    if over {
        pass_over(body).await;
        return Err(too_large());
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

/// Reads on and keeps nothing, so that a client that sends before it reads comes to read why it is refused. A body that
/// is far too large is broken off.
async fn pass_over<B: HttpBody<Data = Bytes>>(mut body: Pin<&mut B>) {
    let mut left = 4 * LIMIT;
    while let Some(frame) = body.frame().await {
        let size = frame.map(|frame| frame.data_ref().map_or(0, Bytes::len));
        match size.ok().and_then(|size| left.checked_sub(size)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// The body of a watch.
struct Watching {
    inner: Body,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    ended: bool,
    metrics: Metrics,
}

/// Puts around the body of a watch what this file's header says.
#[must_use]
pub fn watching(inner: Body, mut stop: watch::Receiver<bool>, metrics: Metrics) -> Body {
    metrics.apiserver_watchers(1);
    let stop = Box::pin(async move {
        let _gone_is_stopped = stop.wait_for(|stop| *stop).await;
    });
    let watching = Watching {
        inner,
        stop,
        ended: false,
        metrics,
    };
    watching.boxed_unsync()
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.metrics.apiserver_watchers(-1);
    }
}

impl HttpBody for Watching {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        if self.ended || self.stop.as_mut().poll(cx).is_ready() {
            self.ended = true;
            return Poll::Ready(None);
        }
        let inner = Pin::new(&mut self.inner);
        catch_unwind(AssertUnwindSafe(|| inner.poll_frame(cx))).unwrap_or_else(|_| {
            tracing::error!("a watch panicked and was ended; its client starts another");
            self.ended = true;
            Poll::Ready(None)
        })
    }
}

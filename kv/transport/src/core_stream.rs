//! A stream between two cores: messages both ways, or bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::halves::{ReceiveHalf, SendHalf};
use crate::{MessageReceiver, MessageSender};

/// See the module. Either half can be used and dropped alone.
#[derive(Debug)]
pub struct CoreStream {
    /// To the other core.
    pub sender: MessageSender,
    /// From the other core.
    pub receiver: MessageReceiver,
}

impl CoreStream {
    pub(crate) fn new(send: SendHalf, receive: ReceiveHalf) -> Self {
        Self { sender: MessageSender::new(send), receiver: MessageReceiver::new(receive) }
    }

    /// The same stream as bytes, for a protocol that has its own framing. Begins after the last message that
    /// [`MessageReceiver::next`] gave, so messages may come first.
    #[must_use]
    pub fn into_io(self) -> CoreIo {
        let (receive, read) = self.receiver.into_parts();
        CoreIo { send: self.sender.half, receive, read }
    }
}

/// The bytes of a stream between cores. Shut down, its sending half ends well; dropped without that, it is reset.
#[derive(Debug)]
pub struct CoreIo {
    send: SendHalf,
    receive: ReceiveHalf,
    /// Read already, and not given out.
    read: Bytes,
}

impl AsyncRead for CoreIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.receive.quinn).poll_read(cx, into);
        }
        let count = self.read.len().min(into.remaining());
        into.put_slice(self.read.get(..count).expect("no more than there is"));
        self.read.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for CoreIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.send.quinn), cx, bytes)
    }

    /// What is written is on its way.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.send.finish();
        Poll::Ready(Ok(()))
    }
}

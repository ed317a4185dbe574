//! Connections that can be broken on demand.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How long to wait when the address cannot be listened on again yet.
const REBIND_PAUSE: Duration = Duration::from_millis(20);

/// A listener whose connections answer to [`Breaker`]s, and that closes its socket while nothing is to listen.
#[derive(Debug)]
pub(super) struct BreakableListener {
    /// None while nothing listens.
    listener: Option<TcpListener>,
    address: SocketAddr,
    down: watch::Receiver<bool>,
}

impl BreakableListener {
    pub(super) fn new(listener: TcpListener, down: watch::Receiver<bool>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self { listener: Some(listener), address, down })
    }

    /// The socket, as soon as there is to be one.
    async fn listening(&mut self) -> &TcpListener {
        // An error means that the coordinator is gone; then the server ends as well.
        let _ = self.down.wait_for(|down| !*down).await;
        loop {
            match self.listener.take() {
                Some(listener) => return self.listener.insert(listener),
                None => match TcpListener::bind(self.address).await {
                    Ok(listener) => self.listener = Some(listener),
                    Err(error) => {
                        tracing::warn!(address = %self.address, %error, "cannot listen again yet");
                        tokio::time::sleep(REBIND_PAUSE).await;
                    }
                },
            }
        }
    }
}

impl Listener for BreakableListener {
    type Io = BreakableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let mut down = self.down.clone();
            let listener = self.listening().await;
            let accepted = tokio::select! {
                biased;
                Ok(_) = down.wait_for(|down| *down) => None,
                accepted = accept(listener) => Some(accepted),
            };
            match accepted {
                Some((stream, address)) => {
                    // Answers are small and wanted at once; a failure only costs latency.
                    let _ = stream.set_nodelay(true);
                    return (BreakableStream { stream, breaker: Breaker::default() }, address);
                }
                None => self.listener = None,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

/// Accepts a connection. Errors are those of one connection, or pass.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection");
                tokio::time::sleep(REBIND_PAUSE).await;
            }
        }
    }
}

/// Breaks one connection: from then on nothing is written, and closing it sends a reset.
#[derive(Debug, Clone, Default)]
pub(super) struct Breaker(Arc<AtomicBool>);

impl Breaker {
    pub(super) fn pull(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_pulled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Connected<IncomingStream<'_, BreakableListener>> for Breaker {
    fn connect_info(stream: IncomingStream<'_, BreakableListener>) -> Self {
        stream.io().breaker.clone()
    }
}

#[derive(Debug)]
pub(super) struct BreakableStream {
    stream: TcpStream,
    breaker: Breaker,
}

impl BreakableStream {
    fn check(&self) -> io::Result<()> {
        if self.breaker.is_pulled() { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Drop for BreakableStream {
    fn drop(&mut self) {
        if self.breaker.is_pulled() {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for BreakableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for BreakableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

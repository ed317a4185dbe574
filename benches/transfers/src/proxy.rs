//! A proxy that resets connections which carry much.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// After how many bytes of one connection, in one direction, it is reset: one entry for one reset.
#[derive(Clone, Default)]
pub struct Cuts(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    number: u64,
    cuts: VecDeque<u64>,
}

/// What one direction of a connection carried since the current plan was made.
#[derive(Default)]
struct Carried {
    plan: u64,
    bytes: u64,
}

impl Cuts {
    /// Makes a new plan. How many resets of the old one did not happen.
    pub fn plan(&self, cuts: impl IntoIterator<Item = u64>) -> usize {
        let mut plan = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = plan.cuts.len();
        *plan = Plan { number: plan.number + 1, cuts: cuts.into_iter().collect() };
        left
    }

    /// Whether a connection is reset that carries this now.
    fn is_due(&self, carried: &mut Carried, bytes: u64) -> bool {
        let mut plan = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if carried.plan != plan.number {
            *carried = Carried { plan: plan.number, bytes: 0 };
        }
        carried.bytes += bytes;
        let due = plan.cuts.front().is_some_and(|cut| carried.bytes >= *cut);
        if due {
            plan.cuts.pop_front();
        }
        due
    }
}

/// Forwards to `target` until the process ends.
pub async fn start(target: SocketAddr, cuts: Cuts) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(forward(client, target, cuts.clone()));
        }
    });
    Ok(address)
}

async fn forward(client: TcpStream, target: SocketAddr, cuts: Cuts) -> io::Result<()> {
    let server = TcpStream::connect(target).await?;
    // Whatever ends the connection early is a reset for both sides.
    client.set_zero_linger()?;
    server.set_zero_linger()?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        up = copy(from_client, to_server, &cuts) => up,
        down = copy(from_server, to_client, &cuts) => down,
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, cuts: &Cuts) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut carried = Carried::default();
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            to.shutdown().await?;
            return Ok(());
        }
        to.write_all(&buffer[..length]).await?;
        if cuts.is_due(&mut carried, length as u64) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    }
}

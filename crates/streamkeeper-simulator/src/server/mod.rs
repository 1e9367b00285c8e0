//! The simulated service on real sockets, in real time.
//!
//! Two ports. The service's own ([`RunningSimulator::addr`]) is a plain TCP acceptor: requests are
//! read and answers written by hand, since most faults are faults of bytes that a web framework
//! exists to prevent (half a chunk, a RST, silence, a FIN that is honoured or not). The calls on
//! stream resources are an actix-web application that the acceptor calls in process; event streams
//! are written straight from the [`model`](crate::model). The control port
//! ([`RunningSimulator::control_addr`]) is an ordinary actix-web server:
//!
//! | call | does |
//! | --- | --- |
//! | `POST /fault` | a [`FaultRequest`](crate::fault::FaultRequest); answers `{"affected": [connection numbers]}` |
//! | `GET /truth` | NDJSON of [`TruthRow`]s, all versions so far |
//! | `GET /truth/summary` | [`TruthSummary`] |
//! | `GET /state` | [`StateView`] |
//! | `POST /generate` | `{"rate": events a second}`; 0 or `{"stop": true}` stops |
//! | `POST /shutdown` | stops the simulator |
//!
//! With several organizations ([`SimulatorConfig::organizations`]), `?organization=7` says which one
//! a call of the control port is about; without it, it is the first. `/shutdown` ends them all, and
//! a port that refuses connections (`"kind": "refused"`) refuses everybody's.
//!
//! Everything runs on the simulator's own thread with its own `actix_rt` system, so that it can be
//! started in any process, several at once, beside other runtimes. The service's clock starts where
//! [`Clock`] says and runs at real speed.
//!
//! ```
//! use std::io::{Read as _, Write as _};
//! use streamkeeper_simulator::server::{Simulator, SimulatorConfig};
//!
//! let simulator = Simulator::start(SimulatorConfig::default())?;
//! let mut socket = std::net::TcpStream::connect(simulator.addr())?;
//! let request = "GET /streams?token=simulated HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
//! socket.write_all(request.as_bytes())?;
//! let mut answer = String::new();
//! socket.read_to_string(&mut answer)?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK"));
//! assert!(answer.contains(r#""streams":[]"#));
//! simulator.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod body;
mod config;
mod control;
mod event_stream;
mod front;
mod http;
mod journal;
mod organizations;
mod rest;
mod state;
#[cfg(test)]
mod tests;
mod wire;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

pub use self::{
    config::{Answers, Clock, ErrorForm, ListForm, SimulatorConfig, Token},
    control::TruthSummary,
    journal::{CallEntry, ClosedBy, ConnectionEntry, ENTRIES_MAX},
    state::{FaultError, StateView, StreamView},
};
use self::{organizations::Organizations, state::Organization};
use crate::{
    fault::Fault,
    model::{Millis, What},
    truth::TruthRow,
};

/// Starts simulators.
#[derive(Clone, Copy, Debug)]
pub struct Simulator;

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or may not be listened on.
    #[error("failed to listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The thread could not be started.
    #[error("failed to start the simulator's thread")]
    Thread(#[source] io::Error),
}

impl Simulator {
    /// Listens on both ports and serves them on a thread of its own.
    ///
    /// # Errors
    /// An address cannot be listened on, or there is no thread to be had.
    pub fn start(config: SimulatorConfig) -> Result<RunningSimulator, StartError> {
        let (listener, addr) = listen(config.addr)?;
        let (control_listener, control_addr) = listen(config.control_addr)?;
        let organizations = Organizations::new(config);
        let inner = Arc::clone(&organizations);
        let serve = move || {
            actix_rt::System::new().block_on(serve(inner, listener, addr, control_listener))
        };
        let thread = thread::Builder::new().name("simulator".to_owned()).spawn(serve);
        let thread = Some(thread.map_err(StartError::Thread)?);
        Ok(RunningSimulator { addr, control_addr, organizations, thread })
    }
}

/// A port for whoever asks.
pub(crate) fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let listen = || {
        let listener = TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    };
    listen().map_err(|source| StartError::Listen { addr, source })
}

async fn serve(
    organizations: Arc<Organizations>,
    listener: TcpListener,
    addr: SocketAddr,
    control_listener: TcpListener,
) -> io::Result<()> {
    let control = control::server(Arc::clone(&organizations), control_listener)?;
    let handle = control.handle();
    actix_rt::spawn(control);
    actix_rt::spawn(keep_house(Arc::clone(&organizations)));
    front::listen(organizations, tokio::net::TcpListener::from_std(listener)?, addr).await;
    handle.stop(false).await;
    Ok(())
}

/// Does what has to be done now and then.
async fn keep_house(organizations: Arc<Organizations>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    loop {
        ticks.tick().await;
        organizations.all().for_each(|organization| organization.lock().tick());
    }
}

/// A simulator that serves. It stops when this is dropped. Of several organizations, what is said
/// here about events, faults and state is the first one's; the control port reaches the others.
#[derive(Debug)]
pub struct RunningSimulator {
    addr: SocketAddr,
    control_addr: SocketAddr,
    organizations: Arc<Organizations>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl RunningSimulator {
    /// Where the service listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where the control port listens.
    pub fn control_addr(&self) -> SocketAddr {
        self.control_addr
    }

    /// The service's base URL, without the token.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The control port's base URL.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control_addr)
    }

    /// Does a fault, as `POST /fault`. Gives the numbers of the connections it is done to.
    ///
    /// # Errors
    /// The fault names a stream that does not exist, or the service refuses it.
    pub fn fault(&self, fault: Fault) -> Result<Vec<u64>, FaultError> {
        self.organizations.fault(self.first(), fault)
    }

    /// What goes on, as `GET /state`.
    pub fn state(&self) -> StateView {
        self.first().lock().view()
    }

    /// All versions so far, as `GET /truth`. Takes memory and time in proportion.
    pub fn truth(&self) -> Vec<TruthRow> {
        self.first().truth(0, usize::MAX)
    }

    /// How many of what there are so far, as `GET /truth/summary`.
    pub fn truth_summary(&self) -> TruthSummary {
        TruthSummary::of(self.first())
    }

    /// The generator's rate from now on, as `POST /generate`; 0 stops it.
    pub fn set_rate(&self, events_per_hour: u64) {
        let mut state = self.first().lock();
        let now = state.now();
        state.model.set_rate(events_per_hour, now);
    }

    /// Publishes an event beside the generator (see [`Model::publish`](crate::model::Model::publish)).
    pub fn publish(&self, user: u32, what: What) -> Option<TruthRow> {
        let id = {
            let mut state = self.first().lock();
            let now = state.now();
            state.model.publish(user, what, now)?
        };
        self.first().truth(id.index(), 1).pop()
    }

    /// The service's time, milliseconds since the epoch.
    pub fn now(&self) -> Millis {
        self.first().lock().now()
    }

    /// Stops it and waits until its ports are closed.
    pub fn stop(self) {
        drop(self);
    }

    /// Waits until it is stopped from elsewhere (`POST /shutdown`).
    pub fn wait(mut self) {
        self.join();
    }

    fn first(&self) -> &Organization {
        self.organizations.first()
    }

    fn join(&mut self) {
        join(self.thread.take());
    }
}

/// Waits for a simulator's thread, and says how it failed, if it did.
pub(crate) fn join(thread: Option<JoinHandle<io::Result<()>>>) {
    match thread.map(JoinHandle::join) {
        None | Some(Ok(Ok(()))) => {}
        Some(Ok(Err(error))) => tracing::error!(%error, "the simulator failed"),
        Some(Err(_)) => tracing::error!("the simulator panicked"),
    }
}

impl Drop for RunningSimulator {
    fn drop(&mut self) {
        self.organizations.stop.send_replace(true);
        self.join();
    }
}

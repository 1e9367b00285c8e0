//! A server of event streams that go on from a cursor, simulated: what a client of any such server can try.
//!
//! It has numbered events, a buffer that forgets, planned ends, and heartbeats that it announces. Two forms of
//! the same events:
//!
//! - `/events`, as most servers of the standard are: ids, `Last-Event-ID` or `?last_event_id=`, heartbeats
//!   (`event: heartbeat`, no id) that are due as `X-Heartbeat-Interval` and `/boot` say. Without a cursor it begins
//!   with the next event;
//! - `/api/events`, as Pilcrow is: `/api/boot` says from where to go on and when a heartbeat is due; what an
//!   event is stands in its body, a heartbeat has `event` and no `type`.
//!
//! Both send a heartbeat after three quarters of the interval that they announce. The control port is that of
//! the [other simulator](crate::server), with faults of its own ([`Fault`]).
//!
//! ```
//! use std::io::{BufRead as _, BufReader, Write as _};
//! use streamkeeper_simulator::resuming::{Config, ResumingSimulator};
//!
//! let simulator = ResumingSimulator::start(Config { events_per_hour: 360_000, ..Config::default() })?;
//! let mut socket = std::net::TcpStream::connect(simulator.addr())?;
//! socket.write_all(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n")?;
//! let lines = BufReader::new(socket).lines().map_while(Result::ok);
//! let id = lines.into_iter().find(|line| line.starts_with("id: "));
//! assert!(id.is_some_and(|id| simulator.truth().iter().any(|row| id == format!("id: {}", row.record))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod control;
mod fault;
mod model;
mod state;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use actix_web::{App, HttpServer, web::Data};

use self::state::Shared;
pub use self::{
    fault::{Fault, Kind},
    model::Forgotten,
    state::{Asked, StateView},
};
use crate::{
    server::{StartError, join, listen},
    truth::TruthRow,
};

/// What the server is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where it listens; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Where its control port listens; port 0 takes a free one.
    pub control_addr: SocketAddr,
    /// All randomness comes from it.
    pub seed: u64,
    /// How many events there are in an hour.
    pub events_per_hour: u64,
    /// So many of the last events are kept for those that were away.
    pub kept: u64,
    /// What becomes of whoever asks for more than that.
    pub forgotten: Forgotten,
    /// When a heartbeat is due, as announced.
    pub heartbeat: Duration,
    /// An answer ends after so long, as planned.
    pub max_age: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            addr: local,
            control_addr: local,
            seed: 1,
            events_per_hour: 50 * 3_600,
            kept: 100_000,
            forgotten: Forgotten::default(),
            heartbeat: Duration::from_secs(20),
            max_age: None,
        }
    }
}

/// Starts simulators.
#[derive(Clone, Copy, Debug)]
pub struct ResumingSimulator;

impl ResumingSimulator {
    /// Listens on both ports and serves them on a thread of its own.
    ///
    /// # Errors
    /// An address cannot be listened on, or there is no thread to be had.
    pub fn start(config: Config) -> Result<RunningResuming, StartError> {
        let (listener, addr) = listen(config.addr)?;
        let (control, control_addr) = listen(config.control_addr)?;
        let shared = Arc::new(Shared::new(config));
        let inner = Arc::clone(&shared);
        let serve = move || actix_rt::System::new().block_on(serve(inner, listener, control));
        let thread = thread::Builder::new().name("simulator".to_owned()).spawn(serve);
        let thread = Some(thread.map_err(StartError::Thread)?);
        Ok(RunningResuming { addr, control_addr, shared, thread })
    }
}

async fn serve(shared: Arc<Shared>, listener: TcpListener, control: TcpListener) -> io::Result<()> {
    let data = Data::from(Arc::clone(&shared));
    let app = move || App::new().app_data(data.clone()).configure(client::routes);
    let server = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(0);
    let server = server.keep_alive(Duration::from_secs(5)).listen(listener)?.run();
    let data = Data::from(Arc::clone(&shared));
    let app = move || App::new().app_data(data.clone()).configure(control::routes);
    let steering = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(1);
    let steering = steering.listen(control)?.run();
    let handles = [server.handle(), steering.handle()];
    actix_rt::spawn(server);
    actix_rt::spawn(steering);
    shared.stopped().await;
    for handle in handles {
        handle.stop(false).await;
    }
    Ok(())
}

/// A simulator that serves. It stops when this is dropped.
#[derive(Debug)]
pub struct RunningResuming {
    addr: SocketAddr,
    control_addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl RunningResuming {
    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The stream's URL, in the standard's form.
    pub fn url(&self) -> String {
        format!("http://{}/events", self.addr)
    }

    /// The stream's URL, in Pilcrow's form.
    pub fn pilcrow_url(&self) -> String {
        format!("http://{}/api/events", self.addr)
    }

    /// The control port's base URL.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control_addr)
    }

    /// Does a fault, as `POST /fault`. Gives the numbers of the connections it is done to.
    pub fn fault(&self, fault: &Fault) -> Vec<u64> {
        self.shared.lock().fault(fault)
    }

    /// What goes on, as `GET /state`.
    pub fn state(&self) -> StateView {
        self.shared.lock().view()
    }

    /// All events so far in the standard's form, as `GET /truth`. Takes memory and time in proportion.
    pub fn truth(&self) -> Vec<TruthRow> {
        let (model, newest) = {
            let state = self.shared.lock();
            (state.model.clone(), state.newest())
        };
        (1..=newest).map(|number| model.row(number)).collect()
    }

    /// The rate from now on, as `POST /generate`; 0 stops it.
    pub fn set_rate(&self, events_per_hour: u64) {
        self.shared.lock().set_rate(events_per_hour);
    }

    /// Stops it and waits until its ports are closed.
    pub fn stop(self) {
        drop(self);
    }

    /// Waits until it is stopped from elsewhere (`POST /shutdown`).
    pub fn wait(mut self) {
        self.join();
    }

    fn join(&mut self) {
        join(self.thread.take());
    }
}

impl Drop for RunningResuming {
    fn drop(&mut self) {
        self.shared.stop();
        self.join();
    }
}

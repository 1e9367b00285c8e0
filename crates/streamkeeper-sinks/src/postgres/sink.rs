//! The sink: a session that is kept between batches, and one of its own for each question.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use streamkeeper_sink::{
    BoxFuture, Envelope, Recall, Recalled, Resume, Shape, Sink, SinkConfigError, SinkError,
};
use tokio_postgres::types::ToSql;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::config::PostgresConfig;
use super::error;
use super::row::{self, Row, Time};
use super::session::{Link, Missing, Session, Target, limited};
use super::table::Mode;
use crate::tls;

/// A sink that writes into a table; see the module for what it promises.
pub struct PostgresSink {
    target: Target,
    mode: Mode,
    name: String,
    /// Between two deliveries. Whoever fails, or is dropped, does not put it back.
    session: Mutex<Option<Session>>,
    /// Of each stream.
    ledgers: Mutex<HashMap<String, String>>,
}

impl PostgresSink {
    /// Makes the sink; nothing is connected.
    ///
    /// # Errors
    ///
    /// A key that is wrong, and a `ca_file` that cannot be read.
    pub fn new(config: &PostgresConfig) -> Result<Self, SinkConfigError> {
        let (server, secured) = config.server()?;
        let tls =
            secured.then(|| tls::client_config(true, config.ca_file.as_deref())).transpose()?;
        let tls = tls.map(MakeRustlsConnect::new);
        let target = Target { server, tls, table: config.table()? };
        Ok(Self {
            target,
            mode: config.mode,
            name: config.table.clone(),
            session: Mutex::default(),
            ledgers: Mutex::default(),
        })
    }

    fn rows<'a>(&self, batch: &'a [Envelope]) -> Result<Vec<Row<'a>>, SinkError> {
        let ledgers = lock(&self.ledgers);
        let row = |(position, event): (i64, &'a Envelope)| {
            Row::of(position, event, ledgers.get(&*event.source).cloned())
        };
        let rows = (0..).zip(batch).map(row).collect::<Result<_, _>>()?;
        Ok(match self.mode {
            Mode::History => rows,
            Mode::Newest => row::newest(rows),
        })
    }

    async fn store(&self, batch: &[Envelope]) -> Result<(), SinkError> {
        if batch.is_empty() {
            return Ok(());
        }
        let rows = self.rows(batch)?;
        let kept = lock(&self.session).take().filter(Session::is_open);
        let mut session = match kept {
            Some(session) => session,
            None => limited(Session::open(&self.target, Missing::Refuse)).await?,
        };
        session.store(&rows).await.map_err(|error| error::of(&error))?;
        *lock(&self.session) = Some(session);
        Ok(())
    }

    /// In words, what a delivery would find.
    async fn look(&self) -> Result<Option<String>, SinkError> {
        let Link { client, .. } = &Link::connect(&self.target).await?;
        let is_there = self.target.table.check(client).await?;
        let row = client.query_one(SERVER, &[]).await.map_err(|error| error::of(&error))?;
        let get = |column| row.try_get::<_, String>(column).map_err(|error| error::of(&error));
        let (version, fsync) = (get(0)?, get(1)?);
        // Debian says more behind the number.
        let version = version.split(' ').next().unwrap_or_default();
        let mut found = format!("PostgreSQL {version}, table {}", self.name);
        if !is_there {
            found.push_str(", which is made at the start");
        }
        if fsync == "off" {
            found.push_str("; fsync is off: a power cut there loses what it has taken");
        }
        Ok(Some(found))
    }

    async fn tell(
        &self,
        recall: Recall<'_>,
        take: &mut (dyn FnMut(Recalled) + Send),
    ) -> Result<bool, SinkError> {
        let of = |error: tokio_postgres::Error| error::of(&error);
        let link = limited(Link::connect(&self.target)).await?;
        let since = Time::of(recall.since_us);
        let parameters: [&(dyn ToSql + Sync); 2] = [&recall.source, &since.unwrap_or(Time::FIRST)];
        let statement = self.target.table.recall();
        let rows = async { link.client.query_raw(&statement, parameters).await.map_err(of) };
        let mut rows = pin!(limited(rows).await?);
        while let Some(row) = limited(async { rows.try_next().await.map_err(of) }).await? {
            take(Recalled {
                id: row.try_get(0).map_err(of)?,
                time_us: row.try_get(1).map_err(of)?,
                subject: row.try_get(2).map_err(of)?,
            });
        }
        Ok(true)
    }
}

impl Sink for PostgresSink {
    /// What a batch costs, a few round trips and a sync of the server's disk, it costs once for all that is
    /// new in any stream.
    fn shape(&self) -> Shape {
        Shape {
            events_max: 10_000,
            bytes_max: 16 << 20,
            several: true,
            linger: LINGER,
            ..Shape::default()
        }
    }

    fn open(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            let session = limited(Session::open(&self.target, Missing::Create)).await?;
            *lock(&self.session) = Some(session);
            Ok(())
        })
    }

    fn resume<'a>(&'a self, resume: Resume<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        // The key knows what is there already. Of the ledger only its name is needed, for the sequence numbers.
        lock(&self.ledgers).insert(resume.source.to_owned(), resume.ledger.to_owned());
        Box::pin(async { Ok(()) })
    }

    fn deliver<'a>(&'a self, batch: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.store(batch))
    }

    fn probe(&self) -> BoxFuture<'_, Result<Option<String>, SinkError>> {
        Box::pin(limited(self.look()))
    }

    fn recall<'a>(
        &'a self,
        recall: Recall<'a>,
        take: &'a mut (dyn FnMut(Recalled) + Send),
    ) -> BoxFuture<'a, Result<bool, SinkError>> {
        Box::pin(self.tell(recall, take))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        drop(lock(&self.session).take());
        Box::pin(async { Ok(()) })
    }
}

/// Fifty batches a second are enough.
const LINGER: Duration = Duration::from_millis(20);

const SERVER: &str = "SELECT current_setting('server_version'), current_setting('fsync')";

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

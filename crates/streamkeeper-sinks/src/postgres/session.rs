//! A connection with what a delivery needs on it. Who drops it closes it, whatever was under way.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::poll_fn;
use streamkeeper_sink::SinkError;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Error, NoTls, Socket, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error;
use super::row::{Row, TYPES};
use super::table::Table;

/// How to reach the server, and what is there.
pub(super) struct Target {
    pub(super) server: Config,
    /// `None`: in the clear.
    pub(super) tls: Option<MakeRustlsConnect>,
    pub(super) table: Table,
}

/// What to do about a table that is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Create,
    Refuse,
}

/// A connection, and the task that carries it: the end of the one is the end of the other.
pub(super) struct Link {
    pub(super) client: Client,
    _carrier: JoinSet<()>,
}

/// A connection that takes batches.
pub(super) struct Session {
    link: Link,
    copy: Statement,
    insert: Statement,
}

/// Longer than a server needs, which would rather be asked again.
const SETUP: Duration = Duration::from_secs(20);

/// Ends what waits for a server for too long.
pub(super) async fn limited<T>(
    work: impl Future<Output = Result<T, SinkError>>,
) -> Result<T, SinkError> {
    timeout(SETUP, work).await.unwrap_or_else(|_| Err(SinkError::broken("timed_out")))
}

impl Link {
    /// Connects, no more.
    pub(super) async fn connect(target: &Target) -> Result<Self, SinkError> {
        let connected = match &target.tls {
            Some(tls) => Self::over(&target.server, tls.clone()).await,
            None => Self::over(&target.server, NoTls).await,
        };
        connected.map_err(|error| error::of(&error))
    }

    async fn over<T>(server: &Config, tls: T) -> Result<Self, Error>
    where
        T: MakeTlsConnect<Socket, Stream: Send + 'static>,
    {
        let (client, mut connection) = server.connect(tls).await?;
        let mut carrier = JoinSet::new();
        // By its messages: the library would log notices, in which a trigger may quote a row.
        carrier.spawn(async move {
            let mut messages = poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(_)) = messages.next().await {}
        });
        Ok(Self { client, _carrier: carrier })
    }
}

impl Session {
    /// Connects, checks the table and makes what is missing.
    pub(super) async fn open(target: &Target, missing: Missing) -> Result<Self, SinkError> {
        let link = Link::connect(target).await?;
        if !target.table.check(&link.client).await? {
            let create = target.table.create();
            if missing == Missing::Refuse {
                let detail = format!("run: {create}");
                return Err(SinkError::refused("no_such_table").with_detail(detail));
            }
            let created = link.client.batch_execute(&create).await;
            created.map_err(|error| {
                let error = error::of_setup(&error);
                let detail = format!("the table cannot be made; run as its owner: {create}");
                if error.reason == "not_permitted" { error.with_detail(detail) } else { error }
            })?;
            target.table.check(&link.client).await?;
        }
        Self::prepare(link, &target.table).await.map_err(|error| error::of_setup(&error))
    }

    async fn prepare(link: Link, table: &Table) -> Result<Self, Error> {
        link.client.batch_execute(DURABLE).await?;
        link.client.batch_execute(&Table::create_incoming()).await?;
        let copy = link.client.prepare(&Table::copy()).await?;
        let insert = link.client.prepare(&table.insert()).await?;
        Ok(Self { link, copy, insert })
    }

    /// Whether it can be used, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        !self.link.client.is_closed()
    }

    /// Stores the rows, all or none. After an error it is not to be used again, and if the connection was
    /// lost, they may be stored all the same.
    pub(super) async fn store(&mut self, rows: &[Row<'_>]) -> Result<(), Error> {
        let transaction = self.link.client.transaction().await?;
        let sink = transaction.copy_in(&self.copy).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &TYPES));
        for row in rows {
            writer.as_mut().write(&row.values()).await?;
        }
        writer.finish().await?;
        transaction.execute(&self.insert, &[]).await?;
        transaction.commit().await
    }
}

/// A commit that is answered shall be on the disk, whatever the server, the database or the user has set.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

//! What lies beside a stream on its server: documents that say where it is, how often it speaks, and what it
//! was when its past is forgotten.

use std::sync::Arc;
use std::time::Duration;

use streamkeeper_core::cursored;
use streamkeeper_core::id::{ConnectionId, Cursor};

use crate::dialect::sse::{self, Document, First, Sse};
use crate::store::batch::Batch;

use super::tools::Tools;

/// What a document says; `None`, and it is said once, if it cannot be had or says nothing.
async fn says(tools: &Tools, document: &Document, what: &str) -> Option<String> {
    let answer = tools.transport.fetch(&document.url, &[]).await;
    let body = answer.ok().filter(|answer| (200..300).contains(&answer.status))?.body;
    let said = document.says(&body);
    if said.is_none() {
        tracing::debug!(stream = %tools.entry.name, what, "a document of the server does not say it");
    }
    said
}

/// How often the server says that it will say something; `None`: no document of it does.
pub(crate) async fn interval(tools: &Tools, sse: &Sse) -> Option<Duration> {
    let document = sse.interval_document()?;
    let said = says(tools, document, "interval").await;
    let interval = said.as_deref().and_then(sse::seconds);
    if interval.is_none() && tools.entry.is_first("no interval") {
        tracing::warn!(
            stream = %tools.entry.name,
            "the server does not say its interval where sse.interval looks for it: it is learned from its \
             silences",
        );
    }
    interval
}

/// Asks for the first cursor; answered by `First`.
pub(crate) async fn first(tools: Tools, sse: Arc<Sse>) {
    let said = match sse.first() {
        First::Nothing => None,
        First::Literal(cursor) => Some(cursor),
        First::Document(document) => {
            let said = says(&tools, document, "first cursor").await;
            said.filter(|said| !said.is_empty()).as_deref().and_then(Cursor::new)
        }
    };
    tools.reports.send(cursored::Input::First(said));
}

/// Fetches the snapshot and has it committed; answered by `Resynced`.
pub(crate) async fn resync(tools: Tools, sse: Arc<Sse>, connection: ConnectionId) {
    let ok = snapshot(&tools, &sse, connection).await.is_some();
    tools.reports.send(cursored::Input::Resynced { ok });
}

async fn snapshot(tools: &Tools, sse: &Sse, connection: ConnectionId) -> Option<()> {
    let said = match tools.transport.fetch(sse.resync()?, &[]).await {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(answer.body),
        Ok(answer) => Err(format!("the server answered {}", answer.status)),
        Err(error) => Err(error.to_string()),
    };
    let body = match said {
        Ok(body) => body,
        Err(reason) => {
            if tools.entry.is_news(&reason) {
                tracing::warn!(
                    stream = %tools.entry.name,
                    reason,
                    "what sse.resync names cannot be taken as a snapshot (at most 8 MiB, within call_timeout)",
                );
            }
            return None;
        }
    };
    tools.entry.succeeded();
    let batch = Batch {
        connection,
        arrived: tools.clock.now(),
        replayed: false,
        poke: None,
        events: vec![sse.snapshot(&body)],
        cursor: None,
        tally: None,
        reader: tools.reports.clone(),
    };
    tools.budget.take(batch.room()).await;
    tools.writer.batch(batch);
    tools.writer.passed().await;
    Some(())
}

//! Whoever reads: the documents that announce, and the stream itself.

use std::{
    io,
    pin::Pin,
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{self, Bytes, Data, Query, ServiceConfig},
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    model::{Answer, Form},
    state::{Order, Shared},
};

pub(super) fn routes(app: &mut ServiceConfig) {
    app.route("/boot", web::get().to(boot))
        .route("/api/boot", web::get().to(pilcrow_boot))
        .route(
            "/events",
            web::get().to(|request, asked, shared| open(request, asked, shared, Form::Standard)),
        )
        .route(
            "/api/events",
            web::get().to(|request, asked, shared| open(request, asked, shared, Form::Pilcrow)),
        );
}

async fn boot(shared: Data<Shared>) -> HttpResponse {
    let newest = shared.lock().newest().to_string();
    let heartbeat = shared.config.heartbeat.as_secs_f64();
    HttpResponse::Ok().json(json!({"heartbeat": heartbeat, "cursor": newest}))
}

async fn pilcrow_boot(shared: Data<Shared>) -> HttpResponse {
    let newest = shared.lock().newest();
    let heartbeat = shared.config.heartbeat.as_secs_f64();
    HttpResponse::Ok().json(json!({"resume_point": newest, "heartbeat": heartbeat}))
}

/// A cursor in the query.
#[derive(Deserialize)]
struct InQuery {
    last_event_id: Option<String>,
}

async fn open(
    request: HttpRequest,
    asked: Query<InQuery>,
    shared: Data<Shared>,
    form: Form,
) -> HttpResponse {
    let header = request.headers().get("last-event-id");
    let header = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let cursor =
        header.or_else(|| asked.into_inner().last_event_id).filter(|cursor| !cursor.is_empty());
    let mut state = shared.lock();
    let (now, refused) = (state.now(), state.refusal());
    let answer = match refused {
        Some((status, _)) => Answer::Status(status),
        None => state.model.resume(cursor.as_deref(), now),
    };
    let (number, reset) = match answer {
        Answer::From { number, reset } => (number, reset),
        Answer::Status(code) => {
            state.asked(cursor, code);
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let mut response = HttpResponse::build(status);
            if let Some(seconds) = refused.and_then(|(_, seconds)| seconds) {
                response.insert_header(("retry-after", seconds.to_string()));
            }
            return response.finish();
        }
    };
    state.asked(cursor, 200);
    let (connection, orders) = state.open();
    drop(state);
    let interval = shared.config.heartbeat.as_secs_f64().to_string();
    let ends_at = shared.config.max_age.map(|age| Instant::now() + age);
    let client = Client {
        shared,
        connection,
        orders,
        form,
        next: number,
        first: if reset { "event: reset\ndata: {}\n\n" } else { ": hello\n\n" }.to_owned(),
        spoke: Instant::now(),
        ends_at,
    };
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-store"))
        .insert_header(("x-heartbeat-interval", interval))
        .streaming(client.body())
}

/// One connection.
struct Client {
    shared: Data<Shared>,
    connection: u64,
    orders: mpsc::UnboundedReceiver<Order>,
    form: Form,
    /// The number of the next event that it is sent.
    next: u64,
    /// What comes before any event.
    first: String,
    /// When something was last sent.
    spoke: Instant,
    ends_at: Option<Instant>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.lock().closed(self.connection);
    }
}

impl Client {
    /// What is sent; it ends with an error where the connection is to be cut.
    fn body(self) -> Pin<Box<impl Stream<Item = io::Result<Bytes>>>> {
        Box::pin(stream::unfold(Some(self), |client| async {
            let mut client = client?;
            match client.more().await {
                Ok(text) if text.is_empty() => None,
                Ok(text) => Some((Ok(Bytes::from(text)), Some(client))),
                Err(cut) => Some((Err(cut), None)),
            }
        }))
    }

    /// What is sent next; empty at the proper end.
    async fn more(&mut self) -> io::Result<String> {
        let first = std::mem::take(&mut self.first);
        if !first.is_empty() {
            return Ok(first);
        }
        loop {
            let heartbeat_after = self.shared.lock().heartbeat_after;
            let (events, next_in) = self.due();
            if !events.is_empty() {
                self.spoke = Instant::now();
                return Ok(events);
            }
            let now = Instant::now();
            if self.ends_at.is_some_and(|end| end <= now) {
                return Ok(String::new());
            }
            let heartbeat_at = self.spoke + heartbeat_after;
            if heartbeat_at <= now {
                self.spoke = now;
                return Ok(self.heartbeat());
            }
            let wake = [Some(heartbeat_at), self.ends_at, next_in.map(|span| now + span)];
            let wake = wake.into_iter().flatten().min().unwrap_or(heartbeat_at).min(now + LOOK);
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Order::Hang(Some(span))) => tokio::time::sleep(span).await,
                    Some(Order::Hang(None)) => std::future::pending().await,
                    Some(Order::Cut) => return Err(io::ErrorKind::ConnectionAborted.into()),
                    Some(Order::End) | None => return Ok(String::new()),
                },
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    /// The events that are due, and when the next one is.
    fn due(&mut self) -> (String, Option<Duration>) {
        let (model, now) = {
            let state = self.shared.lock();
            (state.model.clone(), state.now())
        };
        let last = model.newest(now).min(self.next + EVENTS_MAX - 1);
        let mut text = String::new();
        for number in self.next..=last {
            let data = model.data(number, self.form);
            text.push_str(&match self.form {
                Form::Standard => format!("id: {number}\nevent: reading\ndata: {data}\n\n"),
                Form::Pilcrow => format!("id: {number}\ndata: {data}\n\n"),
            });
        }
        self.next = self.next.max(last + 1);
        let next = model.next_at(now).map(|at| Duration::from_millis(at.saturating_sub(now)));
        (text, next)
    }

    fn heartbeat(&self) -> String {
        match self.form {
            Form::Standard => "event: heartbeat\ndata: {}\n\n",
            Form::Pilcrow => "data: {\"event\":\"heartbeat\"}\n\n",
        }
        .to_owned()
    }
}

/// Events sent at once.
const EVENTS_MAX: u64 = 256;

/// The control port may have changed the rate meanwhile.
const LOOK: Duration = Duration::from_millis(100);

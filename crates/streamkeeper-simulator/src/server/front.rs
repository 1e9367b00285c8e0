//! The service's port: accepts, reads requests, decides which fault they meet, serves them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time,
};

use super::{
    body::Body,
    event_stream::{EventStream, Opened},
    http::{Answer, Request, Unread, read_request, wait_for_close},
    organizations::Organizations,
    rest::{self, Rest},
    state::{Organization, State},
    wire::{self, BadField},
};
use crate::{
    fault::{Call, CallFault, OnFin},
    model::StreamId,
};

/// Serves the service's port until everything is to stop.
pub(super) async fn listen(
    organizations: Arc<Organizations>,
    mut listener: TcpListener,
    addr: SocketAddr,
) {
    let rest = Rest::new().await;
    loop {
        tokio::select! {
            () = organizations.stopped() => return,
            () = organizations.refuse.notified() => {
                drop(listener);
                listener = tokio::select! {
                    () = organizations.stopped() => return,
                    again = listen_again(&organizations, addr) => again,
                };
            }
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { continue };
                // It fails only on a socket that is closed already.
                drop(socket.set_nodelay(true));
                actix_rt::spawn(serve(Arc::clone(&organizations), rest.clone(), socket));
            }
        }
    }
}

/// Waits until nothing is refused any more, and takes the port back.
async fn listen_again(organizations: &Organizations, addr: SocketAddr) -> TcpListener {
    loop {
        let until = organizations.all().filter_map(|one| one.lock().refused_until()).max();
        match until {
            // In steps, since the fault may be cleared before.
            Some(until) => {
                time::sleep_until((until.min(std::time::Instant::now() + STEP)).into()).await
            }
            None => match TcpListener::bind(addr).await {
                Ok(listener) => return listener,
                Err(_) => time::sleep(STEP).await,
            },
        }
    }
}

const STEP: Duration = Duration::from_millis(10);

/// Serves one connection: call after call, or an event stream to its end.
async fn serve(organizations: Arc<Organizations>, rest: Rest, mut socket: TcpStream) {
    let first = organizations.first();
    let mut buffer = BytesMut::new();
    loop {
        let request = match read_request(&mut socket, &mut buffer).await {
            Ok(request) => request,
            Err(Unread::Closed) => return,
            Err(Unread::Bad(status)) => {
                let answer = rest::error(&mut first.lock(), status, "base", "bad request");
                drop(answer.write(&mut socket, true, false).await);
                return;
            }
        };
        let keep_alive = request.keep_alive;
        let call = Call::of(&request.method, &request.path);
        let parameters = request.parameters();
        let token = token(&parameters);
        let organization = organizations.of_token(token).unwrap_or(first);
        let fault = organization.lock().call_fault(call);
        let outcome = match fault {
            Some(CallFault::Status { status, retry_after_s }) => {
                let answer = rest::error(&mut organization.lock(), status, "base", "injected");
                Outcome::Answer(Answer { retry_after_s, ..answer })
            }
            Some(CallFault::Silence) => Outcome::Silence,
            Some(CallFault::Dropped) => Outcome::Drop,
            _ => done(organization, &rest, request, call, fault).await,
        };
        let status = match &outcome {
            Outcome::Answer(answer) => Some(answer.status),
            Outcome::Events(..) => Some(200),
            Outcome::Silence | Outcome::Drop => None,
        };
        {
            let mut state = organization.lock();
            let now = state.now();
            state.journal.call(now, call, status);
        }
        match outcome {
            Outcome::Answer(answer) => {
                let with_length = fault != Some(CallFault::NoLength);
                let keep_alive = keep_alive && with_length;
                let written = answer.write(&mut socket, with_length, keep_alive).await;
                if written.is_err() || !keep_alive {
                    return;
                }
            }
            Outcome::Events(body, opened) => {
                return EventStream::new(Arc::clone(organization), socket, body, opened)
                    .run()
                    .await;
            }
            Outcome::Silence => return wait_for_close(&mut socket).await,
            Outcome::Drop => return,
        }
    }
}

/// What comes of a call.
enum Outcome {
    Answer(Answer),
    Events(Body, Opened),
    Silence,
    Drop,
}

async fn done(
    organization: &Arc<Organization>,
    rest: &Rest,
    request: Request,
    call: Call,
    fault: Option<CallFault>,
) -> Outcome {
    let parameters = &request.parameters();
    if let Some(answer) = unauthorized(&mut organization.lock(), parameters) {
        return Outcome::Answer(answer);
    }
    if call.streams_events() {
        let opened = open(&mut organization.lock(), &request.path, parameters, call, fault);
        return match opened {
            Ok(opened) => {
                let chunked = fault != Some(CallFault::NoLength);
                Outcome::Events(Body::new(chunked, fault == Some(CallFault::Gzip)), opened)
            }
            Err(answer) => Outcome::Answer(answer),
        };
    }
    let answer = rest.call(Arc::clone(organization), request).await;
    match fault {
        Some(CallFault::LostAnswer { silent: true }) => Outcome::Silence,
        Some(CallFault::LostAnswer { silent: false }) => Outcome::Drop,
        _ => Outcome::Answer(answer),
    }
}

/// 401 for no token or a wrong one, 403 for another organization's (Inform API, Errors).
fn unauthorized(state: &mut State, parameters: &[(String, String)]) -> Option<Answer> {
    let given = token(parameters);
    if state.config.token.is(given) {
        return None;
    }
    let foreign = state.config.foreign_token.as_ref().is_some_and(|token| token.is(given));
    let (status, message) = if foreign { (403, "Forbidden") } else { (401, "Unauthorized") };
    Some(rest::error(state, status, "token", message))
}

/// The token of a request; empty if there is none.
fn token(parameters: &[(String, String)]) -> &str {
    let given = parameters.iter().find(|(name, _)| name == "token");
    given.map(|(_, token)| token.as_str()).unwrap_or_default()
}

/// A client connects to a stream, or opens a replay.
fn open(
    state: &mut State,
    path: &str,
    parameters: &[(String, String)],
    call: Call,
    fault: Option<CallFault>,
) -> Result<Opened, Answer> {
    let now = state.now();
    let (stream, connected) = if call == Call::Replay {
        let new = wire::replay(parameters);
        let new =
            new.map_err(|BadField(field, message)| rest::error(state, 422, field, message))?;
        (None, state.model.replay(new, now))
    } else {
        let id = path.trim_matches('/').split('/').nth(1).unwrap_or_default();
        match id.parse::<StreamId>() {
            Ok(id) => (Some(id), state.model.connect(id, now)),
            Err(_) => (None, Err(crate::model::Refusal::NotFound)),
        }
    };
    let client = connected.map_err(|refusal| rest::refused(state, refusal))?;
    let (sender, orders) = mpsc::unbounded_channel();
    let number = state.open(stream, sender);
    let on_fin = match fault {
        Some(CallFault::Fin(on_fin)) => on_fin,
        _ => OnFin::default(),
    };
    Ok(Opened { client, number, stream, orders, on_fin })
}

//! The client over a scripted transport: paging, verdicts, and what must not show.

use std::cell::RefCell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::*;
use streamkeeper_call::{Request, Response, TransportError, TransportErrorKind};

/// Answers by a function of the request; every future is ready at once.
struct Scripted<F>(F, RefCell<Vec<String>>);

impl<F: Fn(&Request) -> Result<Response, TransportError>> Transport for Scripted<F> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.1.borrow_mut().push(request.path_and_query.clone());
        (self.0)(&request)
    }
}

fn client<F: Fn(&Request) -> Result<Response, TransportError>>(answer: F) -> Client<Scripted<F>> {
    Client::new(Scripted(answer, RefCell::default()))
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a scripted answer is always ready"),
    }
}

fn answer(status: u16, body: impl Into<Bytes>) -> Result<Response, TransportError> {
    Ok(Response { status, retry_after: None, body: body.into() })
}

fn offset(request: &Request) -> usize {
    request.path_and_query.split_once("offset=").map_or(0, |(_, at)| at.parse().expect("a number"))
}

fn page(ids: std::ops::Range<usize>, meta: &str) -> String {
    let streams: Vec<_> = ids.map(|id| format!(r#"{{"id":"s{id}"}}"#)).collect();
    format!(r#"{{"streams":[{}]{meta}}}"#, streams.join(","))
}

#[test]
fn a_list_is_read_over_all_pages() {
    for total in [0, 1, 24, 25, 26, 50, 51] {
        let meta = format!(r#","meta":{{"limit":25,"total":{total}}}"#);
        for meta in [meta.as_str(), ""] {
            let client = client(|request| {
                let from = offset(request).min(total);
                answer(200, page(from..total.min(from + 25), meta))
            });
            let streams = now(client.list()).expect("a list");
            let ids: Vec<_> = streams.iter().map(|stream| stream.id.clone()).collect();
            let expected: Vec<_> = (0..total).map(|id| format!("s{id}")).collect();
            assert_eq!(ids, expected, "{total} {meta}");
        }
    }
}

#[test]
fn a_server_that_ignores_the_offset_is_understood() {
    let whole = client(|_| answer(200, page(0..30, "")));
    assert_eq!(now(whole.list()).expect("a list").len(), 30);

    let cut = client(|_| answer(200, page(0..25, r#","meta":{"total":30}"#)));
    let error = now(cut.list()).expect_err("25 of 30");
    assert_eq!(
        error.to_string(),
        "list streams: the answer was not understood: the list ended before its total"
    );
}

#[test]
fn a_total_that_is_wrong_neither_ends_a_list_nor_goes_on_for_ever() {
    for count in [0, 1, 3, 25, 26] {
        for said in [count + 1, count + 100, usize::MAX, count.saturating_sub(1)] {
            for ignores_offset in [false, true] {
                let meta = format!(r#","meta":{{"limit":25,"total":{said}}}"#);
                let client = client(|request| {
                    let from = if ignores_offset { 0 } else { offset(request).min(count) };
                    answer(200, page(from..count.min(from + 25), &meta))
                });
                let streams = now(client.list());
                let cut = ignores_offset && count >= 25;
                match streams {
                    Ok(streams) if !cut => assert_eq!(streams.len(), count, "said {said}"),
                    other => assert!(cut, "{count}, said {said}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn a_status_means_what_it_means_for_the_call_that_was_made() {
    type K = CallErrorKind;
    let response = |status, body: &'static str| Response {
        status,
        retry_after: None,
        body: Bytes::from_static(body.as_bytes()),
    };
    let of = |call, status| K::of_response(call, &response(status, ""));
    for call in [
        ApiCall::List,
        ApiCall::Create,
        ApiCall::Get,
        ApiCall::Rename,
        ApiCall::Connect,
        ApiCall::Replay,
    ] {
        assert_eq!(of(call, 409), Some(K::Unexpected { status: 409 }), "{call}");
    }
    assert_eq!(of(ApiCall::Delete, 409), Some(K::Conflict));
    for status in [404, 410] {
        for call in [ApiCall::List, ApiCall::Create, ApiCall::Replay] {
            assert_eq!(of(call, status), Some(K::Unexpected { status }), "{call}");
        }
        for call in [ApiCall::Get, ApiCall::Delete, ApiCall::Rename, ApiCall::Connect] {
            assert_eq!(of(call, status), Some(K::NotFound { status }), "{call}");
        }
        assert_eq!(now(client(|_| answer(status, "")).delete("s")), Ok(Deletion::AlreadyGone));
    }
    let taken = response(422, r#"{"errors":["Name has already been taken"]}"#);
    let full = response(422, r#"{"errors":["at most 5 streams are allowed"]}"#);
    for call in [ApiCall::List, ApiCall::Get, ApiCall::Delete] {
        for answer in [&taken, &full] {
            let other = Some(K::Unprocessable(Unprocessable::Other));
            assert_eq!(K::of_response(call, answer), other, "{call}");
        }
    }
}

#[test]
fn a_list_that_changes_while_it_is_read_is_read_again() {
    let deleted = RefCell::new(false);
    let client = client(|request| {
        // Between the first page and the second, the newest stream goes away.
        let gone = usize::from(*deleted.borrow() || offset(request) > 0);
        *deleted.borrow_mut() |= offset(request) > 0;
        let meta = format!(r#","meta":{{"total":{}}}"#, 30 - gone);
        let from = gone + offset(request);
        answer(200, page(from..30.min(from + 25), &meta))
    });
    let streams = now(client.list()).expect("a list");
    assert_eq!(streams.len(), 29);
    assert_eq!(streams.first().map(|stream| stream.id.as_str()), Some("s1"));
    assert_eq!(
        *client.transport().1.borrow(),
        ["/streams", "/streams?offset=25", "/streams", "/streams?offset=25"]
    );
}

#[test]
fn a_list_without_end_is_given_up() {
    let client = client(|request| {
        let from = offset(request);
        answer(200, page(from..from + 25, ""))
    });
    assert!(matches!(now(client.list()), Err(CallError { kind: CallErrorKind::Malformed(_), .. })));
    assert_eq!(client.transport().1.borrow().len(), PAGES_MAX);
}

#[test]
fn any_2xx_is_success() {
    for status in [200, 201, 202, 204] {
        let client = client(|_| answer(status, r#"{"id":"s"}"#));
        assert_eq!(now(client.create(&NewStream::default())).expect("created").id, "s");
        assert_eq!(now(client.get("s")).expect("got").id, "s");
        assert_eq!(now(client.delete("s")), Ok(Deletion::Deleted));
        assert_eq!(now(client.rename("s", "n")), Ok(()));
    }
    let empty = client(|_| answer(204, ""));
    assert_eq!(now(empty.delete("s")), Ok(Deletion::Deleted));
    assert!(now(empty.create(&NewStream::default())).expect_err("no id").may_have_acted());
}

#[test]
fn every_status_has_its_verdict() {
    use CallErrorKind as K;
    let wait = Some(Duration::from_secs(7));
    for (status, kind, may_have_acted) in [
        (301, K::Redirect { status: 301 }, false),
        (304, K::Redirect { status: 304 }, false),
        (400, K::Unexpected { status: 400 }, false),
        (401, K::Unauthorized, false),
        (403, K::Forbidden, false),
        (404, K::NotFound { status: 404 }, false),
        (409, K::Unexpected { status: 409 }, false),
        (422, K::Unprocessable(Unprocessable::Other), false),
        (429, K::RateLimited, false),
        (500, K::Server { status: 500 }, true),
        (503, K::Server { status: 503 }, true),
        (100, K::Unexpected { status: 100 }, false),
    ] {
        let client = client(|_| Ok(Response { status, retry_after: wait, body: Bytes::new() }));
        let error = now(client.get("s")).expect_err("an error");
        assert_eq!(error, CallError { call: ApiCall::Get, kind, retry_after: wait });
        assert_eq!(error.may_have_acted(), may_have_acted, "{status}");
    }
    assert_eq!(now(client(|_| answer(404, "")).delete("s")), Ok(Deletion::AlreadyGone));
}

#[test]
fn a_lost_answer_says_whether_the_server_may_have_acted() {
    for sent in [false, true] {
        let kind = TransportErrorKind::Timeout;
        let client = client(|_| Err(TransportError { sent, kind }));
        let error = now(client.create(&NewStream::default())).expect_err("no answer");
        assert_eq!(error.may_have_acted(), sent);
    }
}

#[test]
fn reasons_of_a_422() {
    use Unprocessable as U;
    for (call, body, expected) in [
        (ApiCall::Create, r#"{"errors":["Name has already been taken"]}"#, U::DuplicateName),
        (ApiCall::Create, r#"{"errors":{"name":["has already been taken"]}}"#, U::DuplicateName),
        (
            ApiCall::Create,
            r#"{"message":"A stream with this name already exists"}"#,
            U::DuplicateName,
        ),
        (ApiCall::Rename, r#"{"status":422,"error":"duplicate name"}"#, U::DuplicateName),
        (ApiCall::Create, r#"{"errors":["Stream limit reached"]}"#, U::StreamLimit),
        (ApiCall::Create, r#"{"errors":["You may have at most 5 streams"]}"#, U::StreamLimit),
        (
            ApiCall::Create,
            r#"{"errors":{"base":["maximum number of streams exceeded"]}}"#,
            U::StreamLimit,
        ),
        (ApiCall::Create, r#"{"errors":{"resource_filter":["is invalid"]}}"#, U::BadFilter),
        (ApiCall::Create, r#"{"message":"unknown resource in filter"}"#, U::BadFilter),
        (
            ApiCall::Connect,
            r#"{"errors":["Stream has reached its maximum number of clients"]}"#,
            U::TooManyClients,
        ),
        (ApiCall::Connect, r#"{"error":"Unprocessable Entity"}"#, U::TooManyClients),
        (ApiCall::Connect, "", U::TooManyClients),
        (ApiCall::Replay, r#"{"message":"too many concurrent replays"}"#, U::TooManyClients),
        (ApiCall::Replay, r#"{"errors":{"resources":["is not valid"]}}"#, U::BadFilter),
        (ApiCall::Create, r#"{"errors":["too many clients"]}"#, U::TooManyClients),
        (ApiCall::Create, r#"{"detail":"already taken"}"#, U::Other),
        (ApiCall::Create, r#"{"errors":[17,null,{"x":true}]}"#, U::Other),
        (ApiCall::Create, "<html>", U::Other),
    ] {
        let response =
            Response { status: 422, retry_after: None, body: Bytes::from_static(body.as_bytes()) };
        assert_eq!(
            CallErrorKind::of_response(call, &response),
            Some(CallErrorKind::Unprocessable(expected)),
            "{call}: {body}"
        );
    }
}

#[test]
fn a_create_that_is_refused_for_its_first_day_is_told_apart() {
    for status in [400, 422] {
        for body in [
            r#"{"errors":{"start_date":["must be within the last 30 days"]}}"#,
            r#"{"errors":["Start date is too old: at most 30 days of a stream are kept"]}"#,
            r#"{"status":422,"error":"start_date must not be before 2026-10-22"}"#,
        ] {
            let body = Bytes::from_static(body.as_bytes());
            let response = Response { status, retry_after: None, body };
            let refused = |call| CallErrorKind::of_response(call, &response);
            assert_eq!(refused(ApiCall::Create), Some(CallErrorKind::FirstDay { status }));
            assert_ne!(refused(ApiCall::Rename), Some(CallErrorKind::FirstDay { status }));
        }
    }
}

#[test]
fn no_error_quotes_an_answer() {
    let bodies = [
        "MARKER",
        r#"{"id":{"x":"MARKER"}}"#,
        r#"{"errors":["MARKER"]}"#,
        r#"{"errors":{"MARKER":["MARKER taken"]}}"#,
        r#"{"status":403,"error":"MARKER"}"#,
        r#"{"message":"MARKER"}"#,
        r#"[{"MARKER":"MARKER"}]"#,
    ];
    for status in [200, 301, 400, 401, 403, 404, 409, 422, 429, 500] {
        for body in bodies {
            let client = client(|_| answer(status, body));
            let new = NewStream { name: "MARKER".into(), ..NewStream::default() };
            let errors = [
                now(client.list()).err(),
                now(client.get("MARKER")).err(),
                now(client.create(&new)).err(),
                now(client.rename("MARKER", "MARKER")).err(),
                now(client.delete("MARKER")).err(),
            ];
            for error in errors.into_iter().flatten() {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                let shown = format!("{error} {error:?} {source:?}");
                assert!(!shown.contains("MARKER"), "{shown}");
            }
        }
    }
}

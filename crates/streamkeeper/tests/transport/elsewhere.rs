//! Places of their own, and answers that send us elsewhere: what goes along, and what does not.

use std::sync::{Arc, Mutex};

use streamkeeper::Secret;
use streamkeeper::transport::{Auth, Control, HttpTransport, OpenErrorKind, TransportSettings};
use tokio::io::AsyncWriteExt as _;

use super::server::{SSE_HEAD, Server, chunk, read_all, request, within};

/// A server that answers by path, and what it was asked.
struct Recorder {
    server: Server,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    /// `answer` is given the path with its query.
    fn new(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let noted = Arc::clone(&seen);
        let server = Server::start(move |mut tcp| {
            let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
            async move {
                let request = request(&mut tcp).await;
                let path = request.split(' ').nth(1).unwrap().to_owned();
                noted.lock().unwrap().push(request.to_lowercase());
                tcp.write_all(answer(&path).as_bytes()).await.ok();
            }
        });
        Self { server, seen }
    }

    fn streaming() -> Self {
        Self::new(|_| stream())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.addr)
    }

    /// As somebody who has a secret of each kind, besides `auth`.
    fn settings(&self, auth: Auth) -> TransportSettings {
        let mut settings = self.server.settings();
        settings.auth = auth;
        settings.headers = vec![("X-Extra".to_owned(), Secret::new("extra-s3cret"))];
        settings.redirects = true;
        settings
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn stream() -> String {
    format!("{SSE_HEAD}{}0\r\n\r\n", chunk(": hi\n\n"))
}

fn to(place: &str) -> String {
    format!("HTTP/1.1 307 Go\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n")
}

fn forms() -> Vec<(Auth, &'static str)> {
    let value = || Secret::new("s3cret");
    let name = || "key".to_owned();
    vec![
        (Auth::Bearer(value()), "authorization: bearer s3cret"),
        (
            Auth::Basic { user: value(), password: value() },
            "authorization: basic czNjcmV0OnMzY3JldA",
        ),
        (Auth::Header { name: name(), value: value() }, "key: s3cret"),
        (Auth::Query { name: name(), value: value() }, "key=s3cret"),
        (Auth::Cookie { name: name(), value: value() }, "cookie: key=s3cret"),
    ]
}

async fn open(settings: TransportSettings, place: &str) -> Result<String, OpenErrorKind> {
    let transport = HttpTransport::new(settings).unwrap();
    let headers = [("Last-Event-ID", "7")];
    let opening = within(transport.open_sse(place, &headers, &Control::new())).await;
    let (text, error) = read_all(&mut opening.map_err(|error| error.kind)?).await;
    assert_eq!(error, None);
    Ok(text)
}

#[actix_rt::test]
async fn a_place_of_the_same_origin_is_told_who_we_are_and_another_is_not() {
    for (auth, said) in forms() {
        let (ours, other) = (Recorder::streaming(), Recorder::streaming());
        let own = ours.url("/own?x=1");
        assert_eq!(open(ours.settings(auth.clone()), &own).await.unwrap(), ": hi\n\n");
        assert_eq!(open(ours.settings(auth), &other.url("/other")).await.unwrap(), ": hi\n\n");
        let [own] = &ours.seen()[..] else { panic!("one request each") };
        assert!(own.starts_with("get /own?x=1"), "{own}");
        assert!(own.contains(&said.to_lowercase()) && own.contains("x-extra: extra-s3cret"));
        let [other] = &other.seen()[..] else { panic!("one request each") };
        assert!(other.starts_with("get /other http") && !other.contains("s3cret"), "{other}");
        assert!(!other.contains("czNjcmV0") && other.contains("last-event-id: 7"), "{other}");
    }
}

#[actix_rt::test]
async fn a_redirect_keeps_secrets_within_the_origin() {
    for (auth, said) in forms() {
        let other = Recorder::streaming();
        let beyond = other.url("/beyond");
        let ours = Recorder::new(move |path| match path.split('?').next() {
            Some("/s") => to("next?y=2"),
            _ => to(&beyond),
        });
        assert_eq!(open(ours.settings(auth), "/s").await.unwrap(), ": hi\n\n");
        let seen = ours.seen();
        assert_eq!(seen.len(), 2);
        assert!(seen[1].starts_with("get /next?y=2"), "{}", seen[1]);
        for request in &seen {
            assert!(request.contains(&said.to_lowercase()), "{request}");
            assert!(request.contains("last-event-id: 7"), "{request}");
        }
        let [other] = &other.seen()[..] else { panic!("one request") };
        assert!(!other.contains("s3cret") && !other.contains("cznjcmv0"), "{other}");
        assert!(other.starts_with("get /beyond http"), "{other}");
    }
}

#[actix_rt::test]
async fn a_secret_of_one_request_goes_to_its_place_and_not_where_that_sends_us() {
    let other = Recorder::streaming();
    let beyond = other.url("/beyond");
    let ours = Recorder::new(move |_| to(&beyond));
    let mut settings = ours.settings(Auth::None);
    settings.secret_headers = vec!["last-event-id".to_owned()];
    assert_eq!(open(settings.clone(), "/s").await.unwrap(), ": hi\n\n");
    assert!(ours.seen()[0].contains("last-event-id: 7"));
    assert_eq!(open(settings, &other.url("/asked")).await.unwrap(), ": hi\n\n");
    let [sent, asked] = &other.seen()[..] else { panic!("two requests") };
    assert!(!sent.contains("last-event-id"), "{sent}");
    assert!(asked.contains("last-event-id: 7"), "{asked}");
}

#[actix_rt::test]
async fn a_redirect_is_followed_five_times_and_only_if_that_is_allowed() {
    let ours = Recorder::new(|_| to("/s"));
    let refused = open(ours.settings(Auth::None), "/s").await.unwrap_err();
    assert!(matches!(refused, OpenErrorKind::Answer(answer) if answer.status == 307));
    assert_eq!(ours.seen().len(), 6);
    let mut settings = ours.settings(Auth::None);
    settings.redirects = false;
    open(settings, "/s").await.unwrap_err();
    assert_eq!(ours.seen().len(), 7);
}

#[actix_rt::test]
async fn a_kill_ends_it_behind_a_redirect() {
    let hole = Server::start(|mut tcp| async move {
        request(&mut tcp).await;
        super::server::until_closed(&mut tcp).await;
    });
    let place = format!("http://{}/", hole.addr);
    let ours = Recorder::new(move |_| to(&place));
    let transport = HttpTransport::new(ours.settings(Auth::None)).unwrap();
    let control = Control::new();
    let kill = async {
        while hole.accepted() == 0 {
            tokio::task::yield_now().await;
        }
        control.kill();
    };
    let (opened, ()) =
        within(futures_util::future::join(transport.open_sse("/s", &[], &control), kill)).await;
    assert_eq!(opened.unwrap_err().kind, OpenErrorKind::Killed);
}

#[actix_rt::test]
async fn a_document_is_fetched_with_the_same_secrets() {
    let ours = Recorder::new(|_| "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}".to_owned());
    let settings = ours.settings(Auth::Bearer(Secret::new("s3cret")));
    let transport = HttpTransport::new(settings).unwrap();
    let answer = within(transport.fetch(&ours.url("/api/boot"), &[])).await.unwrap();
    assert_eq!((answer.status, &*answer.body), (404, &b"{}"[..]));
    let [asked] = &ours.seen()[..] else { panic!("one request") };
    assert!(asked.starts_with("get /api/boot http") && asked.contains("bearer s3cret"), "{asked}");
}

//! Each way in which an answer can be lost, refused or late has one way on.

use std::time::Duration;

use super::*;

pub(super) fn config() -> EstablishConfig {
    EstablishConfig {
        server_name: "acme".into(),
        hold_patience: Duration::from_secs(60),
        backoff: BackoffConfig::default(),
        token_backoff: BackoffConfig {
            initial: Duration::from_secs(10),
            max: Duration::from_secs(300),
            ..BackoffConfig::default()
        },
    }
}

fn id(text: &str) -> StreamId {
    StreamId(text.into())
}

fn listed(streams: &[(&str, &str)]) -> Answer {
    let stream = |&(id, name): &(&str, &str)| Listed {
        id: StreamId(id.into()),
        name: name.into(),
        start_date: None,
    };
    Answer::Listed(streams.iter().map(stream).collect())
}

fn failed(failure: CallFailure) -> Answer {
    Answer::Failed { failure, retry_after: None }
}

fn lost() -> Answer {
    failed(CallFailure::Unavailable { status: None, acted: true })
}

/// Drives the procedure with scripted answers; gives the calls it made and how it ended.
struct Script {
    establish: Establish,
    now: Instant,
}

impl Script {
    fn new(known: Option<&str>, start_date: Option<&str>) -> Self {
        Self::of(Ours { stream: known.map(id), ..Ours::default() }, start_date)
    }

    fn of(ours: Ours, start_date: Option<&str>) -> Self {
        let date = start_date.map(|date| date.parse().unwrap());
        let first_day = FirstDay::new(date, date.is_none(), "2026-10-25".parse().ok());
        let establish = Establish::new(config(), ours, first_day, Instant::ZERO, 1);
        Self { establish, now: Instant::ZERO }
    }

    /// Waits until the next call is due, checks it, answers it.
    #[track_caller]
    fn expect(&mut self, call: &Call, answer: Answer) -> Progress {
        self.now = self.now.max(self.establish.deadline().expect("a call is due some time"));
        assert_eq!(self.establish.next_call(self.now).as_ref(), Some(call));
        assert_eq!(self.establish.next_call(self.now), None, "one call at a time");
        self.establish.answered(self.now, answer)
    }
}

fn delete(which: &str) -> Call {
    Call::Delete { id: id(which) }
}

fn create(name: &str, date: Option<&str>) -> Call {
    Call::Create { name: name.into(), start_date: date.map(|date| date.parse().unwrap()) }
}

#[test]
fn the_known_stream_is_deleted_and_made_again() {
    let mut script = Script::new(Some("a"), Some("2026-11-20"));
    assert_eq!(script.expect(&delete("a"), Answer::Deleted), Progress::Deleted(id("a")));
    let progress = script.expect(&create("acme", Some("2026-11-20")), Answer::Created(id("b")));
    let Progress::Done(done) = progress else { panic!("{progress:?}") };
    assert_eq!((done.id, done.name.as_str()), (id("b"), "acme"));
}

#[test]
fn a_first_start_replaces_what_bears_our_name_and_nothing_else() {
    let mut script = Script::new(None, None);
    let streams = [("x", "other"), ("a", "acme"), ("b", "acme~2"), ("c", "acme~x"), ("d", "acmeX")];
    script.expect(&Call::List, listed(&streams));
    script.expect(&delete("a"), Answer::Deleted);
    let strangers = script.establish.take_strangers();
    assert_eq!(strangers.iter().map(|s| s.id.clone()).collect::<Vec<_>>(), [id("b")]);
    script.expect(&create("acme", None), Answer::Created(id("e")));
}

#[test]
fn a_name_with_a_number_is_ours_only_if_that_was_written_down() {
    let streams = [("a", "acme~2"), ("b", "acme~3"), ("c", "acme~2024"), ("d", "acme~4")];
    let ours =
        Ours { stream: None, left_behind: vec![id("b")], announced: vec!["acme~4".to_owned()] };
    let mut script = Script::of(ours, None);
    script.expect(&Call::List, listed(&streams));
    script.expect(&delete("b"), Answer::Deleted);
    script.expect(&delete("d"), Answer::Deleted);
    let progress = script.expect(&create("acme", None), Answer::Created(id("e")));
    assert!(matches!(progress, Progress::Done(_)));
    let strangers = script.establish.take_strangers();
    assert_eq!(strangers.iter().map(|s| s.id.clone()).collect::<Vec<_>>(), [id("a"), id("c")]);
}

#[test]
fn a_stream_alongside_whose_answer_was_lost_is_found_by_its_name() {
    let mut script = Script::new(Some("a"), None);
    while script.establish.held.is_empty() {
        script.expect(&delete("a"), failed(CallFailure::Held));
    }
    script.expect(&Call::List, listed(&[("a", "acme"), ("x", "acme~2")]));
    script.expect(&create("acme~3", None), lost());
    script.expect(&Call::List, listed(&[("a", "acme"), ("x", "acme~2"), ("y", "acme~3")]));
    script.expect(&delete("y"), Answer::Deleted);
    script.expect(&Call::List, listed(&[("a", "acme"), ("x", "acme~2")]));
    script.expect(&create("acme~3", None), Answer::Created(id("z")));
}

#[test]
fn a_first_start_without_a_date_goes_on_from_that_of_the_stream_it_replaces() {
    let mut script = Script::new(None, None);
    let stream = Listed {
        id: id("a"),
        name: "acme".into(),
        start_date: Some("2026-11-01".parse().unwrap()),
    };
    script.expect(&Call::List, Answer::Listed(vec![stream]));
    script.expect(&delete("a"), Answer::Deleted);
    script.expect(&create("acme", Some("2026-11-01")), Answer::Created(id("b")));
}

#[test]
fn an_unanswered_create_is_never_adopted() {
    let mut script = Script::new(Some("a"), Some("2026-11-20"));
    script.expect(&delete("a"), Answer::Deleted);
    script.expect(&create("acme", Some("2026-11-20")), lost());
    script.expect(&Call::List, listed(&[("b", "acme")]));
    script.expect(&delete("b"), Answer::Deleted);
    script.expect(&create("acme", Some("2026-11-20")), Answer::Created(id("c")));
}

#[test]
fn an_unanswered_delete_is_asked_again() {
    let mut script = Script::new(Some("a"), Some("2026-11-20"));
    script.expect(&delete("a"), lost());
    script.expect(&delete("a"), Answer::Deleted);
    script.expect(&create("acme", Some("2026-11-20")), Answer::Created(id("b")));
}

#[test]
fn a_create_that_is_refused_without_a_reason_may_mean_the_name() {
    let mut script = Script::new(Some("a"), Some("2026-11-20"));
    script.expect(&delete("a"), Answer::Deleted);
    let refused = failed(CallFailure::Rejected { status: 422 });
    script.expect(&create("acme", Some("2026-11-20")), refused);
    script.expect(&Call::List, listed(&[("b", "acme")]));
    script.expect(&delete("b"), Answer::Deleted);
    script.expect(&create("acme", Some("2026-11-20")), Answer::Created(id("c")));
}

#[test]
fn a_create_that_acts_and_fails_every_time_is_asked_for_ever_more_slowly() {
    let mut script = Script::new(None, None);
    let mut asked = 0;
    while script.now < Instant::ZERO + Duration::from_secs(60) {
        script.expect(&Call::List, listed(&[("a", "acme")]));
        script.expect(&delete("a"), Answer::Deleted);
        script.expect(&create("acme", None), lost());
        asked += 1;
    }
    assert!(asked < 10, "{asked} CREATEs in a minute");
}

#[test]
fn a_delete_that_does_not_do_what_it_says_is_asked_for_ever_more_slowly() {
    let mut script = Script::new(Some("a"), None);
    let mut asked = 0;
    while script.now < Instant::ZERO + Duration::from_secs(60) {
        script.expect(&delete("a"), Answer::Deleted);
        script.expect(&create("acme", None), failed(CallFailure::NameTaken));
        script.expect(&Call::List, listed(&[("a", "acme")]));
        asked += 1;
    }
    assert!(asked < 10, "{asked} DELETEs in a minute");
}

#[test]
fn a_create_that_is_refused_for_good_is_asked_for_rarely() {
    let mut script = Script::new(None, None);
    let mut asked = 0;
    while script.now < Instant::ZERO + Duration::from_secs(60) {
        script.expect(&Call::List, listed(&[("x", "other")]));
        let refused = failed(CallFailure::Rejected { status: 400 });
        script.expect(&create("acme", None), refused);
        asked += 1;
    }
    assert!(asked < 6, "{asked} CREATEs in a minute");
}

#[test]
fn a_held_member_is_left_behind_after_the_patience() {
    let mut script = Script::new(Some("a"), Some("2026-11-20"));
    let mut asked = 0;
    while script.establish.held.is_empty() {
        script.expect(&delete("a"), failed(CallFailure::Held));
        asked += 1;
    }
    assert!((5..12).contains(&asked), "{asked} DELETEs");
    assert_eq!(script.now, Instant::ZERO + Duration::from_secs(60), "when the patience ends");
    script.expect(&Call::List, listed(&[("a", "acme"), ("x", "other")]));
    let progress = script.expect(&create("acme~2", Some("2026-11-20")), Answer::Created(id("b")));
    let Progress::Done(done) = progress else { panic!("{progress:?}") };
    assert_eq!((done.name.as_str(), done.left_behind), ("acme~2", vec![id("a")]));
}

#[test]
fn without_room_alongside_the_held_stream_is_asked_for_again() {
    let mut script = Script::new(Some("a"), None);
    while script.establish.held.is_empty() {
        script.expect(&delete("a"), failed(CallFailure::Held));
    }
    let full = [("a", "acme"), ("1", "p"), ("2", "q"), ("3", "r"), ("4", "s")];
    script.expect(&Call::List, listed(&full));
    script.expect(&create("acme~2", None), failed(CallFailure::StreamLimit));
    script.expect(&delete("a"), Answer::Deleted);
    script.expect(&create("acme", None), Answer::Created(id("b")));
}

#[test]
fn an_organization_is_full_when_the_service_says_so_and_not_when_we_count_so() {
    let mut script = Script::new(Some("a"), None);
    while script.establish.held.is_empty() {
        script.expect(&delete("a"), failed(CallFailure::Held));
    }
    let six = [("a", "acme"), ("1", "p"), ("2", "q"), ("3", "r"), ("4", "s"), ("5", "t")];
    script.expect(&Call::List, listed(&six));
    script.expect(&create("acme~2", None), Answer::Created(id("b")));
}

#[test]
fn a_list_of_a_moment_ago_leads_to_no_loop() {
    let ours = Ours { left_behind: vec![id("b")], ..Ours::default() };
    let mut script = Script::of(ours, None);
    script.expect(&Call::List, listed(&[("a", "acme"), ("b", "acme~2")]));
    while script.establish.held.is_empty() {
        script.expect(&delete("a"), failed(CallFailure::Held));
    }
    script.expect(&delete("b"), Answer::Deleted);
    script.expect(&Call::List, listed(&[("a", "acme"), ("b", "acme~2")]));
    script.expect(&create("acme~2", None), failed(CallFailure::NameTaken));
    // It is there after all.
    script.expect(&Call::List, listed(&[("a", "acme"), ("b", "acme~2")]));
    script.expect(&delete("b"), Answer::Deleted);
    script.expect(&Call::List, listed(&[("a", "acme"), ("b", "acme~2")]));
    script.expect(&create("acme~2", None), Answer::Created(id("c")));
}

#[test]
fn when_a_stream_alongside_is_refused_the_held_one_is_asked_for_again() {
    for refusal in [CallFailure::StreamLimit, CallFailure::Rejected { status: 422 }] {
        let mut script = Script::new(Some("a"), None);
        for _ in 0..2 {
            while script.establish.held.is_empty() {
                script.expect(&delete("a"), failed(CallFailure::Held));
            }
            script.expect(&Call::List, listed(&[("a", "acme")]));
            script.expect(&create("acme~2", None), failed(refusal));
        }
        script.expect(&delete("a"), Answer::Deleted);
        script.expect(&create("acme", None), Answer::Created(id("b")));
    }
}

#[test]
fn a_refused_token_is_asked_rarely() {
    let mut script = Script::new(None, None);
    let mut asked = 0;
    while script.now < Instant::ZERO + Duration::from_secs(60) {
        script.expect(&Call::List, failed(CallFailure::Token { status: 401 }));
        asked += 1;
        script.now = script.establish.deadline().unwrap();
    }
    assert!(asked < 6, "{asked} calls in a minute");
}

#[test]
fn a_retry_after_is_honoured_with_every_refusal() {
    let asked = Duration::from_secs(40);
    for failure in [
        CallFailure::Token { status: 401 },
        CallFailure::Token { status: 403 },
        CallFailure::Held,
        CallFailure::NameTaken,
        CallFailure::StreamLimit,
        CallFailure::Rejected { status: 422 },
        CallFailure::Unavailable { status: Some(503), acted: true },
    ] {
        let mut script = Script::new(Some("a"), None);
        let retry_after = Some(asked);
        script.expect(&delete("a"), Answer::Failed { failure, retry_after });
        assert!(script.establish.deadline().unwrap() >= Instant::ZERO + asked, "{failure:?}");
    }
}

#[test]
fn a_held_member_is_not_waited_for_beyond_the_patience() {
    let mut script = Script::new(Some("a"), None);
    let held = |seconds| Answer::Failed {
        failure: CallFailure::Held,
        retry_after: Some(Duration::from_secs(seconds)),
    };
    script.expect(&delete("a"), held(600));
    script.expect(&Call::List, listed(&[("a", "acme")]));
    assert_eq!(script.now, Instant::ZERO + Duration::from_secs(60), "when the patience ends");
    let progress = script.expect(&create("acme~2", None), Answer::Created(id("b")));
    let Progress::Done(done) = progress else { panic!("{progress:?}") };
    assert_eq!(done.left_behind, [id("a")]);
    let asked = Instant::ZERO + Duration::from_secs(600);
    assert_eq!(done.not_before, asked, "the next DELETE is when the service has asked for it");
}

#[test]
fn a_stream_that_cannot_be_deleted_is_left_behind_whatever_the_refusal() {
    for failure in [
        CallFailure::Rejected { status: 400 },
        CallFailure::Rejected { status: 405 },
        CallFailure::Token { status: 403 },
        CallFailure::Unavailable { status: Some(500), acted: true },
        CallFailure::Unavailable { status: None, acted: true },
    ] {
        let mut script = Script::new(Some("a"), Some("2026-11-20"));
        let mut asked = 0;
        while script.now < Instant::ZERO + Duration::from_secs(60) {
            script.expect(&delete("a"), failed(failure));
            asked += 1;
        }
        assert!((4..12).contains(&asked), "{failure:?}: {asked} DELETEs");
        script.expect(&Call::List, listed(&[("a", "acme")]));
        // Everything else works: this one decides.
        script.expect(&delete("a"), failed(failure));
        script.expect(&Call::List, listed(&[("a", "acme")]));
        let progress =
            script.expect(&create("acme~2", Some("2026-11-20")), Answer::Created(id("b")));
        let Progress::Done(done) = progress else { panic!("{failure:?}: {progress:?}") };
        assert_eq!(done.left_behind, [id("a")]);
        let late = Instant::ZERO + Duration::from_secs(70);
        assert!(script.now < late, "{failure:?}: soon after the patience has ended");
    }
}

#[test]
fn after_an_outage_the_old_stream_is_deleted_and_not_left_behind() {
    let mut script = Script::new(Some("a"), None);
    let away = failed(CallFailure::Unavailable { status: Some(503), acted: false });
    while script.now < Instant::ZERO + Duration::from_secs(60) {
        script.expect(&delete("a"), away.clone());
    }
    for _ in 0..5 {
        script.expect(&Call::List, away.clone());
    }
    script.expect(&Call::List, listed(&[("a", "acme")]));
    script.expect(&delete("a"), Answer::Deleted);
    script.expect(&create("acme", None), Answer::Created(id("b")));
}

#[test]
fn a_409_is_held_for_a_delete_alone_and_trouble_elsewhere() {
    let mut script = Script::new(Some("a"), None);
    script.expect(&delete("a"), failed(CallFailure::Held));
    assert_eq!(script.establish.trouble(), None, "the service needs a moment");
    script.expect(&delete("a"), Answer::Deleted);
    let asked = Some(Duration::from_secs(40));
    let held = Answer::Failed { failure: CallFailure::Held, retry_after: asked };
    script.expect(&create("acme", None), held);
    let answered = script.now;
    script.expect(&Call::List, listed(&[]));
    assert!(script.now.since(answered) >= Duration::from_secs(40), "as it was asked for");
    assert_eq!(script.establish.trouble(), Some("call_refused"), "a list changes nothing");
    script.expect(&create("acme", None), Answer::Created(id("b")));
}

#[test]
fn a_name_that_is_taken_but_not_listed_is_left_for_another_after_two_rounds() {
    for refusal in [CallFailure::NameTaken, CallFailure::Rejected { status: 409 }] {
        let mut script = Script::new(None, None);
        let streams = [("x", "ACME"), ("y", "other")];
        for _ in 0..2 {
            script.expect(&Call::List, listed(&streams));
            script.expect(&create("acme", None), failed(refusal));
        }
        let progress = script.expect(&Call::List, listed(&streams));
        let resembling = vec!["ACME".to_owned()];
        assert_eq!(progress, Progress::NameTaken { name: "acme".into(), resembling });
        script.expect(&create("acme~2", None), Answer::Created(id("b")));
    }
}

#[test]
fn a_name_is_taken_for_good_only_by_a_refusal_that_may_be_about_it() {
    let mut script = Script::new(None, None);
    for _ in 0..5 {
        script.expect(&Call::List, listed(&[("y", "other")]));
        script.expect(&create("acme", None), failed(CallFailure::Rejected { status: 400 }));
    }
    for _ in 0..2 {
        script.expect(&Call::List, listed(&[]));
        script.expect(&create("acme", None), failed(CallFailure::NameTaken));
    }
    script.expect(&Call::List, listed(&[]));
    script.expect(&create("acme~2", None), Answer::Created(id("b")));
}

#[test]
fn a_service_to_which_every_name_is_taken_is_asked_rarely_and_nothing_grows() {
    let mut script = Script::new(None, None);
    let due = |script: &mut Script, answer: Answer| {
        script.now = script.now.max(script.establish.deadline().unwrap());
        assert!(script.establish.next_call(script.now).is_some());
        script.establish.answered(script.now, answer);
    };
    for _ in 0..200 {
        due(&mut script, listed(&[]));
        due(&mut script, failed(CallFailure::NameTaken));
    }
    assert!(script.establish.taken.len() <= TAKEN_MAX + 1);
    assert_eq!(script.establish.trouble(), Some("call_refused"));
    assert!(script.now > Instant::ZERO + Duration::from_secs(2_000));
}

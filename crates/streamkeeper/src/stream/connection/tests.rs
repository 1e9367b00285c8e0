//! What an attempt or a panic comes to.

use actix_rt::{Arbiter, System};
use streamkeeper_core::id::{Epoch, SlotId};

use crate::dialect::inform::Inform;

use super::*;
use crate::base::clock::Clock;
use streamkeeper_core::id::Reader;

/// An actor whose one future panics while it holds a connection's end.
struct Doomed(Option<Ending>);

impl Actor for Doomed {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let ending = self.0.take();
        ctx.spawn(actix::fut::wrap_future(async move {
            let _held = ending;
            panic!("on purpose");
        }));
    }
}

#[test]
fn a_panic_is_reported_as_an_end_and_the_arbiter_lives_on() {
    System::new().block_on(async {
        let (reports, mut receiver) = Reports::channel(Clock::start());
        let connection = ConnectionId { reader: Reader::Slot(SlotId(3)), epoch: Epoch(7) };
        let arbiter = Arbiter::new();
        let ending = Ending { reports, connection, end: End::Panicked };
        let doomed = Doomed::start_in_arbiter(&arbiter.handle(), move |_| Doomed(Some(ending)));
        let (_, input) = receiver.recv().await.unwrap();
        assert_eq!(input, Input::Ended { connection, end: End::Panicked });
        assert!(arbiter.spawn(async {}), "its neighbours live on");
        drop(doomed);
    });
}

#[test]
fn every_answer_that_is_no_stream_has_a_meaning() {
    let kinds = [
        (OpenErrorKind::NotEventStream, End::Refused(Refusal::NotEvents)),
        (OpenErrorKind::ContentEncoding, End::Refused(Refusal::NotEvents)),
        (OpenErrorKind::Timeout, End::NotOpened { sent: true }),
    ];
    let dialect = Dialect::Inform(Inform::default());
    for (kind, end) in kinds {
        let error = OpenError { phase: crate::transport::OpenPhase::Head, sent: true, kind };
        assert_eq!(end_of_open(&dialect, &error).0, end);
    }
}

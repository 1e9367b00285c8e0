//! What a sink's error means for each stream of the delivery.

use streamkeeper_core::id::FeedId;
use streamkeeper_core::turns::{Blamed, DeliveryId, Fate, Input, Retry};
use streamkeeper_sink::{Blame, Envelope, Failure, SinkError};

/// A stream in a delivery.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) feed: FeedId,
    /// So many events.
    pub(super) events: usize,
    /// Once they are with the sink, it has everything before.
    pub(super) through: u64,
}

/// When what has failed is tried again.
pub(super) const fn retry(failure: Failure) -> Retry {
    match failure {
        Failure::Busy { retry_after } => Retry::Growing { at_least: retry_after },
        Failure::Broken => Retry::Growing { at_least: None },
        // That an event is refused says nothing where none was given.
        Failure::Refused | Failure::Poisoned => Retry::Held,
    }
}

/// What became of each part of a delivery.
///
/// A sink that blames a stream or an event that it was not given, blames all that it was given: somebody has to
/// wait. A stream that has gone meanwhile may be the one that is named, so it is among the parts as well.
pub(super) fn input(
    delivery: DeliveryId,
    parts: &[(Part, &[Envelope])],
    error: &SinkError,
) -> Input {
    let is_of_events = error.failure == Failure::Poisoned;
    // The sink as a whole refuses no event: some stream's it is, and nobody knows whose.
    let is_whole = error.blame == Blame::Sink && !is_of_events;
    let blames_any = parts.iter().any(|(_, events)| blames(events, error));
    let fate = |(part, events): &(Part, &[Envelope])| {
        let done = done(events, error);
        let left = events.len() - done;
        let is_blamed = !is_whole && (blames(events, error) || !blames_any);
        let blamed = is_blamed.then(|| {
            if is_of_events {
                Blamed::Poisoned {
                    at: first_named(events, error).map(|at| at.saturating_sub(done)),
                }
            } else {
                Blamed::Retry(retry(error.failure))
            }
        });
        Fate { feed: part.feed, done, left, blamed }
    };
    let fates = parts.iter().map(fate).collect();
    Input::Failed { delivery, whole: is_whole.then(|| retry(error.failure)), fates }
}

/// How many of the first events of a stream are with the sink in spite of the error.
pub(super) fn done(events: &[Envelope], error: &SinkError) -> usize {
    let source = events.first().map(|event| &*event.source);
    let said = error.done.iter().find(|(stream, _)| Some(&**stream) == source);
    let said = said.map_or(0, |(_, events)| *events).min(events.len());
    // What is refused is not there, whatever else is said.
    first_named(events, error).map_or(said, |at| said.min(at))
}

fn blames(events: &[Envelope], error: &SinkError) -> bool {
    match &error.blame {
        Blame::Sink => false,
        Blame::Streams(streams) => {
            events.first().is_some_and(|event| streams.iter().any(|name| **name == *event.source))
        }
        Blame::Events(_) => first_named(events, error).is_some(),
    }
}

/// The first event that is blamed.
fn first_named(events: &[Envelope], error: &SinkError) -> Option<usize> {
    let Blame::Events(named) = &error.blame else { return None };
    let is_named = |event: &Envelope| {
        named.iter().any(|(stream, at)| *at == event.sequence && **stream == *event.source)
    };
    events.iter().position(is_named)
}

#[cfg(test)]
mod tests {
    use streamkeeper_sink::testkit::envelopes_of;

    use super::*;

    const ID: DeliveryId = DeliveryId(1);

    /// Done, left, and what is held against it.
    type Told = (usize, usize, Option<Blamed>);

    fn fates(error: &SinkError) -> (Option<Retry>, Vec<Told>) {
        let (acme, other) = (envelopes_of("acme", 10..15), envelopes_of("other", 3..5));
        let part = |feed, events: usize| Part { feed: FeedId(feed), events, through: 0 };
        let parts = [(part(1, 5), &*acme), (part(2, 2), &*other)];
        let Input::Failed { whole, fates, .. } = input(ID, &parts, error) else { panic!() };
        (whole, fates.iter().map(|fate| (fate.done, fate.left, fate.blamed)).collect())
    }

    const HELD: Option<Blamed> = Some(Blamed::Retry(Retry::Held));

    fn poisoned(at: Option<usize>) -> Option<Blamed> {
        Some(Blamed::Poisoned { at })
    }

    #[test]
    fn a_sink_that_blames_itself_blames_no_stream() {
        let error = SinkError::refused("wrong_password").with_done("acme", 2);
        assert_eq!(fates(&error), (Some(Retry::Held), vec![(2, 3, None), (0, 2, None)]));
    }

    #[test]
    fn a_stream_that_is_named_waits_and_one_that_is_unknown_makes_all_wait() {
        let error = SinkError::refused("x").of_stream("other").with_done("acme", 99);
        assert_eq!(fates(&error), (None, vec![(5, 0, None), (0, 2, HELD)]));
        let error = SinkError::refused("x").of_stream("unheard-of");
        assert_eq!(fates(&error), (None, vec![(0, 5, HELD), (0, 2, HELD)]));
    }

    #[test]
    fn an_event_that_is_named_is_counted_from_what_is_left_and_never_done() {
        let event = &envelopes_of("acme", 13..14)[0];
        let error = SinkError::poisoned("x").of_event(event).with_done("acme", 1);
        assert_eq!(fates(&error), (None, vec![(1, 4, poisoned(Some(2))), (0, 2, None)]));
        let error = SinkError::poisoned("x").of_event(event).with_done("acme", 5);
        assert_eq!(fates(&error).1[0], (3, 2, poisoned(Some(0))));
    }

    #[test]
    fn an_event_that_nobody_names_may_be_any() {
        let error = SinkError::poisoned("x");
        assert_eq!(fates(&error), (None, vec![(0, 5, poisoned(None)), (0, 2, poisoned(None))]));
        let error = SinkError::poisoned("x").of_stream("other");
        assert_eq!(fates(&error), (None, vec![(0, 5, None), (0, 2, poisoned(None))]));
    }
}

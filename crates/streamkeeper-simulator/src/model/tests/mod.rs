//! The model's rules, each with exact times; then what must hold under any schedule.

mod calls;
mod data;
mod endings;
mod pokes;
mod properties;

use super::*;

/// A UTC midnight.
const START: Millis = 20_000 * DAY;

/// A service where nothing takes time and nothing is generated.
fn quiet() -> Config {
    Config { users: 4, history_rate: u32::MAX, ..Config::default() }
}

fn model(config: Config) -> Model {
    Model::new(config, 7, START)
}

/// A model with one stream of all data and one client that has all users.
fn connected(config: Config) -> (Model, StreamId, ClientId) {
    let mut model = model(config);
    let stream = model.create(NewStream::named("acme"), START).unwrap();
    let client = model.connect(stream, START).unwrap();
    (model, stream, client)
}

fn read(model: &mut Model, client: ClientId, now: Millis) -> Vec<Frame> {
    let mut frames = Vec::new();
    model.poll(client, now, usize::MAX, &mut frames);
    frames
}

fn events_of(frames: &[Frame]) -> Vec<usize> {
    let event = |frame: &Frame| match frame {
        Frame::Event { event, .. } => Some(event.index()),
        _ => None,
    };
    frames.iter().filter_map(event).collect()
}

/// The events read by this client up to `now`, as places in the history.
fn read_events(model: &mut Model, client: ClientId, now: Millis) -> Vec<usize> {
    events_of(&read(model, client, now))
}

fn publish(model: &mut Model, user: u32, now: Millis) -> usize {
    model.publish(user, What::New(Resource::Summary), now).unwrap().index()
}

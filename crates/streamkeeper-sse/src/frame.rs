//! What a stream is made of: events and comments.
//!
//! An [`Event`] is one block of fields as it was sent, before any meaning is given to it. It is
//! therefore more than what the standard would dispatch: [`Event::has_data`] tells the two apart.
//! Nothing is inherited from earlier blocks; the last event id and the reconnection time are state
//! of the connection, which the caller keeps.

use std::time::Duration;

use crate::{Label, Text};

/// One complete server-sent event or comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A block of fields, ended by a blank line.
    Event(Event),
    /// A comment line, without its colon and without the one space that may follow it.
    Comment(Text),
}

/// One block of fields.
///
/// ```
/// use streamkeeper_sse::Event;
///
/// let event = Event::new("{}").with_name("poke");
/// assert!(event.has_data());
/// let cursor = Event::default().with_id("1718:0");
/// assert!(!cursor.has_data());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The event type. None if it was not given or empty: the standard then says `message`.
    pub name: Option<Label>,
    /// The values of the `data` lines, joined by LF. See [`Event::has_data`].
    pub data: Text,
    /// The last event id that this block sets; empty resets it. An id with a NUL is ignored.
    pub id: Option<Label>,
    /// The reconnection time that this block sets, in whole milliseconds, as it was given (zero
    /// too; beyond `u64::MAX` it is that). Bounding it is up to the caller.
    pub retry: Option<Duration>,
    /// The fields that the standard ignores, in the order they came.
    pub fields: Vec<Field>,
    pub(crate) has_data_line: bool,
}

impl Event {
    /// An event with data.
    pub fn new(data: impl Into<Text>) -> Self {
        Self { data: data.into(), has_data_line: true, ..Self::default() }
    }

    /// Whether the block has data, if only an empty `data` line. The standard dispatches nothing
    /// for a block without; it may still set the last event id and the reconnection time.
    pub fn has_data(&self) -> bool {
        self.has_data_line || !self.data.is_empty()
    }

    /// The same event with a type.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Label>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same event with an id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<Label>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The same event with a reconnection time, of which whole milliseconds are sent.
    #[must_use]
    pub fn with_retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// The same event with one more field that the standard does not know.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<Label>, value: impl Into<Label>) -> Self {
        self.fields.push(Field { name: name.into(), value: value.into() });
        self
    }
}

/// A field that the standard ignores. Its name may be in any case, its value empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What is before the first colon, or the whole line if it has none.
    pub name: Label,
    /// What is after the colon, without the one space that may follow it.
    pub value: Label,
}

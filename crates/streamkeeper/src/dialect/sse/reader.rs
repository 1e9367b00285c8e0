//! What the frames of one connection mean. It has no clock, and keeps only what the next frame needs.
//!
//! Each frame is told as one of `Alive`, `Ignored`, `Heartbeat` and `Event`, in that order last: what else it says
//! comes before, and where the server is behind it, after. A frame that cannot be decoded is the caller's to tell.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use streamkeeper_core::cursored::GapSign;
use streamkeeper_core::id::Cursor;
use streamkeeper_sse::{Event as Block, Frame, Label};

use crate::config::{AliveOn, CursorAt, GapCheck, IdentityAt, Interval};

use super::super::Reading;
use super::super::part::Part;
use super::{Sse, named, seconds};

/// A server's longest wish that is told; what is longer is told as this.
const RETRY_MAX: Duration = Duration::from_secs(60 * 60);

/// Reads the frames of one connection, in order.
#[derive(Debug)]
pub(crate) struct SseReader {
    sse: Arc<Sse>,
    /// What the server was asked with.
    asked: Option<Cursor>,
    /// Where ids count up: the lowest and the highest number that it has counted, with that it was asked with.
    counted: Option<(u64, u64)>,
    /// Cursors that nobody can ask with.
    unusable: u64,
}

/// What the head of an answer says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) gap: Option<GapSign>,
    pub(crate) interval: Option<Duration>,
}

/// What is told of a block besides its own content.
enum Role {
    Event,
    Heartbeat,
    /// It is read for what it says, and proves life or not.
    Silent {
        alive: bool,
    },
}

impl SseReader {
    pub(super) fn new(sse: Arc<Sse>, asked: Option<Cursor>) -> Self {
        let number = asked.as_ref().and_then(|cursor| number_at_end(cursor.as_str()));
        let counted = number.map(|number| (number, number));
        Self { sse, asked, counted, unusable: 0 }
    }

    /// What the headers of the answer say.
    pub(crate) fn opened<'h>(&self, header: impl Fn(&str) -> Option<&'h str>) -> Opened {
        let gap = match (&self.sse.row.gap_check, &self.asked) {
            (GapCheck::Header(name), Some(asked)) => {
                let is_as_asked = header(name).is_some_and(|said| said.trim() == asked.as_str());
                (!is_as_asked).then_some(GapSign::Header)
            }
            _ => None,
        };
        let interval = match &self.sse.row.interval {
            Interval::Header(name) => header(name).and_then(seconds),
            _ => None,
        };
        Opened { gap, interval }
    }

    /// Whether any bytes prove life, also those that complete no frame.
    pub(crate) fn lives_on_bytes(&self) -> bool {
        matches!(self.sse.row.alive_on, AliveOn::Bytes)
    }

    /// How many ids came that are too long to be asked with.
    pub(crate) const fn unusable(&self) -> u64 {
        self.unusable
    }

    /// Tells what a frame means.
    pub(crate) fn read(&mut self, frame: Frame, tell: &mut impl FnMut(Reading)) {
        let block = match frame {
            Frame::Comment(_) => {
                let alive = matches!(self.sse.row.alive_on, AliveOn::Bytes | AliveOn::Comments);
                return tell(if alive { Reading::Alive } else { Reading::Ignored });
            }
            Frame::Event(block) => block,
        };
        if let Some(retry) = block.retry {
            tell(Reading::Retry(retry.min(RETRY_MAX)));
        }
        let sse = Arc::clone(&self.sse);
        let name = sse.name_of(&block);
        let own = sse.cursor_of(&block);
        let cursor = own.as_deref().and_then(Cursor::new);
        let cursor = cursor.filter(|cursor| sse.can_ask(cursor));
        self.unusable += u64::from(own.is_some() && cursor.is_none());
        if sse.row.gap_check == GapCheck::Sequence
            && own.as_deref().is_some_and(|own| self.skips(own))
        {
            tell(Reading::Gap(GapSign::Sequence));
        }
        let role = sse.role(&block, name.as_ref().map(Label::as_str), tell);
        match role {
            Role::Event => {
                let key = sse.key_of(&block, own.as_deref());
                return tell(Reading::Event(named(name, key, cursor, block.data)));
            }
            Role::Heartbeat => tell(Reading::Heartbeat),
            Role::Silent { alive: true } => tell(Reading::Alive),
            Role::Silent { alive: false } => tell(Reading::Ignored),
        }
        if let Some(cursor) = cursor {
            tell(Reading::Cursor(cursor));
        }
    }

    /// Whether an id does not go on with the count: it leaves out one before it, or the server has begun to count
    /// anew, which is seen by a number below all that were counted. One of those comes again.
    fn skips(&mut self, id: &str) -> bool {
        let Some(number) = number_at_end(id) else { return false };
        let Some((lowest, highest)) = self.counted else {
            self.counted = Some((number, number));
            return false;
        };
        let is_anew = number < lowest;
        self.counted = Some(if is_anew { (number, number) } else { (lowest, highest.max(number)) });
        is_anew || number > highest.saturating_add(1)
    }
}

impl Sse {
    fn name_of(&self, block: &Block) -> Option<Label> {
        let pointed = self.pointers.name.as_ref().and_then(|at| at.find(block.data.as_str()));
        match pointed {
            Some(name) if !name.is_empty() => Some(Label::from(&*name)),
            _ => block.name.clone(),
        }
    }

    /// The block's own cursor. An empty id says that there is none, and what is there is as good as ever.
    fn cursor_of<'a>(&self, block: &'a Block) -> Option<Cow<'a, str>> {
        let own = match &self.row.cursor {
            CursorAt::Id => block.id.as_ref().map(|id| Cow::Borrowed(id.as_str())),
            CursorAt::Pointer(_) => self.pointers.cursor.as_ref()?.find(block.data.as_str()),
            CursorAt::None => None,
        };
        own.filter(|own| !own.is_empty())
    }

    /// What tells the event from others; a key of our own where nothing does.
    fn key_of(&self, block: &Block, cursor: Option<&str>) -> Part {
        let data = block.data.as_str();
        let found = match &self.row.identity {
            IdentityAt::Cursor => cursor.map(Cow::Borrowed),
            IdentityAt::Pointer(_) => self.pointers.identity.as_ref().and_then(|at| at.find(data)),
            IdentityAt::None => None,
        };
        match found.filter(|key| !key.is_empty()) {
            Some(key) => Part::new(key, data),
            None => Part::Beside(self.keys.draw()),
        }
    }

    /// What a block is; what is said by its name is told.
    fn role(&self, block: &Block, name: Option<&str>, tell: &mut impl FnMut(Reading)) -> Role {
        let row = &self.row;
        let name = name.or_else(|| block.has_data().then_some("message"));
        let is = |known: &str| name == Some(known);
        let is_in = |names: &[String]| names.iter().any(|known| is(known));
        let mut is_said = false;
        if let Interval::Event { event, .. } = &row.interval
            && is(event)
        {
            is_said = true;
            let at = self.pointers.interval.as_ref();
            let number = at.and_then(|at| at.find(block.data.as_str()));
            if let Some(interval) = number.and_then(|number| seconds(&number)) {
                tell(Reading::Interval(interval));
            }
        }
        if let GapCheck::Event(event) = &row.gap_check
            && is(event)
        {
            is_said = true;
            tell(Reading::Gap(GapSign::Event));
        }
        if is_in(&row.end) {
            is_said = true;
            tell(Reading::Planned);
        }
        let alive = match &row.alive_on {
            AliveOn::Bytes | AliveOn::Events => true,
            AliveOn::Comments => false,
            AliveOn::Named(names) => is_in(names),
        };
        if is_in(&row.heartbeats) {
            Role::Heartbeat
        } else if is_in(&row.ignore) {
            Role::Silent { alive: false }
        } else if is_said || !block.has_data() {
            Role::Silent { alive }
        } else {
            Role::Event
        }
    }
}

/// The number at the end of an id.
fn number_at_end(id: &str) -> Option<u64> {
    let digits = id.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    id.get(digits..)?.parse().ok()
}

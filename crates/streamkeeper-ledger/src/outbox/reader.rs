//! Reads committed events from the segments, in order, from any thread.
//!
//! A reader has a file handle and a place in it; it takes the shared lock only to see how far the
//! log is durable. It unpacks one frame at a time and keeps what the caller did not take yet.

use std::collections::VecDeque;

use crate::error::LedgerError;
use crate::event::Entry;
use crate::fs::Access;
use crate::outbox::Outbox;
use crate::record;
use crate::segment::{Depth, Fault, SEGMENT_HEADER_BYTES, Scan, Scanned, Segment};

/// A place in the outbox.
#[derive(Debug)]
pub struct OutboxReader {
    outbox: Outbox,
    /// The next event to give.
    next: u64,
    ready: VecDeque<Entry>,
    place: Option<Place>,
}

/// Where the next frame is.
#[derive(Debug)]
struct Place {
    segment: Segment,
    offset: u64,
    sequence: u64,
}

impl OutboxReader {
    pub(crate) const fn new(outbox: Outbox, from: u64) -> Self {
        Self { outbox, next: from, ready: VecDeque::new(), place: None }
    }

    /// The sequence number of the next event that [`OutboxReader::read`] gives, unless it is gone by then.
    #[must_use]
    pub const fn next_sequence(&self) -> u64 {
        self.next
    }

    /// The next events: at most so many, and at most so many bytes of heads and payloads, but one at
    /// least; none if there are none yet.
    ///
    /// # Errors
    /// [`LedgerError::Io`]; [`LedgerError::Damaged`] if what was committed cannot be read back. The
    /// reader stays where it was and can be asked again.
    pub fn read(&mut self, events_max: usize, bytes_max: usize) -> Result<Vec<Entry>, LedgerError> {
        let mut taken = Vec::new();
        let mut bytes = 0_usize;
        while taken.len() < events_max {
            let Some(entry) = self.ready.pop_front() else {
                // What has been taken is given; an error comes again at the next call.
                match self.unpack() {
                    Ok(true) => continue,
                    Err(error) if taken.is_empty() => return Err(error),
                    Ok(false) | Err(_) => break,
                }
            };
            bytes = bytes.saturating_add(entry.head.len() + entry.payload.len());
            if bytes > bytes_max && !taken.is_empty() {
                self.ready.push_front(entry);
                break;
            }
            self.next = entry.sequence + 1;
            taken.push(entry);
        }
        Ok(taken)
    }

    /// Unpacks the frame of the next event; `false` if it is not committed yet.
    fn unpack(&mut self) -> Result<bool, LedgerError> {
        loop {
            let (start, end, oldest) = {
                let log = self.outbox.shared.lock();
                self.next = self.next.max(log.oldest());
                let holds = |first: u64| first <= self.next;
                let segment = log.segments.iter().rev().find(|segment| holds(segment.first));
                (segment.map(|segment| segment.first), log.end, log.oldest())
            };
            let Some(first) = start.filter(|_| self.next < end) else { return Ok(false) };
            let frame = self.frame_in(first);
            match frame {
                // The segment may have been removed in between: every sink has what was in it.
                Err(error) if self.outbox.shared.lock().oldest() == oldest => return Err(error),
                Err(_) => self.place = None,
                Ok(entries) => {
                    self.ready = entries;
                    return Ok(true);
                }
            }
        }
    }

    /// The events from `self.next` on of the frame that holds it, in the segment that starts at `first`.
    fn frame_in(&mut self, first: u64) -> Result<VecDeque<Entry>, LedgerError> {
        let here =
            |place: &Place| place.segment.first_sequence == first && place.sequence <= self.next;
        let place = match self.place.take().filter(here) {
            Some(place) => place,
            None => {
                let Outbox { fs, dir, .. } = &self.outbox;
                let (segment, _) = Segment::open(fs.as_ref(), dir, first, Access::Read)?;
                Place { segment, offset: SEGMENT_HEADER_BYTES, sequence: first }
            }
        };
        let Place { segment, offset, sequence } = place;
        let mut scan = Scan::at(&segment, offset, sequence, segment.len()?);
        let next = self.next;
        let entries = loop {
            let at = scan.offset;
            let depth = |header: &record::FrameHeader| {
                if header.end() > next { Depth::Whole } else { Depth::Header }
            };
            match scan.next(depth)? {
                Scanned::Frame { header, .. } if header.end() <= next => {}
                Scanned::Frame { header, keys, body, .. } => {
                    let what = "a frame does not unpack to what it says";
                    let fault = Fault { offset: at, what };
                    let entries = record::entries(&header, keys, body);
                    break entries.ok_or_else(|| segment.damaged(&fault))?;
                }
                Scanned::Fault(fault) => return Err(segment.damaged(&fault)),
                Scanned::End { .. } => {
                    let what = "committed events are missing";
                    return Err(segment.damaged(&Fault { offset: at, what }));
                }
            }
        };
        let (offset, sequence) = (scan.offset, scan.sequence);
        self.place = Some(Place { segment, offset, sequence });
        Ok(entries.into_iter().filter(|entry| entry.sequence >= next).collect())
    }
}

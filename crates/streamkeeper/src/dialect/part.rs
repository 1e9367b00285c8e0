//! A text that lies within another: where it is, in place of a copy.
//!
//! Every event has a handful of names (its record, its version, its user), and nearly always they
//! stand in its payload as they are. A copy of each would be made on the thread that reads and be
//! freed on the one that writes, which is the dearest way to use an allocator.

use std::borrow::Cow;
use std::ops::Range;

/// A part of a text, or a text beside it.
pub(crate) enum Part {
    Within(Range<u32>),
    /// It stands nowhere as it is: it had escapes, or is a digest.
    Beside(Box<str>),
}

impl Part {
    /// `text`, as it is to be found in `whole`.
    pub(crate) fn new(text: Cow<'_, str>, whole: &str) -> Self {
        match text {
            Cow::Borrowed(text) => {
                place(text, whole).map_or_else(|| Self::Beside(text.into()), Self::Within)
            }
            Cow::Owned(text) => Self::Beside(text.into()),
        }
    }

    /// The text; `whole` is what it was made with.
    pub(crate) fn of<'a>(&'a self, whole: &'a str) -> &'a str {
        match self {
            Self::Within(Range { start, end }) => {
                whole.get(*start as usize..*end as usize).unwrap_or_default()
            }
            Self::Beside(text) => text,
        }
    }
}

/// Where in `whole` the very bytes of `text` are.
fn place(text: &str, whole: &str) -> Option<Range<u32>> {
    let start = text.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(text.len())?;
    let here = whole.get(start..end)?;
    let range = u32::try_from(start).ok()?..u32::try_from(end).ok()?;
    std::ptr::eq(here, text).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_comes_back_wherever_it_was() {
        let whole = "one two";
        let (_, two) = whole.split_at(4);
        let within = Part::new(two.into(), whole);
        assert!(matches!(within, Part::Within(Range { start: 4, end: 7 })));
        assert_eq!(within.of(whole), "two");
        for text in ["two", "three", ""].map(String::from) {
            let beside = Part::new(text.as_str().into(), whole);
            assert!(matches!(beside, Part::Beside(_)));
            assert_eq!(beside.of(whole), text);
            assert_eq!(Part::new(text.clone().into(), whole).of(whole), text);
        }
    }
}

//! Text that shares the chunk it came from.
//!
//! [`Text`] is what a frame is made of: bytes known to be UTF-8, cheap to clone, silent when
//! printed. [`Source`] is one piece of input, a chunk or a line joined from several, from which
//! texts are cut.
//!
//! A source is validated once, as a whole, when it arrives; cutting a text out of the valid part
//! then costs no more than a reference count. Only where a source is not UTF-8 (bad bytes, or a
//! chunk that was cut within a character) is a text validated by itself. That is sound because
//! every cut is beside an ASCII byte or at an end of the source, which no valid character spans.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use bytestring::ByteString;
use smol_str::SmolStr;

/// UTF-8 text in shared bytes: a clone costs a reference count.
///
/// A text may be a slice of the chunk that it was decoded from, and then keeps that whole chunk in
/// memory; copy it (`Text::from(text.as_str())`) to keep it for long.
///
/// `Debug` prints the length and nothing else, since payloads are health data.
///
/// ```
/// use streamkeeper_sse::Text;
///
/// let text = Text::from("steps: 6392");
/// assert_eq!(text.as_str(), "steps: 6392");
/// assert_eq!(format!("{text:?}"), "Text(11 bytes)");
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(ByteString);

impl Text {
    /// The bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }
}

/// A short UTF-8 text of its own: a name, an id. Up to 23 bytes need no allocation, so that taking
/// one out of a chunk neither costs a reference count nor keeps the chunk in memory.
///
/// `Debug` prints the length and nothing else: an id may identify a person.
///
/// ```
/// use streamkeeper_sse::Label;
///
/// let label = Label::from("poke");
/// assert_eq!(label.as_str(), "poke");
/// assert_eq!(format!("{label:?}"), "Label(4 bytes)");
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(SmolStr);

/// What both kinds of text can do.
macro_rules! text {
    ($name:ident, $inner:ident :: $new:ident) => {
        impl $name {
            /// One that lives as long as the program.
            pub const fn from_static(text: &'static str) -> Self {
                Self($inner::$new(text))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The length in bytes.
            pub fn len(&self) -> usize {
                self.0.len()
            }

            /// Whether there is nothing in it.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({} bytes)", stringify!($name), self.len())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        /// Copies.
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }
    };
}

text!(Text, ByteString::from_static);
text!(Label, SmolStr::new_static);

/// One contiguous piece of input.
#[derive(Default)]
pub(crate) struct Source {
    bytes: Bytes,
    /// The longest prefix of `bytes` that is UTF-8: nearly always all of it.
    utf8: ByteString,
}

impl Source {
    pub(crate) fn new(bytes: Bytes) -> Self {
        let utf8 = ByteString::try_from(bytes.clone()).unwrap_or_else(|error| {
            ByteString::try_from(bytes.slice(..error.valid_up_to())).unwrap_or_default()
        });
        Self { bytes, utf8 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Cuts a text out: shared where it is UTF-8; otherwise a copy in which every bad sequence is
    /// replaced by U+FFFD (the standard's "UTF-8 decode") and counted.
    ///
    /// Both ends of the range must be ends of the source or lie beside an ASCII byte.
    #[inline]
    pub(crate) fn text(&self, range: Range<usize>, replaced: &mut u64) -> Text {
        if let Some(text) = self.utf8.get(range.clone()) {
            return Text(self.utf8.slice_ref(text));
        }
        ByteString::try_from(self.bytes.slice(range.clone()))
            .map_or_else(|_| self.replace(range, replaced).into(), Text)
    }

    /// The same, to be copied.
    #[inline]
    pub(crate) fn str(&self, range: Range<usize>, replaced: &mut u64) -> Cow<'_, str> {
        match self.utf8.get(range.clone()) {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.replace(range, replaced)),
        }
    }

    #[cold]
    fn replace(&self, range: Range<usize>, replaced: &mut u64) -> String {
        let mut text = String::with_capacity(range.len());
        for piece in self.bytes.get(range).unwrap_or_default().utf8_chunks() {
            text.push_str(piece.valid());
            if !piece.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
                *replaced += 1;
            }
        }
        text
    }
}

//! Text that shares the chunk it came from.
//!
//! [`Text`] is what a frame is made of: bytes known to be UTF-8, cheap to clone, silent when
//! printed. [`Label`] is the same for what is short.
//!
//! A text is validated by itself, when it is cut out, and not with its chunk: a chunk may end
//! within a character, one bad text spoils no other, and the pass over a chunk that was not in the
//! cache yet goes on in the shadow of the work on each event.

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

impl Text {
    /// Cuts a text out of a chunk: a slice of it where that is UTF-8, otherwise a copy, as
    /// [`decode`] makes it.
    #[inline(always)]
    pub(crate) fn cut(chunk: &Bytes, at: Range<usize>, replaced: &mut u64) -> Self {
        let bytes = chunk.slice(at.clone());
        match ByteString::try_from(bytes) {
            Ok(text) => Self(text),
            Err(_) => decode(chunk.get(at).unwrap_or_default(), replaced).into_owned().into(),
        }
    }
}

/// The standard's "UTF-8 decode": every bad sequence is replaced by U+FFFD, and counted.
pub(crate) fn decode<'a>(bytes: &'a [u8], replaced: &mut u64) -> Cow<'a, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for piece in bytes.utf8_chunks() {
        text.push_str(piece.valid());
        if !piece.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            *replaced += 1;
        }
    }
    Cow::Owned(text)
}

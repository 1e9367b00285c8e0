//! The members of a JSON object, found in one pass over its text.
//!
//! Every event is read here before anything else is done with it, so this is the most expensive
//! thing that happens to one. A reader of JSON in general makes values of what it finds; this one
//! only has to know where each member ends, and goes over strings eight bytes at a time.
//!
//! It skips, but it skips nothing unseen: what is not JSON down to the last byte (RFC 8259) is
//! refused, because the payload is passed on as a value in lines of JSON. The grammar alone counts: a
//! number may be too large for any machine, an escape may stand for no character, a name may come
//! twice. It accepts exactly what `serde_json` skips, which the tests hold it to. No nesting is too
//! deep for it: the stack is not used.

use std::borrow::Cow;

/// Calls `each` with the name and the raw value of every member of the object that `text` is, in
/// their order. `None` if it is not one object, whole; members before the fault have been given then.
pub(crate) fn members<'a>(text: &'a str, mut each: impl FnMut(&str, &'a str)) -> Option<()> {
    let mut scan = Scan { text, rest: text.as_bytes() };
    scan.take_token(b'{')?;
    let mut next = scan.token()?;
    if next != b'}' {
        loop {
            let name = scan.name(next)?;
            let first = scan.token()?;
            let from = scan.at() - 1;
            scan.value(first)?;
            each(&name, text.get(from..scan.at())?);
            match scan.token()? {
                b',' => next = scan.token()?,
                b'}' => break,
                _ => return None,
            }
        }
    }
    scan.token().is_none().then_some(())
}

/// Calls `each` with the raw value of every element of the list that `text` is, in their order.
/// `None` if it is not one list, whole; elements before the fault have been given then.
pub(crate) fn elements<'a>(text: &'a str, mut each: impl FnMut(&'a str)) -> Option<()> {
    let mut scan = Scan { text, rest: text.as_bytes() };
    scan.take_token(b'[')?;
    let mut next = scan.token()?;
    if next != b']' {
        loop {
            let from = scan.at() - 1;
            scan.value(next)?;
            each(text.get(from..scan.at())?);
            match scan.token()? {
                b',' => next = scan.token()?,
                b']' => break,
                _ => return None,
            }
        }
    }
    scan.token().is_none().then_some(())
}

/// A raw string or number as text, `None` if it is empty or of another type.
///
/// Numbers keep their spelling, since those beyond 64 bits would lose digits.
pub(crate) fn text(raw: &str) -> Option<Cow<'_, str>> {
    let text = match raw.as_bytes().first()? {
        b'"' => unquoted(raw)?,
        b'-' | b'0'..=b'9' => Cow::Borrowed(raw),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// What a raw string says. One with an escape that stands for no character (half a surrogate pair)
/// stays as it is spelt: as an identity it still serves, and it is no name that anybody asks for.
fn unquoted(raw: &str) -> Option<Cow<'_, str>> {
    let content = raw.strip_prefix('"')?.strip_suffix('"')?;
    Some(if memchr::memchr(b'\\', content.as_bytes()).is_none() {
        Cow::Borrowed(content)
    } else {
        serde_json::from_str(raw).map_or(Cow::Borrowed(content), Cow::Owned)
    })
}

/// A place in a text.
struct Scan<'a> {
    text: &'a str,
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    fn at(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// The next byte that is not white space.
    #[inline]
    fn token(&mut self) -> Option<u8> {
        let byte = self.byte()?;
        if byte > b' ' { Some(byte) } else { self.token_behind(byte) }
    }

    #[cold]
    fn token_behind(&mut self, mut byte: u8) -> Option<u8> {
        while let b' ' | b'\n' | b'\t' | b'\r' = byte {
            byte = self.byte()?;
        }
        Some(byte)
    }

    #[inline]
    fn take_token(&mut self, token: u8) -> Option<()> {
        (self.token()? == token).then_some(())
    }

    #[inline]
    fn takes(&mut self, byte: u8) -> bool {
        let there = self.rest.first() == Some(&byte);
        if there {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        there
    }

    /// The name of a member, up to its value.
    #[inline]
    fn name(&mut self, first: u8) -> Option<Cow<'a, str>> {
        let from = self.at() - 1;
        let has_escapes = self.any_name(first)?;
        let to = self.at();
        self.take_token(b':')?;
        if has_escapes {
            return unquoted(self.text.get(from..to)?);
        }
        self.text.get(from + 1..to - 1).map(Cow::Borrowed)
    }

    #[inline]
    fn any_name(&mut self, first: u8) -> Option<bool> {
        if first == b'"' { self.string() } else { None }
    }

    /// Skips a value of any kind.
    #[inline]
    fn value(&mut self, mut first: u8) -> Option<()> {
        let mut open = Nesting::default();
        loop {
            match first {
                b'"' => drop(self.string()?),
                b'-' | b'0'..=b'9' => self.number(first)?,
                b'{' => match self.token()? {
                    b'}' => {}
                    name => {
                        open.push(OBJECT);
                        first = self.nested(name)?;
                        continue;
                    }
                },
                b'[' => match self.token()? {
                    b']' => {}
                    element => {
                        open.push(LIST);
                        first = element;
                        continue;
                    }
                },
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                _ => return None,
            }
            // A value has ended; with it, perhaps, some of those around it.
            first = loop {
                let Some(kind) = open.top() else { return Some(()) };
                match (self.token()?, kind) {
                    (b',', OBJECT) => {
                        let name = self.token()?;
                        break self.nested(name)?;
                    }
                    (b',', _) => break self.token()?,
                    (b'}', OBJECT) | (b']', LIST) => open.pop(),
                    _ => return None,
                }
            };
        }
    }

    /// A name that nobody asks for; the first byte of its value.
    #[inline]
    fn nested(&mut self, first: u8) -> Option<u8> {
        self.any_name(first)?;
        self.take_token(b':')?;
        self.token()
    }

    /// The rest of a string, and whether it has escapes.
    #[inline]
    fn string(&mut self) -> Option<bool> {
        let mut has_escapes = false;
        loop {
            while let Some((word, rest)) = self.rest.split_first_chunk() {
                if let Some(plain) = plain_bytes(word) {
                    self.rest = self.rest.get(plain..)?;
                    break;
                }
                self.rest = rest;
            }
            match self.byte()? {
                b'"' => return Some(has_escapes),
                b'\\' => {
                    has_escapes = true;
                    self.escape()?;
                }
                0..b' ' => return None,
                _ => {}
            }
        }
    }

    /// What follows a backslash.
    #[cold]
    fn escape(&mut self) -> Option<()> {
        match self.byte()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let (digits, rest) = self.rest.split_first_chunk::<4>()?;
                self.rest = rest;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    #[inline]
    fn number(&mut self, first: u8) -> Option<()> {
        let first = if first == b'-' { self.byte()? } else { first };
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.takes(b'.') {
            self.some_digits()?;
        }
        if self.takes(b'e') || self.takes(b'E') {
            let _sign = self.takes(b'+') || self.takes(b'-');
            self.some_digits()?;
        }
        Some(())
    }

    #[inline]
    fn digits(&mut self) {
        while let [b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn some_digits(&mut self) -> Option<()> {
        let before = self.rest.len();
        self.digits();
        (self.rest.len() < before).then_some(())
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(rest)?;
        Some(())
    }
}

/// How many of eight bytes of a string stand before its end, an escape, or a character that has to be
/// escaped; `None` if there is nothing of it among them.
#[inline]
fn plain_bytes(word: &[u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    const fn all(byte: u8) -> u64 {
        ONES * byte as u64
    }
    let word = u64::from_le_bytes(*word);
    // A borrow may mark a byte that is none of these, but only behind one that is.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(all(b' ')) & !word;
    let ends = zero(word ^ all(b'"')) | zero(word ^ all(b'\\')) | control;
    let ends = ends & HIGH;
    (ends != 0).then(|| ends.trailing_zeros() as usize / 8)
}

/// What a value lies in, innermost last: a bit for each, without an allocation up to 64.
#[derive(Default)]
struct Nesting {
    bits: u64,
    depth: usize,
    outer: Vec<u64>,
}

const OBJECT: bool = true;
const LIST: bool = false;

impl Nesting {
    #[inline]
    fn push(&mut self, kind: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(kind);
        self.depth += 1;
    }

    #[inline]
    fn pop(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    #[inline]
    fn top(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }
}

#[cfg(test)]
mod tests;

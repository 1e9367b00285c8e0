//! Gzip (RFC 1952), decoded as far as it has come.
//!
//! For a server that compresses although we asked it not to. An event must not wait for the next one
//! to be decoded, and what stands before a fault has been sent all the same: it is given out first.
//! A server that flushes after each event may never write the end of its last member, which is why
//! that the end is missing is no fault here: [`Gzip::is_whole`] tells.

use bytes::{Buf as _, Bytes, BytesMut};
use flate2::{Crc, Decompress, FlushDecompress, Status};

/// What is decoded at once: at gzip's best ratio of about 1000 to 1, a chunk may become megabytes.
const OUTPUT_BYTES: usize = 32 << 10;

/// A header may have a name and a comment of any length; nobody sends such.
const HEADER_BYTES_MAX: usize = 128 << 10;

/// What came is not gzip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Corrupt;

/// A decoder of any number of members, one after the other.
pub(super) struct Gzip {
    input: BytesMut,
    output: Box<[u8]>,
    inflate: Decompress,
    crc: Crc,
    stage: Stage,
}

enum Stage {
    /// Nothing has come of the first member.
    Begin,
    Header,
    Body,
    Trailer,
    /// Behind a member: another one, or zeros, or nothing.
    Between,
    Failed,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            input: BytesMut::new(),
            output: vec![0; OUTPUT_BYTES].into(),
            inflate: Decompress::new(false),
            crc: Crc::new(),
            stage: Stage::Begin,
        }
    }

    /// Takes the next bytes, without decoding them yet.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.input.extend_from_slice(chunk);
    }

    /// What comes next, never empty; `None` when more bytes are needed.
    pub(super) fn next(&mut self) -> Option<Result<Bytes, Corrupt>> {
        loop {
            match self.step() {
                Ok(Step::Output(length)) => {
                    return Some(Ok(Bytes::copy_from_slice(self.output.get(..length)?)));
                }
                Ok(Step::On) => {}
                Ok(Step::NeedsMore) => return None,
                Err(corrupt) => {
                    self.stage = Stage::Failed;
                    return Some(Err(corrupt));
                }
            }
        }
    }

    /// Whether what came ends with the end of a member, or is nothing at all.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self.stage, Stage::Begin | Stage::Between)
    }

    fn step(&mut self) -> Result<Step, Corrupt> {
        match self.stage {
            Stage::Begin if self.input.is_empty() => return Ok(Step::NeedsMore),
            Stage::Begin => self.stage = Stage::Header,
            Stage::Header => {
                let Some(length) = header(&self.input)? else {
                    let too_long = self.input.len() > HEADER_BYTES_MAX;
                    return if too_long { Err(Corrupt) } else { Ok(Step::NeedsMore) };
                };
                self.input.advance(length);
                self.inflate.reset(false);
                self.crc.reset();
                self.stage = Stage::Body;
            }
            Stage::Body => return self.body(),
            Stage::Trailer => {
                let Some((trailer, _)) = self.input.split_first_chunk::<8>() else {
                    return Ok(Step::NeedsMore);
                };
                let said = u64::from_le_bytes(*trailer);
                let seen = u64::from(self.crc.amount()) << 32 | u64::from(self.crc.sum());
                if said != seen {
                    return Err(Corrupt);
                }
                self.input.advance(8);
                self.stage = Stage::Between;
            }
            Stage::Between => match self.input.iter().position(|byte| *byte != 0) {
                None => {
                    self.input.clear();
                    return Ok(Step::NeedsMore);
                }
                Some(padding) => {
                    self.input.advance(padding);
                    self.stage = Stage::Header;
                }
            },
            Stage::Failed => return Err(Corrupt),
        }
        Ok(Step::On)
    }

    fn body(&mut self) -> Result<Step, Corrupt> {
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(&self.input, &mut self.output, FlushDecompress::None);
        let count = |more: u64| usize::try_from(more).map_err(|_| Corrupt);
        let read = count(self.inflate.total_in() - read)?;
        let written = count(self.inflate.total_out() - written)?;
        self.input.advance(read.min(self.input.len()));
        self.crc.update(self.output.get(..written).unwrap_or_default());
        match status {
            Ok(Status::StreamEnd) => self.stage = Stage::Trailer,
            Ok(_) if read == 0 && written == 0 => return Ok(Step::NeedsMore),
            Ok(_) => {}
            Err(_) => self.stage = Stage::Failed,
        }
        Ok(if written == 0 { Step::On } else { Step::Output(written) })
    }
}

enum Step {
    On,
    /// So much lies in the output.
    Output(usize),
    NeedsMore,
}

/// The length of a member's header; `None` if it has not come in full.
fn header(input: &[u8]) -> Result<Option<usize>, Corrupt> {
    const FIXED: [u8; 3] = [0x1f, 0x8b, 8];
    const LENGTH: usize = 10;
    const CHECKED: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    if input.iter().zip(FIXED).any(|(byte, fixed)| *byte != fixed) {
        return Err(Corrupt);
    }
    let Some(&flags) = input.get(3) else { return Ok(None) };
    let mut length = LENGTH;
    if flags & EXTRA != 0 {
        let Some(&[low, high]) = input.get(length..length + 2) else { return Ok(None) };
        length += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let rest = input.get(length..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == 0) else { return Ok(None) };
            length += end + 1;
        }
    }
    if flags & CHECKED != 0 {
        length += 2;
    }
    Ok((input.len() >= length).then_some(length))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::GzEncoder;
    use flate2::{Compression, GzBuilder};

    use super::*;

    fn member(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Decodes `bytes`, so many at a time.
    fn decode(bytes: &[u8], at_once: usize) -> (Vec<u8>, bool, bool) {
        let mut gzip = Gzip::new();
        let mut text = Vec::new();
        for chunk in bytes.chunks(at_once) {
            gzip.push(chunk);
            while let Some(decoded) = gzip.next() {
                match decoded {
                    Ok(decoded) => text.extend_from_slice(&decoded),
                    Err(Corrupt) => return (text, false, true),
                }
            }
        }
        (text, gzip.is_whole(), false)
    }

    #[test]
    fn members_in_any_pieces() {
        let long = b"data: 1\n\n".repeat(50_000);
        let named = GzBuilder::new()
            .filename("name")
            .comment("comment")
            .extra(vec![7; 300])
            .write(Vec::new(), Compression::best());
        let named = {
            let mut encoder = named;
            encoder.write_all(b"named").unwrap();
            encoder.finish().unwrap()
        };
        let all = [member(b""), member(&long), named, member(b"last"), vec![0; 9]].concat();
        let expected = [long.as_slice(), b"named", b"last"].concat();
        for at_once in [1, 7, 4_096, usize::MAX] {
            assert_eq!(decode(&all, at_once), (expected.clone(), true, false), "{at_once}");
        }
        assert_eq!(decode(b"", 1), (Vec::new(), true, false));
    }

    #[test]
    fn what_was_flushed_is_decoded_and_not_whole_before_its_trailer() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"data: 1\n\n").unwrap();
        encoder.flush().unwrap();
        let flushed = encoder.get_ref().clone();
        assert_eq!(decode(&flushed, 1), (b"data: 1\n\n".to_vec(), false, false));
        let whole = encoder.finish().unwrap();
        for lacking in 1..8 {
            let cut = &whole[..whole.len() - lacking];
            assert_eq!(decode(cut, 3), (b"data: 1\n\n".to_vec(), false, false), "{lacking}");
        }
    }

    #[test]
    fn what_stands_before_a_fault_is_given_out_first() {
        let random: Vec<u8> =
            (0..20_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let good = member(&random);
        for at_once in [1, 100, usize::MAX] {
            for garbage in [b"garbage".as_slice(), &[0x1f, 0x8b, 9], &[0, 0, 1]] {
                let (text, _, failed) = decode(&[&good, garbage].concat(), at_once);
                assert_eq!((text == random, failed), (true, true), "{garbage:?} at {at_once}");
            }
            // Another check sum.
            let mut other = good.clone();
            let end = other.len();
            other[end - 8] ^= 1;
            let (text, _, failed) = decode(&other, at_once);
            assert_eq!((text == random, failed), (true, true));
            // A block of a kind that there is not, behind one that is whole.
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(b"data: 1\n\n").unwrap();
            encoder.flush().unwrap();
            let cut = [encoder.get_ref().as_slice(), &[0xff; 20]].concat();
            assert_eq!(decode(&cut, at_once), (b"data: 1\n\n".to_vec(), false, true));
        }
    }
}

//! The blocks of a PEM file (RFC 7468), every one that begins.
//!
//! Readers of PEM skip what they do not understand. A file of authorities of which one is skipped is
//! noticed months later, when the service's certificate is renewed. So each block is read here, or its
//! line is named: whatever stands between blocks, whether they end lines or not, with a byte order
//! mark, in OpenSSL's form with trust settings behind the certificate. Nothing of a content is said.

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::settings_error::FileFault;

/// What a block holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Certificate,
    /// A certificate, and behind it what OpenSSL trusts it for.
    Trusted,
    Key,
    EncryptedKey,
    /// What stands beside certificates and keys, and is of no use here.
    Other,
}

/// One block; its content may be a private key.
struct Block<'a> {
    kind: Kind,
    label: &'a str,
    content: &'a str,
    line: usize,
}

/// Every certificate of a file, in order, with the line on which it begins; at least one.
pub(super) fn certificates(
    file: &[u8],
) -> Result<Vec<(usize, CertificateDer<'static>)>, FileFault> {
    let blocks = blocks(file)?;
    let of_certificates = blocks
        .iter()
        .filter(|block| matches!(block.kind, Kind::Certificate | Kind::Trusted))
        .map(|block| {
            let read = block.certificate().ok_or(FileFault::Broken { line: block.line })?;
            Ok((block.line, read))
        });
    let found: Vec<_> = of_certificates.collect::<Result<_, _>>()?;
    if found.is_empty() { Err(FileFault::NoCertificate) } else { Ok(found) }
}

/// The first private key of a file.
pub(super) fn key(file: &[u8]) -> Result<PrivateKeyDer<'static>, FileFault> {
    let blocks = blocks(file)?;
    let is_key = |block: &&Block<'_>| matches!(block.kind, Kind::Key | Kind::EncryptedKey);
    match blocks.iter().find(is_key) {
        None => Err(FileFault::NoKey),
        Some(Block { kind: Kind::EncryptedKey, .. }) => Err(FileFault::EncryptedKey),
        Some(block) => PrivateKeyDer::from_pem_slice(block.plain(block.label).as_bytes())
            .map_err(|_| FileFault::Broken { line: block.line }),
    }
}

impl Block<'_> {
    fn certificate(&self) -> Option<CertificateDer<'static>> {
        let pem = self.plain("CERTIFICATE");
        let whole = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        match self.kind {
            Kind::Trusted => Some(first_element(&whole)?.to_vec().into()),
            _ => Some(whole),
        }
    }

    /// The block as every reader of PEM takes it.
    fn plain(&self, label: &str) -> String {
        let lines = self.content.split(['\r', '\n']).filter(|line| !line.contains(':'));
        let base64: String = lines.flat_map(str::split_whitespace).collect();
        format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
    }
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Every block that begins in a file; text between them may be anything.
fn blocks(file: &[u8]) -> Result<Vec<Block<'_>>, FileFault> {
    // Comments may be in any encoding; a block that is not ASCII is broken anyway.
    let parts = file.utf8_chunks().flat_map(|part| [part.valid()]);
    let mut blocks = Vec::new();
    let mut line = 1;
    for text in parts {
        blocks_of(text, line, &mut blocks)?;
        line += line_ends(text);
    }
    Ok(blocks)
}

fn blocks_of<'a>(
    text: &'a str,
    first_line: usize,
    blocks: &mut Vec<Block<'a>>,
) -> Result<(), FileFault> {
    let mut rest = text;
    while let Some(at) = rest.find(DASHES) {
        let (_, here) = rest.split_at(at);
        let line = first_line + line_ends(text.get(..text.len() - here.len()).unwrap_or_default());
        let broken = FileFault::Broken { line };
        if here.starts_with(END) {
            return Err(broken);
        }
        let Some(begun) = here.strip_prefix(BEGIN) else {
            // A ruler, or the like.
            rest = here.trim_start_matches('-');
            continue;
        };
        let (label, content) = begun.split_once(DASHES).ok_or(broken)?;
        let (content, behind) = content.split_once(END).ok_or(broken)?;
        let behind = behind.strip_prefix(label).and_then(|behind| behind.strip_prefix(DASHES));
        rest = behind.ok_or(broken)?;
        if content.contains(DASHES) {
            return Err(broken);
        }
        let kind = kind(label, content).ok_or(FileFault::Foreign { line })?;
        blocks.push(Block { kind, label, content, line });
    }
    Ok(())
}

/// `None`: nobody knows such a block; it may be a certificate by a wrong name.
fn kind(label: &str, content: &str) -> Option<Kind> {
    Some(match label {
        "CERTIFICATE" | "X509 CERTIFICATE" => Kind::Certificate,
        "TRUSTED CERTIFICATE" => Kind::Trusted,
        "ENCRYPTED PRIVATE KEY" => Kind::EncryptedKey,
        // In a header `Proc-Type: 4,ENCRYPTED`.
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" if content.contains("ENCRYPTED") => {
            Kind::EncryptedKey
        }
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => Kind::Key,
        "PUBLIC KEY"
        | "EC PARAMETERS"
        | "DH PARAMETERS"
        | "X509 CRL"
        | "CERTIFICATE REQUEST"
        | "NEW CERTIFICATE REQUEST" => Kind::Other,
        _ => return None,
    })
}

/// How many lines end in a text, of whatever system.
fn line_ends(text: &str) -> usize {
    let ends = |end: &str| text.matches(end).count();
    ends("\n") + ends("\r") - ends("\r\n")
}

/// The first element of DER: a sequence, with its header.
fn first_element(der: &[u8]) -> Option<&[u8]> {
    let (&[tag, first], rest) = der.split_first_chunk()?;
    if tag != 0x30 {
        return None;
    }
    let (header, length) = match usize::from(first) {
        short @ 0..0x80 => (2, short),
        // In so many bytes.
        long => {
            let bytes = rest.get(..long - 0x80).filter(|bytes| (1..=4).contains(&bytes.len()))?;
            let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            (2 + bytes.len(), length)
        }
    };
    der.get(..header + length)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn made(name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn lines(file: &str) -> Result<Vec<usize>, FileFault> {
        Ok(certificates(file.as_bytes())?.into_iter().map(|(line, _)| line).collect())
    }

    #[test]
    fn every_block_counts_whatever_stands_between() {
        let (one, key) = made("one");
        let (two, _) = made("two");
        let read = |file: &str| {
            let found = certificates(file.as_bytes()).unwrap();
            found.into_iter().map(|(_, certificate)| certificate).collect::<Vec<_>>()
        };
        let expected = [read(&one), read(&two)].concat();
        let joined = format!("{}{}", one.trim_end(), two);
        let bom = "\u{feff}";
        for file in [
            format!("{one}{two}"),
            joined.clone(),
            joined.replace('\n', "\r\n"),
            joined.replace('\n', "\r"),
            format!("{bom}{one}{bom}{two}{bom}"),
            format!("subject=one, é\n{one}--- two ---------\n{two}\ntrailing -- text"),
            format!("{one}{key}{two}"),
            one.lines().chain(two.lines()).map(|line| format!("    {line}  \n")).collect(),
            format!("{one}{two}")
                .replace("-----BEGIN CERT", "-----BEGIN X509 CERT")
                .replace("-----END CERT", "-----END X509 CERT"),
        ] {
            assert_eq!(read(&file), expected, "{file}");
        }
        let latin_1 =
            [b"# caf\xe9\n".as_slice(), one.as_bytes(), b"\xff\xfe", two.as_bytes()].concat();
        let at: Vec<_> = certificates(&latin_1).unwrap().iter().map(|(line, _)| *line).collect();
        assert_eq!(at, [2, 2 + one.lines().count()]);
    }

    #[test]
    fn what_begins_and_cannot_be_read_is_named_by_its_line() {
        let (one, key) = made("one");
        let count = one.lines().count();
        let second = FileFault::Broken { line: count + 1 };
        for (behind, fault) in [
            ("-----BEGIN CERTIFICATE-----\nAA?A\n-----END CERTIFICATE-----\n", second),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", second),
            ("-----BEGIN CERTIFICATE", second),
            ("-----END CERTIFICATE-----\n", second),
            (
                "----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                FileFault::Broken { line: count + 3 },
            ),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END PRIVATE KEY-----\n", second),
            ("-----BEGIN CERTIFICATE-----\nAA\u{200b}AA\n-----END CERTIFICATE-----\n", second),
            (
                "-----BEGIN CERTIFCATE-----\nAAAA\n-----END CERTIFCATE-----\n",
                FileFault::Foreign { line: count + 1 },
            ),
            (
                "-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n",
                FileFault::Foreign { line: count + 1 },
            ),
        ] {
            assert_eq!(lines(&format!("{one}{behind}")), Err(fault), "{behind}");
            assert_eq!(lines(&format!("{one}{behind}").replace('\n', "\r\n")), Err(fault));
        }
        // The first is cut off where the second begins.
        let cut = one.replace("-----END CERTIFICATE-----", "");
        assert_eq!(lines(&format!("{cut}{one}")), Err(FileFault::Broken { line: 1 }));
        for none in ["", "nonsense", &key] {
            assert_eq!(lines(none), Err(FileFault::NoCertificate));
        }
    }

    #[test]
    fn the_first_key_of_a_file_is_read_or_said_to_be_what_it_is() {
        let (one, first) = made("one");
        let expected = key(first.as_bytes()).unwrap();
        let parameters =
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        for file in [
            format!("\u{feff}{one}{first}"),
            format!("{}{first}", one.trim_end()),
            format!("{parameters}{first}").replace('\n', "\r\n"),
        ] {
            assert_eq!(key(file.as_bytes()).unwrap(), expected);
        }
        let fault = |file: &str| key(file.as_bytes()).unwrap_err();
        assert_eq!(fault(&one), FileFault::NoKey);
        assert_eq!(fault(&first.replace("PRIVATE", "ENCRYPTED PRIVATE")), FileFault::EncryptedKey);
        let header = "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n";
        assert_eq!(fault(&first.replacen("KEY-----\n", header, 1)), FileFault::EncryptedKey);
        let cut = first.split_at(first.len() / 2).0;
        assert_eq!(
            fault(&format!("{one}{cut}")),
            FileFault::Broken { line: one.lines().count() + 1 }
        );
    }

    #[test]
    fn a_certificate_with_openssl_s_trust_behind_it_is_read_without_that() {
        let (one, _) = made("one");
        let [(_, certificate)] = certificates(one.as_bytes()).unwrap().try_into().unwrap();
        assert_eq!(
            first_element(&[&certificate, [0x30, 0x03, 0x05, 0, 0].as_slice()].concat()),
            Some(&*certificate)
        );
        assert_eq!(first_element(&[0x30, 0x02, 1, 2, 3]), Some([0x30, 2, 1, 2].as_slice()));
        for no_element in
            [&[][..], &[0x30], &[0x30, 5, 1], &[0x30, 0x80, 0], &[0x30, 0xff, 0], &[2, 1, 1]]
        {
            assert_eq!(first_element(no_element), None, "{no_element:?}");
        }
    }
}

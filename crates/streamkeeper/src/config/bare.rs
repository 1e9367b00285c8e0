//! A secret as people make it: with what an editor, a shell or a web page has left around it, or as
//! something else than the secret alone.
//!
//! What cannot belong to a secret is taken off without a word: white space around it, and characters that
//! nobody sees. What looks like a mistake is refused with a sentence, since a wrong secret is otherwise
//! found out by the service alone, which can only say that it does not know it. A sentence never quotes
//! the secret.

/// The secret alone, or what it looks like; said after the name of the file, or the key.
pub(super) fn bare(text: &str, noun: &str) -> Result<String, String> {
    let seen: String = text.chars().filter(|c| !is_unseen(*c)).collect();
    let is_around = |c: char| c.is_whitespace() || c.is_control();
    // A byte order mark that was taken for Latin letters, and written again.
    let secret = seen.trim_start_matches("ï»¿").trim_matches(is_around);
    let alone = |what: &str| Err(format!("holds {what}: write the {noun} alone"));
    if is_assigned(secret) {
        alone("a name before the value")
    } else if is_announced(secret) {
        alone("a word such as `Bearer` before the value")
    } else if is_enclosed(secret) {
        alone("quotes or brackets around the value")
    } else if is_placeholder(secret) {
        alone("the name of a variable, and no value")
    } else if secret.ends_with("\\n") || secret.ends_with("\\r") {
        alone("a line's end as it is written in programs")
    } else if secret.chars().any(char::is_whitespace) {
        Err(format!("must hold one {noun}, without white space"))
    } else if secret.chars().any(char::is_control) {
        Err(format!("must hold one {noun}, without control characters: save it as UTF-8 text"))
    } else {
        Ok(secret.to_owned())
    }
}

/// Byte order marks, and what else has no width: copied from web pages, and left by editors.
const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// `KEY=value`, as in a file of variables, or `?token=value`, as in a URL. Base64 has `=` at its end only.
fn is_assigned(text: &str) -> bool {
    let text = text.strip_prefix("export ").unwrap_or(text).trim_start_matches(['?', '&']);
    text.split_once('=').is_some_and(|(name, value)| {
        is_name(name.trim_end()) && !value.trim_start_matches('=').trim().is_empty()
    })
}

/// `Bearer value`, as in a header.
fn is_announced(text: &str) -> bool {
    const WORDS: [&str; 6] = ["authorization", "bearer", "basic", "token", "apikey", "api-key"];
    text.split_once(|c: char| c == ':' || c.is_whitespace())
        .is_some_and(|(word, _)| WORDS.contains(&&*word.to_ascii_lowercase()))
}

fn is_enclosed(text: &str) -> bool {
    const PAIRS: [(char, char); 12] = [
        ('"', '"'),
        ('\'', '\''),
        ('`', '`'),
        ('“', '”'),
        ('„', '“'),
        ('‘', '’'),
        ('«', '»'),
        ('<', '>'),
        ('{', '}'),
        ('[', ']'),
        ('(', ')'),
        ('%', '%'),
    ];
    // `${NAME}` and `"value",` too.
    let text = text.trim_start_matches('$').trim_end_matches([',', ';']);
    let mut chars = text.chars();
    let ends = chars.next().zip(chars.next_back());
    ends.is_some_and(|ends| PAIRS.contains(&ends))
}

/// `$NAME`, where nobody has put in the value.
fn is_placeholder(text: &str) -> bool {
    text.strip_prefix('$')
        .is_some_and(|name| is_name(name) && !name.contains(|c: char| c.is_ascii_lowercase()))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn what_cannot_belong_to_a_secret_is_taken_off() {
        for text in [
            "s3cret",
            "s3cret\n",
            "s3cret\r\n",
            "\u{feff}s3cret",
            "\u{feff}\u{feff} s3cret\n\n",
            "ï»¿s3cret",
            "\u{200b}s3cret\u{200b}\n",
            "s3\u{200d}cret\u{2060}",
            "\u{202a}s3cret\u{202c}",
            "\u{a0}s3cret\u{a0}",
            "s3cret\0",
            "\u{3000}s3\u{ad}cret\u{fe0f}",
        ] {
            assert_eq!(bare(text, "token").as_deref(), Ok("s3cret"), "{text:?}");
        }
        // As tokens and proxies may look.
        for text in [
            "QUJDREU=",
            "QUJDRA==",
            "eyJhbGciOi.eyJz-d_W.x",
            "a+b/c=",
            "p%40ss",
            "$2b$x",
            "5",
            "\"a",
            "http://user:p%3D=w@proxy.example:3128",
            "off",
        ] {
            assert_eq!(bare(text, "token").as_deref(), Ok(text), "{text:?}");
        }
    }

    #[test]
    fn what_looks_like_a_mistake_is_refused_and_never_quoted() {
        for (text, said) in [
            ("\"s3cret\"", "quotes"),
            ("'s3cret'\r\n", "quotes"),
            ("\u{feff}\"s3cret\"\n", "quotes"),
            ("“s3cret”", "quotes"),
            ("\"s3cret\",", "quotes"),
            ("<s3cret>", "brackets"),
            ("{\"token\":\"s3cret\"}", "brackets"),
            ("${S3CRET}", "brackets"),
            ("$S3CRET", "variable"),
            ("INFORM_TOKEN=s3cret", "a name"),
            ("INFORM_TOKEN = s3cret", "a name"),
            ("export INFORM_TOKEN=\"s3cret\"\n", "a name"),
            ("token=s3cret==", "a name"),
            ("?token=s3cret", "a name"),
            ("HTTPS_PROXY=http://u:s3cret@p:1", "a name"),
            ("Bearer s3cret", "Bearer"),
            ("bearer\ts3cret", "Bearer"),
            ("Authorization: Bearer s3cret", "Bearer"),
            ("token: s3cret", "Bearer"),
            ("s3cret s3cret", "white space"),
            ("s3cret\ns3cret\n", "white space"),
            ("s3cret # of acme", "white space"),
            ("s3cret\\n", "line's end"),
            ("s\u{0}3\u{0}cret", "control characters"),
            ("\u{1b}[1ms3cret\u{1b}[0m", "control characters"),
        ] {
            let message = bare(text, "token").expect_err(text);
            assert!(message.contains(said) && message.contains("token"), "{text:?}: {message}");
            assert!(!message.to_lowercase().contains("s3cret"), "{text:?}: {message}");
        }
    }
}

//! A decoder that is slow and plain: the WHATWG text ("Parsing an event stream", "Interpreting an
//! event stream"), read from top to bottom, over the whole stream at once. It differs from that
//! text where the crate says it does: comments, blocks without data and unknown fields are kept.

use super::{Block, Item};

/// Decodes a whole stream; also says whether it ends within a line or a block.
pub(crate) fn decode(stream: &[u8]) -> (Vec<Item>, bool) {
    // "Streams must be decoded using the UTF-8 decode algorithm", which strips one BOM.
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    // "Lines must be separated by either a CRLF pair, a single LF, or a single CR."
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    let unfinished = lines.pop().unwrap_or_default();

    let mut items = Vec::new();
    let mut block: Option<Block> = None;
    for line in lines {
        if line.is_empty() {
            // "If the line is empty, dispatch the event."
            items.extend(block.take().map(Item::Event));
            continue;
        }
        let (field, value) = match line.split_once(':') {
            // "If the line contains a colon: let field be what is before the first, value what is
            // after it. If value starts with a space, remove it."
            Some((field, value)) => (field, value.strip_prefix(' ').unwrap_or(value)),
            // "Otherwise: the whole line is the field name, and the empty string the value."
            None => (line, ""),
        };
        if line.starts_with(':') {
            items.push(Item::Comment(value.to_owned()));
            continue;
        }
        process(block.get_or_insert_default(), field, value);
    }
    (items, block.is_some() || !unfinished.is_empty())
}

fn process(block: &mut Block, field: &str, value: &str) {
    match field {
        "event" => block.name = (!value.is_empty()).then(|| value.to_owned()),
        "data" => match &mut block.data {
            None => block.data = Some(value.to_owned()),
            Some(data) => *data = format!("{data}\n{value}"),
        },
        "id" if value.contains('\0') => {}
        "id" => block.id = Some(value.to_owned()),
        "retry" => {
            if !value.is_empty() && value.chars().all(|c| c.is_ascii_digit()) {
                block.retry_ms = Some(value.parse().unwrap_or(u64::MAX));
            }
        }
        _ => block.fields.push((field.to_owned(), value.to_owned())),
    }
}

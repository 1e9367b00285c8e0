//! Streams of the service, for people.

use super::Shown;
use crate::escape::escaped;

/// A line each, in columns as wide as they have to be.
pub(super) fn table(streams: &[Shown]) -> String {
    let head = ["name", "id", "start date", "members", "filters", "ours"].map(str::to_owned);
    let rows = std::iter::once(head).chain(streams.iter().map(row));
    let rows: Vec<_> = rows.map(|row| row.map(|cell| escaped(&cell).into_owned())).collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 6]| {
        let cells: Vec<_> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn row(stream: &Shown) -> [String; 6] {
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let filters = [&stream.resource_filter[..], &stream.event_type_filter[..]].concat();
    [
        or_dash(stream.name.as_deref()),
        stream.id.clone(),
        or_dash(stream.start_date.as_deref()),
        stream.members.map_or("-".to_owned(), |members| members.to_string()),
        if filters.is_empty() { "all".to_owned() } else { filters.join(",") },
        or_dash(stream.ours.as_deref()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_clear_the_screen_or_begin_a_line() {
        let stream = Shown {
            name: Some("a\x1b[2J\nb\u{9b}".to_owned()),
            id: "1\n2".to_owned(),
            start_date: None,
            members: None,
            resource_filter: Vec::new(),
            event_type_filter: Vec::new(),
            ours: None,
        };
        let table = table(&[stream]);
        assert_eq!(table.lines().count(), 2);
        assert!(table.contains(r"a\u{1b}[2J\nb\u{9b}"), "{table}");
    }
}

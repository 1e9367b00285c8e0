//! The API's JSON and its conversions: the simulator's own, shared with nobody.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::config::{ErrorForm, ListForm};
use crate::{
    model::{Filter, Kind, NewReplay, NewStream, Resource, Stream, day_of, day_start},
    record::{kind_name, resource_name, rfc3339, timestamp},
};

/// The body of `POST /streams`.
#[derive(Debug, Deserialize)]
pub(super) struct CreateBody {
    name: Option<String>,
    start_date: Option<String>,
    #[serde(default)]
    resource_filter: Vec<String>,
    #[serde(default)]
    event_type_filter: Vec<String>,
}

/// The body of `PUT /streams/{id}`.
#[derive(Debug, Deserialize)]
pub(super) struct RenameBody {
    pub(super) name: Option<String>,
}

/// The stream object.
#[derive(Debug, Serialize)]
pub(super) struct StreamJson {
    id: String,
    name: String,
    resource_filter: Vec<&'static str>,
    start_date: Option<String>,
    group: String,
    members: usize,
    created_at: String,
    updated_at: String,
}

impl StreamJson {
    pub(super) fn new(stream: &Stream, members: usize) -> Self {
        Self {
            id: stream.id.to_string(),
            name: stream.name.clone(),
            resource_filter: stream.filter.resources.iter().map(|r| resource_name(*r)).collect(),
            start_date: stream.start_day.map(date),
            group: format!("stream_{}", stream.id),
            members,
            created_at: rfc3339(stream.created_at),
            updated_at: rfc3339(stream.updated_at),
        }
    }
}

/// A field with a value the service does not take, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadField(pub(super) &'static str, pub(super) &'static str);

impl CreateBody {
    pub(super) fn check(self) -> Result<NewStream, BadField> {
        let name = self.name.filter(|name| !name.is_empty());
        let day = |text: String| parse_date(&text).ok_or(BadField("start_date", "is invalid"));
        Ok(NewStream {
            name: name.ok_or(BadField("name", "can't be blank"))?,
            start_day: self.start_date.map(day).transpose()?,
            filter: filter(
                self.resource_filter.iter().map(String::as_str),
                self.event_type_filter.iter().map(String::as_str),
                ["resource_filter", "event_type_filter"],
            )?,
        })
    }
}

/// The query of `GET /replay`.
pub(super) fn replay(query: &[(String, String)]) -> Result<NewReplay, BadField> {
    let value = |name| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let list = |name| value(name).unwrap_or_default().split(',').filter(|item| !item.is_empty());
    Ok(NewReplay {
        day: value("date").and_then(parse_date).ok_or(BadField("date", "is invalid"))?,
        filter: filter(list("resources"), list("event_types"), ["resources", "event_types"])?,
    })
}

fn filter<'a>(
    resources: impl Iterator<Item = &'a str>,
    kinds: impl Iterator<Item = &'a str>,
    [resources_field, kinds_field]: [&'static str; 2],
) -> Result<Filter, BadField> {
    let resource = |name: &str| {
        let found = Resource::ALL.into_iter().find(|r| resource_name(*r) == name);
        found.ok_or(BadField(resources_field, "is not included in the list"))
    };
    let kind = |name: &str| {
        let all = [Kind::Data, Kind::Rule, Kind::Connection];
        let found = all.into_iter().find(|k| kind_name(*k) == name);
        found.ok_or(BadField(kinds_field, "is not included in the list"))
    };
    Ok(Filter {
        resources: resources.map(resource).collect::<Result<_, _>>()?,
        kinds: kinds.map(kind).collect::<Result<_, _>>()?,
    })
}

/// A page of streams in the list's form.
pub(super) fn list(
    form: ListForm,
    page: &[StreamJson],
    offset: usize,
    total: usize,
    sort: &str,
) -> Value {
    let meta = json!({"offset": offset, "limit": PAGE_MAX, "total": total, "sort": sort});
    match form {
        ListForm::Streams => json!({"streams": page, "meta": meta}),
        ListForm::Data => json!({"data": page, "meta": meta}),
        ListForm::Array => json!(page),
    }
}

/// Streams per page.
pub(super) const PAGE_MAX: usize = 25;

/// An error in one of the four forms; `made` is how many errors there were before.
pub(super) fn error(form: ErrorForm, made: u64, status: u16, field: &str, message: &str) -> Value {
    let forms = [ErrorForm::List, ErrorForm::Fields, ErrorForm::Status, ErrorForm::Message];
    let form = match form {
        ErrorForm::InTurn => forms.get(made as usize % forms.len()).copied().unwrap_or_default(),
        form => form,
    };
    match form {
        ErrorForm::Fields => json!({"errors": {field: [message]}}),
        ErrorForm::Status => json!({"status": status, "error": message}),
        ErrorForm::Message => json!({"message": message}),
        ErrorForm::List | ErrorForm::InTurn => json!({"errors": [message]}),
    }
}

/// `YYYY-MM-DD` of a day.
pub(super) fn date(day: u32) -> String {
    timestamp(day_start(day)).strftime("%Y-%m-%d").to_string()
}

/// The day of `YYYY-MM-DD`.
pub(super) fn parse_date(text: &str) -> Option<u32> {
    let date = jiff::civil::Date::strptime("%Y-%m-%d", text).ok()?;
    let midnight = jiff::tz::Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
    u64::try_from(midnight.as_millisecond()).ok().map(day_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways() {
        assert_eq!(parse_date("1970-01-02"), Some(1));
        assert_eq!(date(20_000), "2024-10-04");
        assert_eq!(parse_date("2024-10-04"), Some(20_000));
        for bad in ["2024-13-01", "2024-10-04T00:00:00Z", "yesterday", "1969-12-31", ""] {
            assert_eq!(parse_date(bad), None);
        }
    }

    #[test]
    fn errors_take_four_forms_in_turn() {
        let form = |made| error(ErrorForm::InTurn, made, 422, "name", "taken").to_string();
        let all = [
            r#"{"errors":["taken"]}"#,
            r#"{"errors":{"name":["taken"]}}"#,
            r#"{"error":"taken","status":422}"#,
            r#"{"message":"taken"}"#,
        ];
        assert_eq!([0, 1, 2, 3].map(form), all.map(str::to_owned));
        assert_eq!(form(4), all[0]);
    }

    #[test]
    fn a_create_body_is_checked_field_by_field() {
        let check = |json: &str| serde_json::from_str::<CreateBody>(json).unwrap().check();
        assert_eq!(check("{}"), Err(BadField("name", "can't be blank")));
        let bad = check(r#"{"name":"a","start_date":"tomorrow"}"#);
        assert_eq!(bad, Err(BadField("start_date", "is invalid")));
        let bad = check(r#"{"name":"a","resource_filter":["dreams"]}"#);
        assert_eq!(bad.unwrap_err().0, "resource_filter");
        let bad = check(r#"{"name":"a","event_type_filter":["poke"]}"#);
        assert_eq!(bad.unwrap_err().0, "event_type_filter");
        let good =
            check(r#"{"name":"a","resource_filter":["sleep"],"event_type_filter":["rule"]}"#);
        let filter = Filter { resources: vec![Resource::Sleep], kinds: vec![Kind::Rule] };
        assert_eq!(good.unwrap().filter, filter);
    }
}

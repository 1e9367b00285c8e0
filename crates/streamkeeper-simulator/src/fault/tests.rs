//! The JSON of `POST /fault`, kind by kind.

use super::*;

fn parse(json: &str) -> Result<Fault, Missing> {
    Fault::try_from(serde_json::from_str::<FaultRequest>(json).unwrap())
}

fn broken(target: Target, how: Break, mid_event: bool) -> Fault {
    Fault::Connection(target, ConnectionFault::Break { how, mid_event })
}

#[test]
fn connection_faults_name_their_connections() {
    let one = Target::Count(1);
    assert_eq!(parse(r#"{"kind":"rst"}"#), Ok(broken(one.clone(), Break::Reset, false)));
    assert_eq!(parse(r#"{"kind":"truncated"}"#), Ok(broken(one, Break::Fin, true)));
    assert_eq!(
        parse(r#"{"kind":"fin","count":3,"mid_event":true}"#),
        Ok(broken(Target::Count(3), Break::Fin, true))
    );
    let hang = Break::Hang { deaf: true, for_ms: Some(9) };
    let json = r#"{"kind":"hang","all":true,"deaf":true,"for_ms":9}"#;
    assert_eq!(parse(json), Ok(broken(Target::All, hang, false)));
    assert_eq!(
        parse(r#"{"kind":"half_close_ignored","which":[1,2]}"#),
        Ok(Fault::Connection(Target::Which(vec![1, 2]), ConnectionFault::Fin(OnFin::Ignored)))
    );
}

#[test]
fn call_faults_hit_once_unless_told_otherwise() {
    let fault = CallFault::Status { status: 429, retry_after_s: Some(2) };
    let json = r#"{"kind":"status","status":429,"retry_after_s":2,"call":"create"}"#;
    let scope = Scope { call: Some(Call::Create), count: Some(1), for_ms: None };
    assert_eq!(parse(json), Ok(Fault::Call(fault, scope)));
    let json = r#"{"kind":"silence","for_ms":100}"#;
    let scope = Scope { call: None, count: None, for_ms: Some(100) };
    assert_eq!(parse(json), Ok(Fault::Call(CallFault::Silence, scope)));
}

#[test]
fn what_is_missing_is_named_and_what_is_unknown_refused() {
    for (json, field) in [
        (r#"{"kind":"slow"}"#, "bytes_per_s"),
        (r#"{"kind":"status"}"#, "status"),
        (r#"{"kind":"stall"}"#, "for_ms"),
        (r#"{"kind":"refused"}"#, "for_ms"),
        (r#"{"kind":"late_pokes"}"#, "late_ms"),
        (r#"{"kind":"held"}"#, "hold_ms"),
        (r#"{"kind":"evicted"}"#, "stream"),
        (r#"{"kind":"foreign"}"#, "stream"),
    ] {
        assert_eq!(parse(json), Err(Missing(field)));
    }
    assert!(serde_json::from_str::<FaultRequest>(r#"{"kind":"rst","slot":1}"#).is_err());
    assert!(serde_json::from_str::<FaultRequest>(r#"{"kind":"earthquake"}"#).is_err());
}

#[test]
fn calls_are_told_by_method_and_path() {
    for (method, path, call) in [
        ("POST", "/streams", Call::Create),
        ("GET", "/streams/", Call::List),
        ("GET", "/streams/1", Call::Get),
        ("PUT", "/streams/1", Call::Rename),
        ("DELETE", "/streams/1", Call::Delete),
        ("GET", "/streams/1/connect", Call::Connect),
        ("GET", "/replay", Call::Replay),
        ("POST", "/replay", Call::Other),
    ] {
        assert_eq!(Call::of(method, path), call);
    }
    assert!(!CallFault::LostAnswer { silent: true }.fits(Call::Connect));
    assert!(!CallFault::Gzip.fits(Call::Create));
}

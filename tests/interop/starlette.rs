//! sse-starlette on uvicorn: `servers/events.py`.

use std::process::Command;

use super::kind::{Forgotten, Kind, forget_history, need_packages, output, programs};
use super::process::Place;

pub(super) struct Starlette;

impl Kind for Starlette {
    fn name(&self) -> &'static str {
        "sse-starlette on uvicorn"
    }

    fn preset(&self) -> &'static str {
        "sse"
    }

    fn install(&self) -> String {
        let python = need_packages("python").join("bin/python");
        let version = "from importlib.metadata import version as of; \
                       print(of('sse-starlette') + ', ' + of('uvicorn'))";
        output(python, ["-c", version])
    }

    fn command(&self, place: &Place) -> Command {
        let mut python = place.program(need_packages("python").join("bin/python"));
        python.arg(programs().join("events.py"));
        python
    }

    fn scaled(&self) -> &'static str {
        "gap_check = \"sequence\""
    }

    fn forget(&self, place: &Place) -> Forgotten {
        forget_history(place)
    }
}

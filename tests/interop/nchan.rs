//! nginx with nchan, in one process, with its history in memory. Messages are published over HTTP, and read as
//! server-sent events or over a WebSocket.

use std::io;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::support::wait_for;
use super::kind::{Ends, Forgotten, Kind, need_debian, post};
use super::process::Place;

pub(super) enum Nchan {
    EventSource,
    /// Its messages have no id, and each connection begins at the oldest.
    WebSocket,
}

impl Kind for Nchan {
    fn name(&self) -> &'static str {
        match self {
            Self::EventSource => "nginx with nchan",
            Self::WebSocket => "nginx with nchan, WebSocket",
        }
    }

    fn preset(&self) -> &'static str {
        "nchan"
    }

    fn install(&self) -> String {
        let (nginx, nchan) = (need_debian("nginx-light"), need_debian("libnginx-mod-nchan"));
        format!("{nginx}, {nchan}")
    }

    fn prepare(&self, place: &Place) {
        let port = place.port;
        let subscriber = match self {
            Self::EventSource => "eventsource; nchan_eventsource_ping_interval 1",
            Self::WebSocket => "websocket; nchan_websocket_ping_interval 1",
        };
        let settings = format!(
            "load_module /usr/lib/nginx/modules/ngx_nchan_module.so;\n\
             daemon off; master_process off; pid nginx.pid;\n\
             events {{}}\n\
             http {{\n\
             access_log off;\n\
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
             nchan_message_buffer_length 1000000; nchan_message_timeout 1h;\n\
             server {{\n\
             listen 127.0.0.1:{port};\n\
             location /publish {{ nchan_publisher; nchan_channel_id numbers; }}\n\
             location /events {{\n\
             nchan_subscriber {subscriber};\n\
             nchan_channel_id numbers; nchan_subscriber_timeout 3;\n\
             }} }} }}\n"
        );
        std::fs::write(place.folder().join("nginx.conf"), settings).unwrap();
    }

    fn command(&self, place: &Place) -> Command {
        // Its ids count within the second. In the same second as the life before it would give the same ids again,
        // and pass over what a client seems to have.
        let before = second();
        wait_for("another second", || (second() != before).then_some(()));
        let mut nginx = Command::new("/usr/sbin/nginx");
        nginx.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(place.folder());
        nginx
    }

    fn scheme(&self) -> &'static str {
        match self {
            Self::EventSource => "http",
            Self::WebSocket => "ws",
        }
    }

    fn scaled(&self) -> &'static str {
        match self {
            Self::EventSource => "interval = \"1s\"",
            Self::WebSocket => {
                "interval = \"1s\"\ncursor = \"none\"\nidentity = \"/n\"\nfull_state = true"
            }
        }
    }

    fn publish(&self, place: &Place, number: u64) -> io::Result<()> {
        post(place, "/publish", &format!("{{\"n\":{number}}}"))
    }

    fn ends(&self) -> Ends {
        Ends::Idle
    }

    fn forget(&self, _place: &Place) -> Forgotten {
        // It has been killed, and that was its memory.
        Forgotten::Unnoticed
    }
}

fn second() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

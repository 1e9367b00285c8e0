//! nginx with nchan, in one process, with its history in memory. Messages are published over HTTP.

use std::io;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::support::wait_for;
use super::kind::{Ends, Forgotten, Kind, need_debian, post};
use super::process::Place;

pub(super) struct Nchan;

impl Kind for Nchan {
    fn name(&self) -> &'static str {
        "nginx with nchan"
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
             nchan_subscriber eventsource; nchan_channel_id numbers;\n\
             nchan_eventsource_ping_interval 1; nchan_subscriber_timeout 3;\n\
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

    fn scaled(&self) -> &'static str {
        "interval = \"1s\""
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

//! The page in a real browser: a hang turns a lane, makes an incident appear, and can be understood
//! from the page alone.
//!
//! With `STREAMKEEPER_PICTURES` set to a folder, the pictures of docs/page.md are made there.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::support::{Browser, Keeper, Scenario, Service, Settings, wait_for};

/// WebDriver's names of the keys.
const ENTER: char = '\u{e007}';
const TAB: char = '\u{e004}';

#[test]
fn a_hang_is_seen_and_understood() {
    let scenario = Scenario::with(Service::process(&["--rate=60"]), |settings| settings);
    let browser = Browser::start();
    browser.open(&scenario.keeper.endpoint());
    browser.wait_text("#sentence", "Nothing is lost: acme is live");
    browser.wait_text("#sentence-mark", "behind");
    assert_eq!(browser.count(".stream[open]"), 1, "the only stream is open");
    wait_for("three lanes that are live", || {
        (browser.count(".lanes .slot .span-live") >= 3).then_some(())
    });
    assert_eq!(browser.count(".lanes .span-late"), 0);
    assert!(browser.text(".incidents").contains("None"));
    let pictures = std::env::var_os("STREAMKEEPER_PICTURES").map(PathBuf::from);
    if pictures.is_some() {
        // A time line worth a picture.
        (0..3).for_each(|_| scenario.service.wait_time(Duration::from_secs(50)));
    }

    let hung = scenario.service.fault(json!({"kind": "hang"}));
    assert_eq!(hung.len(), 1);
    browser.wait_text("#sentence", "was silent for 2.5 s");
    let sentence = browser.text("#sentence");
    assert!(sentence.contains("nothing is lost as long as"), "{sentence}");
    wait_for("a lane that was late", || (browser.count(".lanes .span-late") > 0).then_some(()));
    wait_for("the replay on the lanes", || {
        (browser.count(".lanes .span-replaying") > 0).then_some(())
    });
    browser.wait_text(".incident summary .numbers", "events came back");
    browser.wait_text("#sentence", "Nothing is lost");

    // The story, by keyboard.
    assert!(!browser.text(".incident .story").contains("CREATE"), "it is closed");
    browser.run("document.querySelector('.incident > summary').focus()");
    browser.press(ENTER);
    let story = browser.wait_text(".incident .story", "caught up after");
    for step in ["has been silent for 1 s: late", "all connections are closed", "DELETE", "CREATE"]
    {
        assert!(story.contains(step), "{step}: {story}");
    }
    let described = browser.run(
        "return [...document.querySelectorAll('.body svg[role=img]')]
            .every((picture) => picture.getAttribute('aria-label')?.length > 20)",
    );
    assert_eq!(described, true, "every picture has a text");
    if let Some(folder) = &pictures {
        scenario.service.wait_time(Duration::from_secs(40));
        browser.run("document.querySelector('[name=zoom][value=\"300\"]').click()");
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            fits(&browser, 1_000);
            std::fs::write(folder.join(format!("page-{scheme}.png")), browser.picture()).unwrap();
        }
    }
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for width in [360, 720, 1_400] {
            fits(&browser, width);
        }
    }
    assert_eq!(browser.console(), [""; 0], "no error, and nothing that the policy forbids");
    browser.run("document.body.setAttribute('style', 'color: red')");
    let console = browser.console();
    assert!(console.iter().any(|line| line.contains("Content Security Policy")), "{console:?}");

    scenario.finish();
    browser.wait_text("#link", "lost");
    browser.wait_text("#sentence", "Not known");
}

#[test]
fn one_page_too_many_is_told_so() {
    let scenario = Scenario::start();
    let endpoint = scenario.keeper.endpoint();
    let address = endpoint.trim_start_matches("http://");
    let listen = |_| {
        let mut feed = TcpStream::connect(address).unwrap();
        write!(feed, "GET /api/feed HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
        // It has its place when it is answered.
        feed.read_exact(&mut [0; 16]).unwrap();
        feed
    };
    let others: Vec<_> = (0..16).map(listen).collect();
    let browser = Browser::start();
    browser.open(&endpoint);
    browser.wait_text("#sentence", "Not known: 16 pages are open already");
    drop(others);
    browser.wait_text("#sentence", "Nothing is lost");
    scenario.finish();
}

#[test]
fn a_long_list_stays_usable() {
    let service = Service::process(&["--organizations=8", "--rate=100"]);
    let mut streams = String::new();
    for (organization, number) in (1..=8).flat_map(|o| (0..5).map(move |n| (o, n))) {
        let name = format!("org{organization}-{number}");
        // One that is not let in.
        let token = if name == "org7-2" { "wrong" } else { "simulated" };
        streams += &Settings::scaled(&service.url)
            .with("name", name.as_str())
            .with("token", format!("{token}-{organization:04}").as_str())
            .with("connections", 2)
            .stream();
    }
    let sink = "[[sink]]\nname = \"archive\"\ntype = \"file\"\npath = \"events.ndjson\"\n";
    let head = "[service]\nlisten = \"127.0.0.1:0\"\nlog_format = \"json\"\n";
    let keeper = Keeper::start_with::<&str>(&format!("{head}{streams}{sink}"), &[]);
    let browser = Browser::start();
    browser.open(&keeper.endpoint());
    browser.wait_text("#sentence", "org7-2: the service refuses the token");
    assert_eq!(browser.count(".stream"), 40);
    assert_eq!(browser.count(".stream[open]"), 0, "nobody has asked for one");
    assert_eq!(browser.count(".body > *"), 0, "and nothing is drawn of it");

    // The first key leads to the list, past the controls.
    browser.press(TAB);
    assert_eq!(browser.run("return document.activeElement.className"), "skip");
    assert_eq!(browser.run("return document.activeElement.matches(':focus-visible')"), true);

    // By name, by keyboard.
    browser.run("document.getElementById('filter').focus()");
    "org3".chars().for_each(|key| browser.press(key));
    browser.wait_text("#counted", "5 of 40");
    assert_eq!(browser.count(".stream:not([hidden])"), 5);
    browser.run("document.querySelector('[data-name=org3-1] > summary').focus()");
    browser.press(ENTER);
    wait_for("its lanes", || (browser.count("[data-name=org3-1] .lanes svg") == 2).then_some(()));
    fits(&browser, 360);

    // By need.
    browser.run("document.getElementById('filter').value = ''");
    browser.run("document.getElementById('attention').click()");
    wait_for("the one that is in trouble", || {
        (browser.text("#streams").contains("org7-2")
            && browser.text("#counted").starts_with("1 of"))
        .then_some(())
    });
    browser.run("document.getElementById('attention').click()");

    // One more than may be open closes the first.
    for number in 0..8 {
        let name = format!("org{}-0", number + 1);
        browser.run(&format!("document.querySelector('[data-name={name}] > summary').click()"));
    }
    wait_for("eight open streams", || {
        let open = browser.count(".stream[open]");
        (open == 8 && browser.count("[data-name=org8-0] .lanes svg") == 2).then_some(())
    });
    assert_eq!(browser.count("[data-name=org3-1][open]"), 0);
    assert_eq!(browser.console(), [""; 0]);
}

/// Nothing is cut off, and nothing has to be scrolled sideways.
#[track_caller]
fn fits(browser: &Browser, width: u64) {
    browser.widen(width, 900);
    let shown = browser.run("return document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(shown <= width, "{shown} pixels on {width}");
}

//! Long work on a terminal: a bar that moves, and Ctrl-C, after which the command says what was done and what was not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::client::digest;
use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::image::Image;
use e2e::landfall;
use e2e::papers::wait_until;
use e2e::terminal::Terminal;

use crate::folder::without_settings;

/// A registry with the repositories `a` and `b`, an image in each; of the second it never sends the layer.
struct Stalling {
    images: [Image; 2],
    stalled: AtomicBool,
}

impl Stalling {
    fn start() -> (Arc<Self>, String) {
        let image = |seed| Image::of_layers(vec![Dice::new(seed).bytes(90_000)], "amd64", None);
        let registry = Arc::new(Self {
            images: [image(1), image(2)],
            stalled: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let serving = Arc::clone(&registry);
        // Ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let registry = Arc::clone(&serving);
                std::thread::spawn(move || registry.answer(&stream));
            }
        });
        (registry, address)
    }

    fn answer(&self, mut stream: &TcpStream) {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let first = lines.next().unwrap_or_default();
        let _head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let target = first.split(' ').nth(1).unwrap_or_default();
        let body = if target.starts_with("/v2/_catalog") {
            Some(br#"{"repositories":["a","b"]}"#.to_vec())
        } else if target.contains("/tags/list") {
            Some(br#"{"tags":["1"]}"#.to_vec())
        } else if target.contains("/manifests/1") {
            let of_b = usize::from(target.starts_with("/v2/b/"));
            // Long enough for the bar to be drawn when the next piece arrives.
            std::thread::sleep(Duration::from_millis(150));
            Some(self.images[of_b].manifest.clone())
        } else {
            let asked = target.rsplit('/').next().unwrap_or_default();
            if digest(&self.images[1].blobs[0]) == asked {
                self.stalled.store(true, Ordering::SeqCst);
                // What waits for this answer does not end by itself.
                std::thread::sleep(Duration::from_hours(1));
            }
            let mut blobs = self.images.iter().flat_map(|image| &image.blobs);
            blobs.find(|blob| digest(blob) == asked).cloned()
        };
        let (status, body) = body.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        // A client that has left is told nothing.
        let _ = stream.write_all(&[head.into_bytes(), body].concat());
    }
}

#[test]
fn ctrl_c_ends_a_long_adoption_and_it_says_what_was_done_and_what_was_not() {
    let machine = Containers::default();
    let data = machine.folder("data").display().to_string();
    for (more, kept) in [
        ("--dry-run", "nothing was written, as in every dry run"),
        ("", "what was brought stays; the rest was not brought"),
    ] {
        let (registry, address) = Stalling::start();
        let program = landfall::program();
        let line = format!("{} adopt {address} --data {data} {more}", program.display());
        let mut terminal = Terminal::runs(&line, |command| {
            without_settings(command);
        });
        terminal.shows("adopt ").shows("─").shows("/2 repositories");
        wait_until("the second repository is begun", || {
            registry.stalled.load(Ordering::SeqCst)
        });
        terminal.interrupts();
        let (code, shown) = terminal.ends();
        assert_eq!(code, Some(130), "{shown}");
        for words in ["interrupted: 1 of 2 repositories was done", kept] {
            assert!(shown.contains(words), "{words}:\n{shown}");
        }
    }
}

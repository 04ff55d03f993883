//! DNS-01 by dynamic update: BIND holds the zone, takes updates that are signed with the right key, and is what the authority asks.

use std::fs;
use std::process::Command;

use e2e::papers::wait_until;

use crate::scene::{ISSUED, NAME, Scene};

const SECRET: &str = "c2l4dGVlbiBieXRlcyBvZiBiZWVzIGFuZCBtb3JlIQ==";
const WRONG: &str = "YW5vdGhlciBzZWNyZXQsIG9mIHdhc3BzIHRoaXMgdGltZQ==";

impl Scene {
    /// `named` with the zone of the name, on the port where the authority looks for DNS.
    fn start_name_server(&mut self, algorithm: &str) {
        let port = self.ports.dns;
        let folder = self.at("named");
        fs::create_dir(&folder).expect("a folder can be made");
        let place = folder.display();
        let zone = "$TTL 60\n@ IN SOA ns1 bee 1 3600 600 86400 60\n@ IN NS ns1\nns1 IN A 127.0.0.1\nregistry IN A 127.0.0.1\n";
        fs::write(folder.join("example.com.zone"), zone).expect("a file can be written");
        let config = format!(
            "options {{ directory \"{place}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
             pid-file \"{place}/pid\"; session-keyfile none; recursion no; dnssec-validation no; }};\n\
             controls {{ }};\n\
             key \"landfall\" {{ algorithm {algorithm}; secret \"{SECRET}\"; }};\n\
             zone \"example.com\" {{ type primary; file \"{place}/example.com.zone\";\n\
             update-policy {{ grant landfall name _acme-challenge.{NAME} TXT; }}; }};\n"
        );
        fs::write(folder.join("named.conf"), config).expect("a file can be written");
        self.run_name_server(1);
    }

    /// `named` as its file says, for the how-many-th time.
    fn run_name_server(&mut self, times: usize) {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut named = Command::new("named");
        named
            .env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin"))
            .args(["-g", "-n", "1", "-c"])
            .arg(self.at("named/named.conf"));
        self.spawn("named", &mut named);
        wait_until("the name server answers", || {
            self.log("named").matches("all zones loaded").count() == times
        });
    }

    fn start_landfall_with_key(&mut self, secret: &str, algorithm: &str) {
        fs::write(self.at("tsig"), format!("{secret}\n")).expect("a file can be written");
        let server = format!("127.0.0.1:{}", self.ports.dns);
        let secret_file = self.at("tsig").display().to_string();
        self.start_landfall(
            "",
            &[
                ("LANDFALL_TLS__ACME__DNS__PROVIDER", "rfc2136"),
                ("LANDFALL_TLS__ACME__DNS__RFC2136__SERVER", &server),
                ("LANDFALL_TLS__ACME__DNS__RFC2136__ZONE", "example.com"),
                ("LANDFALL_TLS__ACME__DNS__RFC2136__KEY_NAME", "landfall"),
                ("LANDFALL_TLS__ACME__DNS__RFC2136__KEY_ALGORITHM", algorithm),
                ("LANDFALL_TLS__ACME__DNS__RFC2136__KEY_SECRET_FILE", &secret_file),
            ],
        );
    }
}

#[test]
fn a_name_is_proven_by_updates_of_its_zone() {
    for algorithm in ["hmac-sha256", "hmac-sha512"] {
        let mut scene = Scene::new();
        scene.start_name_server(algorithm);
        scene.start_pebble();
        scene.start_landfall_with_key(SECRET, algorithm);
        scene.wait_for(ISSUED, 1);
        scene.is_trusted();
        let log = scene.log("named");
        assert!(
            log.contains("adding an RR at '_acme-challenge.registry.example.com' TXT"),
            "{log}"
        );
        assert!(
            log.contains("deleting an RR at _acme-challenge.registry.example.com TXT"),
            "{log}"
        );
        assert!(!scene.log("landfall").contains(SECRET));
    }
}

#[test]
fn a_name_server_that_has_another_secret_or_refuses_the_name_is_told_apart() {
    let mut scene = Scene::new();
    scene.start_name_server("hmac-sha256");
    scene.start_pebble();
    scene.start_landfall_with_key(WRONG, "hmac-sha256");
    scene.wait_for("LF-TLS-024", 1);
    scene.wait_for("it has another secret for this key (BADSIG)", 1);
    scene.wait_for("tls.acme.dns.rfc2136.key_secret", 1);
    assert!(
        scene.issuer().contains("Landfall"),
        "the local CA does not serve meanwhile"
    );
    scene.end("landfall");
    // The key is right now, and the server may not change this zone with another name.
    let config = fs::read_to_string(scene.at("named/named.conf")).expect("a file can be read");
    scene.end("named");
    fs::write(
        scene.at("named/named.conf"),
        config.replace("grant landfall name", "deny landfall name"),
    )
    .expect("a file can be written");
    scene.run_name_server(2);
    scene.start_landfall_with_key(SECRET, "hmac-sha256");
    scene.wait_for("it answered REFUSED (code 5)", 1);
    scene.wait_for("update-policy", 1);
}

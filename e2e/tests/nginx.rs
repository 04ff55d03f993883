//! nginx in front, as the documents write it, and as people have it: links lead back, limits show, prefixes hold.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

use std::fs;

use e2e::compose::{Machine, NAME};
use e2e::dice::Dice;
use e2e::image::write_build_folder;

const CONF: &str = "nginx/registry.conf";
const IMAGE: &str = "registry.example.com/busy/hello:1.0";

/// The packaged compose file behind the packaged nginx, changed as the journey says.
fn behind_nginx(change_conf: impl Fn(&str) -> String, settings: &str) -> Machine {
    let machine = Machine::default();
    machine.takes_from_packaging("compose-nginx");
    machine.has_nginx();
    machine.makes_certificates();
    let conf = fs::read_to_string(machine.at(CONF)).unwrap();
    machine.writes(CONF, change_conf(&conf));
    let file = fs::read_to_string(machine.at("docker-compose.yml")).unwrap();
    let marker = "      REGISTRY_AUTH: htpasswd\n";
    assert!(file.contains(marker));
    machine.writes(
        "docker-compose.yml",
        file.replace(marker, &format!("{marker}{settings}")),
    );
    machine
        .types("mkdir registry && htpasswd -Bbn busy bee > registry/registry.password")
        .succeeded();
    machine.types("docker-compose up -d").succeeded();
    machine.waits_until_healthy("registry");
    machine
}

/// A user logs in, and builds an image of which nginx's defaults refuse the layer.
fn busy_builds(machine: &Machine) {
    machine
        .types(&format!(
            "echo bee | docker login {NAME} -u busy --password-stdin"
        ))
        .succeeded();
    write_build_folder(&machine.at("hello"), &[("large", &Dice::new(7).bytes(3_000_000))]);
    machine
        .types(&format!("docker build -t {IMAGE} hello"))
        .succeeded();
}

/// What a client is told when it begins an upload.
fn location(machine: &Machine, path: &str) -> String {
    let answer = machine
        .types(&format!(
            "curl -sSi --cacert ca.crt -u busy:bee -X POST https://{NAME}{path}"
        ))
        .succeeded()
        .stdout();
    answer
        .lines()
        .find_map(|line| line.strip_prefix("location: "))
        .unwrap_or_else(|| panic!("no Location:\n{answer}"))
        .to_owned()
}

#[test]
fn absolute_links_carry_the_name_and_the_scheme_that_the_client_used() {
    let machine = behind_nginx(
        str::to_owned,
        "      REGISTRY_HTTP_RELATIVEURLS: \"false\"\n      LANDFALL_HTTP__TRUSTED_PROXIES: \"[private]\"\n",
    );
    let location = location(&machine, "/v2/busy/app/blobs/uploads/");
    assert!(
        location.starts_with("https://registry.example.com/v2/busy/app/blobs/uploads/"),
        "{location}"
    );
    busy_builds(&machine);
    machine.types(&format!("docker push {IMAGE}")).succeeded();
    // The packaged nginx passes layers on as they come: there is nothing to explain.
    machine
        .types("docker-compose logs --no-color registry")
        .succeeded()
        .does_not_say("holds layers back")
        .does_not_say("not trusted");
}

#[test]
fn an_nginx_with_its_defaults_refuses_large_layers_and_is_explained() {
    let defaults = |conf: &str| {
        conf.lines()
            .filter(|line| {
                [
                    "client_max_body_size",
                    "buffering",
                    "proxy_http_version",
                    "_timeout",
                ]
                .iter()
                .all(|setting| !line.contains(setting))
            })
            .fold(String::new(), |conf, line| conf + line + "\n")
    };
    let machine = behind_nginx(defaults, "");
    busy_builds(&machine);
    machine
        .types(&format!("docker push {IMAGE}"))
        .failed()
        .says("413 Request Entity Too Large");
    // A small layer comes through, held back and then sent on by HTTP/1.0, and the log says what to change.
    machine
        .types("curl -sS --fail --cacert ca.crt -u busy:bee -X POST https://registry.example.com/v2/busy/app/blobs/uploads/")
        .succeeded();
    machine
        .types("docker-compose logs --no-color registry")
        .succeeded()
        .says("client_max_body_size 0")
        .says("proxy_request_buffering off");
}

#[test]
fn under_a_prefix_links_stay_under_it_through_nginx() {
    let prefixed = |conf: &str| conf.replace("location / {", "location /images/ {");
    let machine = behind_nginx(prefixed, "      REGISTRY_HTTP_PREFIX: /images/\n");
    let location = location(&machine, "/images/v2/busy/app/blobs/uploads/");
    assert!(
        location.starts_with("/images/v2/busy/app/blobs/uploads/"),
        "{location}"
    );
    machine
        .types(&format!(
            "printf hello > blob && curl -sS --fail --cacert ca.crt -u busy:bee -X PUT --data-binary @blob \
             -H 'Content-Type: application/octet-stream' \
             \"https://{NAME}{location}&digest=sha256:$(sha256sum blob | cut -d' ' -f1)\""
        ))
        .succeeded();
    machine
        .types(&format!(
            "curl -sS --fail --cacert ca.crt -u busy:bee \
             https://{NAME}/images/v2/busy/app/blobs/sha256:$(sha256sum blob | cut -d' ' -f1)"
        ))
        .succeeded()
        .says("hello");
}

//! The local CA, and how each client learns to trust it: the steps as they are printed, typed on a machine of its own.
//!
//! Docker runs in a network of its own, where ports 80 and 443 are free, and its machine is that of the other clients too.
//! Each other client gets a copy of `/etc` that goes away. Needs root.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

use std::fs;

use e2e::command::Ran;
use e2e::dice::Dice;
use e2e::docker::Docker;
use e2e::image::write_build_folder;
use e2e::landfall;
use e2e::papers::{NAME, wait_until};
use tempfile::TempDir;

/// A machine's `/etc` and its list of authorities, to be changed without a trace.
const MACHINE: &str = "
mkdir -p layer && mount -t tmpfs tmpfs layer && mkdir layer/up layer/work layer/system
cp /etc/hosts layer/hosts
mount -t overlay overlay -o lowerdir=/etc,upperdir=$PWD/layer/up,workdir=$PWD/layer/work /etc
mount --bind layer/hosts /etc/hosts
mount --bind layer/system /usr/local/share/ca-certificates
";

/// A server with the local CA in the engine's network, and a person at its machine.
struct Scene {
    docker: Docker,
    folder: TempDir,
    password: String,
}

impl Scene {
    fn start() -> Self {
        let docker = Docker::start_apart_and_strict(&[NAME]);
        let folder = TempDir::with_prefix("local-ca-").unwrap();
        let mut scene = Self {
            docker,
            folder,
            password: String::new(),
        };
        scene
            .types(&format!(
                "{} serve {NAME} --tls local --data data >log 2>&1 </dev/null & echo $! >pid",
                landfall_word()
            ))
            .succeeded();
        wait_until("the server listens", || scene.log().contains("listening on"));
        let login = fs::read_to_string(scene.folder.path().join("data/landfall/first-login")).unwrap();
        let password = login
            .lines()
            .find_map(|line| line.strip_prefix("password "))
            .unwrap();
        password.trim().clone_into(&mut scene.password);
        fs::write(scene.folder.path().join("password"), &scene.password).unwrap();
        // The steps are for a person who is not root; root has no sudo to need.
        scene
            .types("mkdir bin && printf '#!/bin/sh\\nexec \"$@\"\\n' >bin/sudo && chmod +x bin/sudo")
            .succeeded();
        scene
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn types(&self, line: &str) -> Ran {
        self.docker.shell(self.folder.path(), line)
    }

    /// On a machine that knows nothing of this registry yet.
    fn types_on_a_new_machine(&self, lines: &str) -> Ran {
        fs::write(
            self.folder.path().join("machine.sh"),
            format!("{MACHINE}{lines}\n"),
        )
        .unwrap();
        self.types("unshare --mount sh -eu machine.sh")
    }

    /// The printed steps for a client, run.
    fn trust(client: &str) -> String {
        format!(
            "{} tls trust --data data --print {client} >steps && PATH=\"$PWD/bin:$PATH\" sh -eu steps",
            landfall_word()
        )
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.types("kill $(cat pid)");
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn landfall_word() -> String {
    let program = landfall::program().display().to_string();
    let defaults = concat!(env!("CARGO_MANIFEST_DIR"), "/defaults.yaml");
    format!("env -u LANDFALL_BIN LANDFALL_CONFIG={defaults} {program}")
}

#[test]
fn docker_trusts_the_local_ca_as_the_printed_steps_say() {
    let scene = Scene::start();
    let login = format!("docker login {NAME} -u admin --password-stdin <password");
    scene
        .types(&login)
        .failed()
        .says("certificate signed by unknown authority");
    scene.types(&Scene::trust("docker")).succeeded();
    scene.types(&login).succeeded().says("Login Succeeded");
    // The password was used, so nobody has to find it any more.
    let first_login = scene.folder.path().join("data/landfall/first-login");
    wait_until("the first login is gone", || !first_login.exists());
    write_build_folder(
        &scene.folder.path().join("hello"),
        &[("file", &Dice::new(9).bytes(2_000_000))],
    );
    let image = format!("{NAME}/team/hello:1");
    scene
        .types(&format!(
            "docker build -q -t {image} hello && docker push {image}"
        ))
        .succeeded();
    scene
        .types(&format!(
            "docker rmi -f $(docker images -q {image}) && docker pull {image}"
        ))
        .succeeded()
        .says("Downloaded newer image");

    containerd_trusts_it(&scene, &image);
    scene.types("kill $(cat pid)").succeeded();
    wait_until("the server ends", || scene.log().contains("msg=stopped"));
}

/// The image that Docker pushed is fetched by containerd.
fn containerd_trusts_it(scene: &Scene, image: &str) {
    let socket = scene.docker.folder("exec/containerd/containerd.sock");
    let fetch = format!(
        "ctr --address {} --namespace trust content fetch --hosts-dir /etc/containerd/certs.d --user admin:$(cat password) {image}",
        socket.display()
    );
    scene
        .types_on_a_new_machine(&format!("mkdir -p /etc/containerd/certs.d\n{fetch}"))
        .failed()
        .says("certificate signed by unknown authority");
    scene
        .types_on_a_new_machine(&format!("{}\n{fetch}", Scene::trust("containerd")))
        .succeeded();
}

#[test]
fn the_line_that_the_server_prints_at_its_start_is_enough_for_docker() {
    let scene = Scene::start();
    let log = scene.log();
    assert!(log.contains("each client has to trust it once"), "{log}");
    let line = log
        .lines()
        .find_map(|line| line.split_once("trust: docker"))
        .unwrap()
        .1;
    let line = line.trim().trim_end_matches('"').replace("\\\"", "\"");
    scene
        .types(&format!("PATH=\"$PWD/bin:$PATH\"; {line}"))
        .succeeded();
    scene
        .types(&format!(
            "docker login {NAME} -u admin --password-stdin <password"
        ))
        .succeeded();
}

#[test]
fn podman_and_the_machine_itself_trust_it_as_the_printed_steps_say() {
    let scene = Scene::start();
    let options = "--storage-driver=vfs --root $PWD/root --runroot $PWD/run --cgroup-manager=cgroupfs --events-backend=none";
    let login = format!(
        "export REGISTRY_AUTH_FILE=$PWD/auth.json CONTAINERS_CONF=/dev/null; podman {options} login -u admin --password-stdin {NAME} <password"
    );
    scene
        .types_on_a_new_machine(&login)
        .failed()
        .says("certificate signed by unknown authority");
    scene
        .types_on_a_new_machine(&format!("{}\n{login}", Scene::trust("podman")))
        .succeeded()
        .says("Login Succeeded");

    let look = format!("curl -sSf https://{NAME}/healthz");
    scene.types_on_a_new_machine(&look).failed().says("certificate");
    scene
        .types_on_a_new_machine(&format!("{}\n{look}", Scene::trust("system")))
        .succeeded()
        .says("ok");

    // K3s is not here: what its steps write, and what they say has to stand in its file.
    let file = format!("/etc/rancher/k3s/landfall-{NAME}.pem");
    scene
        .types_on_a_new_machine(&format!(
            "{}\ncmp {file} data/landfall/tls/local/ca.pem && cat steps",
            Scene::trust("k3s")
        ))
        .succeeded()
        .says("registries.yaml")
        .says(&format!("#   \"{NAME}\":\n#     tls:\n#       ca_file: {file}"));
}

#[test]
fn plain_http_gives_the_certificate_of_the_local_ca_and_leads_to_https() {
    let scene = Scene::start();
    scene
        .types(&format!(
            "curl -sSf -o got.pem http://{NAME}/ca.pem && cmp got.pem data/landfall/tls/local/ca.pem"
        ))
        .succeeded();
    let fingerprint = scene
        .types("openssl x509 -in got.pem -noout -fingerprint -sha256")
        .succeeded()
        .stdout();
    let fingerprint = fingerprint.split_once('=').unwrap().1.trim();
    assert!(
        scene.log().contains(fingerprint),
        "{fingerprint}: {}",
        scene.log()
    );
    scene
        .types(&format!("{} tls status --data data", landfall_word()))
        .succeeded()
        .says(fingerprint);
    scene
        .types(&format!(
            "curl -sS -o /dev/null -w '%{{http_code}} %{{redirect_url}}' http://{NAME}/v2/_catalog"
        ))
        .succeeded()
        .says(&format!("308 https://{NAME}/v2/_catalog"));
}

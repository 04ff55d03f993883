//! The machine of a person who follows the tutorial: a folder, an engine with its own network, our image, and nginx.
//!
//! Shape: [`Machine`] has the image under test as `landfall/landfall:latest`, the Debian nginx as `nginx:latest`, and
//! `registry.example.com` as its own name. Certificates come from an authority that `openssl` makes.
//! Fails: by panic. Needs root, and `LANDFALL_IMAGE_ARCHIVE`, which `cargo xtask test` sets.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::command::{Ran, program, run};
use crate::docker::Docker;
use crate::terminal::Terminal;

/// The registry's name in every document of ours.
pub const NAME: &str = "registry.example.com";

const HEALTHY_SECONDS_MAX: u64 = 120;

/// A machine with an engine, and the folder in which somebody works.
pub struct Machine {
    /// The engine; what runs on it goes with it.
    pub docker: Docker,
    folder: TempDir,
}

impl Default for Machine {
    /// A machine that has our image.
    fn default() -> Self {
        let folder = TempDir::with_prefix("machine-").expect("a temporary folder can be made");
        let docker = Docker::start_apart(&[NAME]);
        let archive = std::env::var("LANDFALL_IMAGE_ARCHIVE").expect(
            "LANDFALL_IMAGE_ARCHIVE must name the image; `cargo xtask test release journeys` makes it and sets this",
        );
        docker
            .run(&["load", "--input", &archive])
            .succeeded()
            .says("landfall/landfall:latest");
        Self { docker, folder }
    }
}

impl Machine {
    /// A path in the working folder.
    #[must_use]
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A line in the shell, typed in the working folder.
    #[must_use]
    pub fn types(&self, line: &str) -> Ran {
        self.docker.shell(self.folder.path(), line)
    }

    /// A line on a terminal in the working folder.
    #[must_use]
    pub fn sits_at(&self, line: &str) -> Terminal {
        self.docker.terminal(self.folder.path(), line)
    }

    /// Writes a file in the working folder.
    pub fn writes(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.at(name);
        let parent = path.parent().expect("a file lies in a folder");
        fs::create_dir_all(parent).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    }

    /// Lays one of the packaged folders into the working folder.
    pub fn takes_from_packaging(&self, folder: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../packaging")
            .join(folder)
            .join(".");
        run(program("cp").arg("--recursive").arg(from).arg(self.folder.path())).succeeded();
    }

    /// An authority of this machine's own, and a certificate for [`NAME`] in `nginx/ssl`; the engine trusts the authority.
    pub fn makes_certificates(&self) {
        self.types(
            "mkdir -p nginx/ssl && \
             openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=An authority of our own' \
                 -keyout ca.key -out ca.crt && \
             openssl req -newkey rsa:2048 -nodes -subj /CN=registry.example.com \
                 -keyout nginx/ssl/registry.key -out registry.csr && \
             echo subjectAltName=DNS:registry.example.com > registry.ext && \
             openssl x509 -req -in registry.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
                 -extfile registry.ext -out nginx/ssl/registry.crt",
        )
        .succeeded();
        self.docker.trust(NAME, &self.at("ca.crt"));
    }

    /// Gives the engine `registry:2`: Debian's program with the configuration of the image of that name.
    pub fn has_the_older_registry(&self) {
        self.has_an_image(
            "registry:2",
            r#"
            program=$(command -v docker-registry)
            for file in "$program" $(ldd "$program" | grep -o '/[^ )]*'); do
                cp --parents --dereference "$file" root
            done
            mkdir -p root/etc/docker/registry root/tmp
            printf '%s\n' 'version: 0.1' 'log: {fields: {service: registry}}' 'http: {addr: ":5000"}' \
                'storage: {cache: {blobdescriptor: inmemory}, filesystem: {rootdirectory: /var/lib/registry}}' \
                > root/etc/docker/registry/config.yml
            printf 'FROM scratch\nCOPY root /\nENTRYPOINT ["%s", "serve", "/etc/docker/registry/config.yml"]\n' "$program" > Dockerfile
        "#,
        );
    }

    /// Gives the engine `nginx:latest`: Debian's program with the libraries it needs, and nothing to download.
    pub fn has_nginx(&self) {
        self.has_an_image(
            "nginx:latest",
            r#"
            mkdir -p root/etc/nginx/conf.d root/var/log/nginx root/var/lib/nginx root/run root/tmp
            nginx=$(command -v nginx)
            for file in "$nginx" $(ldd "$nginx" | grep -o '/[^ )]*'); do
                cp --parents --dereference "$file" root
            done
            cp --parents --dereference "$(ls /lib/*/libnss_files.so.2 | head -n 1)" root
            echo 'root:x:0:0::/:/nologin' > root/etc/passwd
            echo 'root:x:0:' > root/etc/group
            printf 'user root;\nerror_log stderr;\nevents {}\nhttp {\n  access_log /dev/stdout;\n  include conf.d/*.conf;\n}\n' > root/etc/nginx/nginx.conf
            printf 'FROM scratch\nCOPY root /\nENTRYPOINT ["%s", "-g", "daemon off;"]\n' "$nginx" > Dockerfile
        "#,
        );
    }

    /// An image of what a script lays into `root` and says in `Dockerfile`.
    fn has_an_image(&self, name: &str, script: &str) {
        let folder = self.at(&format!("image-{}", name.replace(':', "-")));
        fs::create_dir_all(folder.join("root")).expect("a folder can be made");
        run(program("sh").args(["-euc", script]).current_dir(&folder).env(
            "PATH",
            format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()),
        ))
        .succeeded();
        let folder = folder.display().to_string();
        self.docker.run(&["build", "--tag", name, &folder]).succeeded();
    }

    /// Waits until a service of the compose file is healthy (or up, where its image cannot tell), as `docker-compose ps` shows it.
    pub fn waits_until_healthy(&self, service: &str) {
        let deadline = Instant::now() + Duration::from_secs(HEALTHY_SECONDS_MAX);
        loop {
            let shown = self
                .types(&format!("docker-compose ps {service}"))
                .succeeded()
                .words();
            // An image without a health check is up, and that is all that can be known.
            let is_up = shown.contains(" Up ") && !shown.contains("(health");
            if shown.contains("(healthy)") || is_up {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{service} is not healthy:\n{shown}\n{}",
                self.types("docker-compose logs --no-color").words()
            );
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

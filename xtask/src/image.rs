//! The container image, put together by ourselves: no engine and no base image.
//!
//! Shape: one static program, the certificate authorities it trusts, and the few folders and files that a program expects,
//! in one layer. The archive is an OCI layout and at the same time what `docker load` reads. For the same program, commit and
//! `SOURCE_DATE_EPOCH` it is the same bytes, on every machine: the authorities are Mozilla's list as a crate has it, which
//! `Cargo.lock` fixes, as it fixes the compressor, and nothing else of the machine that packs goes in.
//! Units: [`IMAGE_BYTES_MAX`] is for the files of the image as published, unpacked; a registry keeps, and a client pulls, half as
//! much, because the layer is compressed. Fails: a program that is not static, an image that is too big.
//! Source: image-spec "Image Layout" and "Image Configuration"; `Healthcheck` is Docker's addition to the latter.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::House;
use crate::archive::{Archive, ROOT};
use crate::outcome::{Failure, Outcome, Tally, words};
use crate::release::Effort;

/// An image is pulled often, by machines with little room.
const IMAGE_BYTES_MAX: usize = 25_000_000;
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";
/// Whom our compose file, unit and chart run it as; the image itself names nobody, because folders that are mounted
/// into it often belong to root.
const USER: u32 = 65532;
const SECOND_NS: u64 = 1_000_000_000;
const TITLE: &str = "landfall/landfall";

/// Where the finished image lies.
pub(crate) fn path(house: &House) -> PathBuf {
    house.root.join("target/image/landfall.tar")
}

/// Packs a static program into an image. The one that tests use was compiled in less time, and may be larger.
pub(crate) fn assemble(house: &House, program: &Path, effort: Effort) -> Outcome {
    let bytes = read(program)?;
    demand_static(&bytes, program)?;
    let Packed { archive, unpacked } = pack(house, bytes, epoch(house)?)?;
    if matches!(effort, Effort::Published) && unpacked > IMAGE_BYTES_MAX {
        return Err(Failure::new(format!(
            "the image has {unpacked} bytes unpacked, more than the {IMAGE_BYTES_MAX} that it may have"
        )));
    }
    let path = path(house);
    let describe = |error| Failure::new(format!("{} cannot be written: {error}", path.display()));
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .map_err(describe)?;
    fs::write(&path, &archive).map_err(describe)?;
    println!(
        "image: {}, {} KiB, {} KiB unpacked, {}",
        path.display(),
        archive.len() / 1024,
        unpacked / 1024,
        digest(&archive)
    );
    Ok(Tally::ONE)
}

/// An image.
#[derive(PartialEq, Eq, Debug)]
struct Packed {
    archive: Vec<u8>,
    /// How many bytes its one layer has when it is unpacked.
    unpacked: usize,
}

/// The whole archive, with this time on everything.
fn pack(house: &House, program: Vec<u8>, epoch: u64) -> Result<Packed, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let layer = layer(house, program)?.into_bytes(epoch)?;
    let created = created(epoch)?;
    let revision = words(
        Command::new("git")
            .current_dir(&house.root)
            .args(["rev-parse", "HEAD"]),
    )
    .unwrap_or_default();
    let labels = json!({
        "org.opencontainers.image.title": "Landfall",
        "org.opencontainers.image.description": "A private container-image registry in one binary",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.revision": revision,
        "org.opencontainers.image.created": created,
    });
    let config = config(&layer, &labels, &created).to_string().into_bytes();
    Ok(Packed {
        archive: archive(compressed(&layer)?, config, &labels, version).into_bytes(epoch)?,
        unpacked: layer.len(),
    })
}

/// The file system of the container.
fn layer(house: &House, program: Vec<u8>) -> Result<Archive, Failure> {
    let mut layer = Archive::default();
    for folder in [
        "etc",
        "etc/landfall",
        "etc/ssl",
        "etc/ssl/certs",
        "usr",
        "usr/bin",
        "usr/share",
        "usr/share/licenses",
        "usr/share/licenses/landfall",
        "var",
        "var/lib",
    ] {
        layer.folder(folder, 0o755, ROOT);
    }
    layer.folder("tmp", 0o1777, ROOT);
    // A named volume that is mounted here takes over this owner.
    layer.folder("var/lib/registry", 0o755, USER);
    layer.file("usr/bin/landfall", 0o755, program);
    layer.file(
        "usr/share/licenses/landfall/LICENSE",
        0o644,
        read(&house.root.join("LICENSE"))?,
    );
    layer.file(AUTHORITIES, 0o644, authorities());
    // Names resolve by /etc/hosts and DNS: a static program has no other ways.
    layer.file("etc/nsswitch.conf", 0o644, "hosts: files dns\n");
    let people =
        format!("root:x:0:0:root:/:/nologin\nlandfall:x:{USER}:{USER}:landfall:/var/lib/registry:/nologin\n");
    layer.file("etc/passwd", 0o644, people);
    layer.file("etc/group", 0o644, format!("root:x:0:\nlandfall:x:{USER}:\n"));
    Ok(layer)
}

/// Mozilla's list of authorities, as PEM. Source: RFC 7468 section 5.
fn authorities() -> String {
    const COLUMNS: usize = 64;
    let mut pem = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = STANDARD.encode(certificate);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(COLUMNS));
            pem.push_str(line);
            pem.push('\n');
            rest = more;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}

/// A layer as it is sent, without a time in it.
fn compressed(layer: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder
        .write_all(layer)
        .and_then(|()| encoder.finish())
        .map_err(|error| Failure::new(format!("the layer cannot be compressed: {error}")))
}

fn config(layer: &[u8], labels: &Value, created: &str) -> Value {
    json!({
        "architecture": architecture(),
        "os": "linux",
        "created": created,
        "config": {
            "Env": ["PATH=/usr/bin", "LANDFALL_IMAGE=1"],
            "Entrypoint": ["landfall"],
            "Cmd": ["serve"],
            "WorkingDir": "/",
            "ExposedPorts": {"80/tcp": {}, "443/tcp": {}, "5000/tcp": {}},
            "Volumes": {"/var/lib/registry": {}},
            "Labels": labels,
            "StopSignal": "SIGTERM",
            "Healthcheck": {
                "Test": ["CMD", "landfall", "healthcheck"],
                "Interval": 10 * SECOND_NS,
                "Timeout": 10 * SECOND_NS,
                "StartPeriod": 30 * SECOND_NS,
                "Retries": 3,
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": created, "created_by": "cargo xtask image"}],
    })
}

/// The layout, with `manifest.json` beside it for engines that read only that.
fn archive(layer: Vec<u8>, config: Vec<u8>, labels: &Value, version: &str) -> Archive {
    let descriptor = |media_type: &str, bytes: &[u8]| {
        json!({"mediaType": format!("application/vnd.oci.image.{media_type}"),
            "digest": digest(bytes), "size": bytes.len()})
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", &config),
        "layers": [descriptor("layer.v1.tar+gzip", &layer)],
        "annotations": labels,
    })
    .to_string()
    .into_bytes();
    let mut entry = descriptor("manifest.v1+json", &manifest);
    entry["platform"] = json!({"architecture": architecture(), "os": "linux"});
    entry["annotations"] = json!({
        "io.containerd.image.name": format!("docker.io/{TITLE}:{version}"),
        "org.opencontainers.image.ref.name": version,
    });
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]});
    let blob = |bytes: &[u8]| format!("blobs/{}", digest(bytes).replace(':', "/"));
    let docker = json!([{
        "Config": blob(&config),
        "RepoTags": [format!("{TITLE}:{version}"), format!("{TITLE}:latest")],
        "Layers": [blob(&layer)],
    }]);
    let mut archive = Archive::default();
    archive.folder("blobs", 0o755, ROOT);
    archive.folder("blobs/sha256", 0o755, ROOT);
    archive.file("oci-layout", 0o644, r#"{"imageLayoutVersion":"1.0.0"}"#);
    archive.file("index.json", 0o644, index.to_string());
    archive.file("manifest.json", 0o644, docker.to_string());
    for bytes in [layer, config, manifest] {
        archive.file(&blob(&bytes), 0o644, bytes);
    }
    archive
}

/// An interpreter in the program headers means that it needs a dynamic linker, which the image does not have.
/// Source: ELF-64, program header of type `PT_INTERP` (3).
fn demand_static(elf: &[u8], program: &Path) -> Result<(), Failure> {
    const INTERPRETER: u32 = 3;
    let refuse = |what: &str| Failure::new(format!("{} {what}", program.display()));
    let number = |start: usize, bytes: usize| -> Option<usize> {
        let field = elf.get(start..start.checked_add(bytes)?)?;
        let value = field
            .iter()
            .rev()
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        usize::try_from(value).ok()
    };
    let headers = (number(32, 8), number(54, 2), number(56, 2));
    let (true, (Some(start), Some(size), Some(count))) = (elf.starts_with(b"\x7fELF\x02\x01"), headers)
    else {
        return Err(refuse("is not a 64-bit program for Linux"));
    };
    let is_dynamic = (0..count).any(|index| number(start + index * size, 4) == Some(INTERPRETER as usize));
    if is_dynamic {
        return Err(refuse(
            "needs a dynamic linker; `cargo xtask image` builds a static one",
        ));
    }
    Ok(())
}

/// The time on everything: `SOURCE_DATE_EPOCH`, else that of the commit.
/// Source: reproducible-builds.org, "SOURCE_DATE_EPOCH".
pub(crate) fn epoch(house: &House) -> Result<u64, Failure> {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let commit = || {
        words(
            Command::new("git")
                .current_dir(&house.root)
                .args(["log", "-1", "--format=%ct"]),
        )
    };
    given.or_else(commit).and_then(|text| text.parse().ok()).ok_or_else(|| {
        Failure::new("no time for the files: set SOURCE_DATE_EPOCH to seconds since 1970, or build in a git checkout")
    })
}

fn created(epoch: u64) -> Result<String, Failure> {
    i64::try_from(epoch)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map(|time| time.to_string())
        .ok_or_else(|| Failure::new(format!("SOURCE_DATE_EPOCH={epoch} is not a time")))
}

/// What the image specification calls the machine's architecture.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn digest(bytes: &[u8]) -> String {
    let start = "sha256:".to_owned();
    let hash = Sha256::digest(bytes);
    hash.iter()
        .fold(start, |text, byte| text + &format!("{byte:02x}"))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house() -> House {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        House {
            root,
            effort: Effort::Tested,
        }
    }

    #[test]
    fn packing_the_same_program_twice_makes_the_same_bytes() {
        let pack = || pack(&house(), b"a program".to_vec(), 1_800_000_000).unwrap();
        let (first, second) = (pack(), pack());
        assert!(
            first == second,
            "{} and {}",
            digest(&first.archive),
            digest(&second.archive)
        );
    }

    /// The authorities are those of the lock file: openssl reads them, whatever this machine itself trusts.
    #[test]
    fn the_authorities_in_the_image_are_certificates_that_openssl_reads() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authorities.pem");
        fs::write(&file, authorities()).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["crl2pkcs7", "-nocrl", "-certfile"]).arg(&file);
        let bundle = openssl.output().unwrap();
        assert!(
            bundle.status.success(),
            "{}",
            String::from_utf8_lossy(&bundle.stderr)
        );
        fs::write(folder.path().join("bundle"), &bundle.stdout).unwrap();
        let listed = words(
            Command::new("openssl")
                .args(["pkcs7", "-print_certs", "-noout", "-in"])
                .arg(folder.path().join("bundle")),
        )
        .unwrap();
        let count = listed.lines().filter(|line| line.starts_with("subject")).count();
        assert!(
            count > 100 && count == webpki_root_certs::TLS_SERVER_ROOT_CERTS.len(),
            "{count}"
        );
        assert!(listed.contains("ISRG Root X1"), "{listed}");
    }
}

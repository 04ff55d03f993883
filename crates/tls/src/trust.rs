//! How each client learns to trust the local CA: exact steps, to be pasted on the client's machine.
//!
//! Shape: the first step writes the certificate itself, so nothing has to be copied between machines.
//! Source: Docker "Verify repository client with certificates", containers-certs.d(5), containerd `hosts.md`, K3s
//! "Private Registry Configuration", update-ca-certificates(8), update-ca-trust(8).

use std::path::Path;

use crate::Name;

/// Who shall trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Docker Engine.
    Docker,
    /// podman, skopeo, buildah.
    Podman,
    /// containerd, and nerdctl.
    Containerd,
    /// K3s and RKE2.
    K3s,
    /// Everything that uses the machine's own list.
    System,
}

/// A shell script for one client. `port` is the server's; 443 is not written in addresses.
#[must_use]
pub fn steps(client: Client, names: &[Name], port: u16, ca: &str) -> String {
    let addresses: Vec<_> = names.iter().map(|name| address(name, port)).collect();
    let mut text = String::new();
    for address in &addresses {
        text += &match client {
            Client::Docker => write_ca(&format!("/etc/docker/certs.d/{address}/ca.crt"), ca),
            Client::Podman => write_ca(&format!("/etc/containers/certs.d/{address}/ca.crt"), ca),
            Client::Containerd => containerd(address, ca),
            Client::K3s | Client::System => String::new(),
        };
    }
    let first = addresses.first().map_or("landfall", String::as_str);
    let file = format!("landfall-{}", first.replace([':', '[', ']'], "_"));
    text + &match client {
        Client::Docker | Client::Podman => "# no restart is needed\n".into(),
        Client::Containerd => {
            "# containerd's config.toml has to have config_path = \"/etc/containerd/certs.d\"; no restart is needed\n".into()
        }
        Client::K3s => k3s(&addresses, &file, ca),
        Client::System => system(&file, ca),
    }
}

/// The same for somebody who has the certificate as a file on that machine, one line for each kind of client.
#[must_use]
pub fn brief(names: &[Name], port: u16, ca: &Path) -> Vec<String> {
    let ca = ca.display();
    let addresses: Vec<_> = names.iter().map(|name| address(name, port)).collect();
    let each = |line: &dyn Fn(&String) -> String| addresses.iter().map(line).collect::<Vec<_>>().join(" && ");
    let install =
        |folder: &str| each(&|address| format!("sudo install -D -m 644 {ca} '{folder}/{address}/ca.crt'"));
    vec![
        format!("docker      {}", install("/etc/docker/certs.d")),
        format!("podman      {}", install("/etc/containers/certs.d")),
        format!(
            "containerd  in {}:  [host.\"https://{}\"]  ca = \"{ca}\"",
            each(&|address| format!("/etc/containerd/certs.d/{address}/hosts.toml")).replace(" && ", ", "),
            addresses.first().map_or("", String::as_str)
        ),
        format!(
            "k3s, RKE2   in registries.yaml:  configs: {{\"{}\": {{tls: {{ca_file: {ca}}}}}}}",
            addresses.first().map_or("", String::as_str)
        ),
        "on another machine, to be pasted there:  landfall tls trust --print docker|podman|containerd|k3s|system"
            .to_owned(),
    ]
}

/// Where the certificate can be had by plain HTTP.
#[must_use]
pub fn download(name: &Name, plain_port: u16) -> String {
    let host = address(name, 443);
    if plain_port == 80 {
        format!("http://{host}/ca.pem")
    } else {
        format!("http://{host}:{plain_port}/ca.pem")
    }
}

/// As it stands in the name of an image.
fn address(name: &Name, port: u16) -> String {
    let host = match name {
        Name::Ip(std::net::IpAddr::V6(ip)) => format!("[{ip}]"),
        name => name.to_string(),
    };
    if port == 443 {
        host
    } else {
        format!("{host}:{port}")
    }
}

fn write_file(path: &str, text: &str) -> String {
    let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
    format!(
        "sudo mkdir -p '{folder}'\nsudo tee '{path}' >/dev/null <<'END'\n{}\nEND\n",
        text.trim_end()
    )
}

fn write_ca(path: &str, ca: &str) -> String {
    write_file(path, ca)
}

fn containerd(address: &str, ca: &str) -> String {
    let folder = format!("/etc/containerd/certs.d/{address}");
    let hosts = format!(
        "server = \"https://{address}\"\n\n[host.\"https://{address}\"]\n  ca = \"{folder}/ca.crt\"\n"
    );
    write_ca(&format!("{folder}/ca.crt"), ca) + &write_file(&format!("{folder}/hosts.toml"), &hosts)
}

fn k3s(addresses: &[String], file: &str, ca: &str) -> String {
    let path = format!("/etc/rancher/k3s/{file}.pem");
    let mut text = write_ca(&path, ca);
    text += "# add this to /etc/rancher/k3s/registries.yaml (RKE2: /etc/rancher/rke2/registries.yaml), then restart k3s\n";
    text += "# configs:\n";
    for address in addresses {
        for part in [
            "#   \"",
            address,
            "\":\n#     tls:\n#       ca_file: ",
            &path,
            "\n",
        ] {
            text += part;
        }
    }
    text
}

fn system(file: &str, ca: &str) -> String {
    let debian = write_ca(&format!("/usr/local/share/ca-certificates/{file}.crt"), ca);
    format!(
        "# Debian, Ubuntu, Alpine:\n{debian}sudo update-ca-certificates\n\
         # Fedora, RHEL, SUSE: write the same to /etc/pki/ca-trust/source/anchors/{file}.crt, then: sudo update-ca-trust\n\
         # programs that run already, Docker among them, see it after a restart\n"
    )
}

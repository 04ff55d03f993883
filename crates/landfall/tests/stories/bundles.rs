//! Bundles by command: from one registry to another, and what is refused.

use std::fs;

use serde_json::json;

use crate::backups::{expect_served, fails, image, on_data, succeeds};
use crate::harness::Landfall;
use crate::harness::server::Builder;

#[test]
fn bundles_go_from_one_registry_to_another() {
    let (here, there) = (Landfall::start(), Landfall::start());
    let home = here.how().home().to_owned();
    let at = |name: &str| home.join(name).to_str().unwrap().to_owned();
    here.push("team/app", "1", &image("one"));
    let export = |name: &str, more: &[&str]| {
        on_data(
            here.how(),
            &[&["export", &at(name), "--layout", "bundle"][..], more].concat(),
        )
    };
    fails(&export("x.tar", &["--since", "last"]), 5, "without --since");
    let made = succeeds(&export("1.tar", &["--json"]));
    assert_eq!((&made["state"], &made["blobs"]), (&json!("exported"), &json!(3)));
    fails(&export("1.tar", &[]), 6, "is there already");
    here.push("team/app", "2", &image("two"));
    let made = succeeds(&export("2.tar", &["--since", "last", "--json"]));
    assert_eq!(made["manifests"], 1, "{made}");
    succeeds(&export("3.tar", &["--since", &at("1.tar"), "--json"]));
    fails(&export("4.tar", &["nobody/knows"]), 5, "nobody/knows");
    let wrong = on_data(
        here.how(),
        &["export", &at("folder"), "--layout", "oci", "--since", "last"],
    );
    fails(&wrong, 2, "--since is for a bundle");
    fails(
        &export("5.tar", &["--since", "potato"]),
        2,
        "the file of a bundle, the number of a change",
    );
    fails(&export("5.tar", &["--since", "999999"]), 5, "the last is");
    let far = ["--server", "https://registry.example"];
    let (first, fifth) = (at("1.tar"), at("5.tar"));
    let commands = [
        vec!["import", &first],
        vec!["export", &fifth, "--layout", "bundle"],
    ];
    for command in commands {
        fails(
            &here.how().run(&[&command[..], &far].concat()),
            2,
            "over the socket there",
        );
    }

    let import = |builder: &Builder, name: &str| on_data(builder, &["import", &at(name), "--json"]);
    let bytes = fs::read(at("1.tar")).unwrap();
    fs::write(at("half.tar"), &bytes[..bytes.len() / 2]).unwrap();
    fails(&import(there.how(), "half.tar"), 7, "no whole bundle");
    fails(&import(there.how(), "nofile.tar"), 5, "no such file");
    fails(&import(there.how(), "2.tar"), 6, made["base"].as_str().unwrap());
    assert_eq!(succeeds(&import(there.how(), "1.tar"))["manifests_brought"], 1);
    let builder = there.stop();
    assert_eq!(succeeds(&import(&builder, "2.tar"))["manifests_brought"], 1);
    assert_eq!(succeeds(&import(&builder, "2.tar"))["brought_before"], true);
    let there = builder.start();
    there.expect_image("team/app", "1", &image("one"));
    there.expect_image("team/app", "2", &image("two"));
    // A folder that is not there yet becomes a registry.
    let new = home.join("new");
    let none = here
        .how()
        .run(&["import", &at("nofile.tar"), "--data", new.to_str().unwrap()]);
    fails(&none, 5, "no such file");
    assert!(!new.exists());
    let first = here
        .how()
        .run(&["import", &at("1.tar"), "--data", new.to_str().unwrap()]);
    assert_eq!(first.code, Some(0), "{first:?}");
    expect_served(here.how(), &new, "team/app", "1", &image("one"));
}

//! `config explain` and the settings reference.

use crate::harness::{Configuration, file, nothing};
use config::{explain, render_explained, settings_reference};
use insta::assert_snapshot;

fn shown(configuration: &Configuration, key: Option<&str>) -> String {
    let explained = explain(Some(&configuration.load().values), key);
    render_explained(&explained.unwrap_or_else(|unknown| panic!("{unknown}")))
}

#[test]
fn one_setting_is_explained_in_full() {
    let configuration = file("http:\n  addr: localhost:6000\n");
    assert_snapshot!(shown(&configuration, Some("http.addr")), @r#"
    http.addr = localhost:6000
      from      /config.yml:2:9
      meaning   address to listen on; `:5000` is every interface. One that others can reach needs `auth`. With `tls.names`: `:443`
      type      HOST:PORT, or the path of a socket
      default   127.0.0.1:5000
      flag      --listen
      changes   with a restart
      variable  LANDFALL_HTTP__ADDR
                REGISTRY_HTTP_ADDR
    "#);
    assert_snapshot!(shown(&configuration, Some("http.secret")), @r#"
    http.secret = –
      from      default
      meaning   signs the state of uploads; made and kept by the server if absent
      type      secret text
      default   none
      changes   with a restart
      variable  LANDFALL_HTTP__SECRET
                LANDFALL_HTTP__SECRET_FILE
                REGISTRY_HTTP_SECRET
    "#);
    assert_snapshot!(shown(&configuration, Some("health.file[].file")), @r#"
    health.file[].file = –
      from      default
      meaning   while this file exists, the server says that it is unhealthy
      type      path
      default   none
      changes   with a restart
      variable  LANDFALL_HEALTH__FILE__N__FILE
                REGISTRY_HEALTH_FILE_N_FILE
                REGISTRY_HEALTH_FILECHECKERS_N_FILE
    "#);
    assert_snapshot!(shown(&configuration, Some("loglevel")), @r#"
    log.level = info
      from      default
      meaning   least important lines to write
      type      one of error, warn, info, debug
      default   info
      changes   with SIGHUP
      variable  LANDFALL_LOG__LEVEL
                REGISTRY_LOG_LEVEL
                REGISTRY_LOGLEVEL
    "#);
}

#[test]
fn a_section_is_a_table_with_origins() {
    let configuration = file("log:\n  level: warn\n")
        .env("REGISTRY_LOG_FIELDS_SERVICE", "registry")
        .env("LANDFALL_LOG__ACCESSLOG__FORMAT", "combined");
    assert_snapshot!(shown(&configuration, Some("log")), @r#"
    log.level               warn                    ← /config.yml:2:10
    log.formatter           text                    ← default
    log.fields              {"service":"registry"}  ← env REGISTRY_LOG_FIELDS_SERVICE
    log.accesslog.disabled  false                   ← default
    log.accesslog.format    combined                ← env LANDFALL_LOG__ACCESSLOG__FORMAT
    log.reportcaller        false                   ← default
    log.hooks               –                       ← default
    "#);
}

#[test]
fn items_of_lists_are_explained_one_by_one() {
    let configuration = file("health: {file: [{file: /a}, {file: /b, interval: 1s}]}");
    assert_snapshot!(shown(&configuration, Some("health.file")), @r#"
    health.file[0].file      /a   ← /config.yml:1:24
    health.file[1].file      /b   ← /config.yml:1:36
    health.file[0].interval  10s  ← default
    health.file[1].interval  1s   ← /config.yml:1:50
    "#);
}

#[test]
fn secrets_are_masked_everywhere() {
    let configuration =
        file("http: {secret: hunter2}\nredis: {addr: x, password: hunter2}\nproxy: {remoteurl: ''}");
    let everything = explain(Some(&configuration.load().values), None).unwrap();
    let text = render_explained(&everything) + &serde_json::to_string(&everything).unwrap();
    assert!(!text.contains("hunter2") && text.contains("***"), "{text}");
}

#[test]
fn json_has_the_same_facts() {
    let configuration = nothing().env("REGISTRY_HTTP_HEADERS_X-A", "[b]");
    let explained = explain(Some(&configuration.load().values), Some("http.headers")).unwrap();
    assert_snapshot!(serde_json::to_string_pretty(&explained).unwrap(), @r#"
    [
      {
        "key": "http.headers",
        "value": {
          "x-a": [
            "b"
          ]
        },
        "origin": "env REGISTRY_HTTP_HEADERS_X-A",
        "default": "",
        "type": "header names, each with a list of values",
        "help": "headers added to every response",
        "variables": [
          "LANDFALL_HTTP__HEADERS",
          "REGISTRY_HTTP_HEADERS"
        ],
        "flag": null,
        "reloads": true,
        "note": null
      }
    ]
    "#);
}

#[test]
fn a_broken_configuration_can_still_be_explained() {
    assert!(file("http: {addr: 1}").try_load().is_err());
    assert_eq!(explain(None, Some("gc")).unwrap()[0].default, "24h");
}

#[test]
fn an_unknown_key_names_the_nearest() {
    assert_snapshot!(explain(None, Some("http.adrr")).unwrap_err(), @r#"
    error[LF-CFG-012]: unknown key `http.adrr`
      = did you mean `http.addr`?
    "#);
    assert_snapshot!(explain(None, Some("xyzzy")).unwrap_err(), @r#"
    error[LF-CFG-012]: unknown key `xyzzy`
      = `landfall config explain` lists every setting
    "#);
}

#[test]
fn the_reference_has_every_setting() {
    let reference = settings_reference();
    for one in explain(None, None).unwrap() {
        assert!(reference.contains(&format!("`{}`", one.key)), "{}", one.key);
        assert!(
            one.variables
                .iter()
                .all(|name| reference.contains(&format!("`{name}`"))),
            "{}",
            one.key
        );
    }
    let trash = reference
        .lines()
        .find(|line| line.contains("✓ `trash.undo_window`"))
        .unwrap();
    assert_snapshot!(trash, @r#"| ✓ `trash.undo_window` | duration | `7d` | how long what was deleted or overwritten can be restored; `0`: deletes are for good at once<br>`LANDFALL_TRASH__UNDO_WINDOW` |"#);
}

//! The documentation covers everything that the configuration accepts, and nothing else.

use std::path::Path;

use cloudflare_origin_region_exporter::config::{self, Format};

use crate::support::{TOKEN, errors, load_path, load_with};

const DOCUMENTATION: &str = include_str!("../../docs/configuration.md");

/// The fenced code blocks of the documentation in this language.
fn examples(language: &str) -> Vec<String> {
    let mut blocks = DOCUMENTATION.split("```");
    blocks.next();
    blocks
        .step_by(2)
        .filter_map(|block| block.strip_prefix(&format!("{language}\n")))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_sample_file_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/config");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        load_path(&entry.unwrap().path()).unwrap();
        read += 1;
    }
    assert!(read >= 6, "{read} files");
}

#[test]
fn every_example_of_the_documentation_is_read() {
    for (format, language, least) in [(Format::Yaml, "yaml", 3), (Format::Toml, "toml", 1)] {
        let examples = examples(language);
        assert!(examples.len() >= least);
        for example in examples {
            load_with(format, &example, &[TOKEN]).unwrap();
        }
    }
}

#[test]
fn the_variables_of_the_documentation_are_read() {
    let mut read = 0;
    for block in examples("sh") {
        for line in block.lines().filter(|line| line.contains("__")) {
            let (name, value) = line.split_once('=').unwrap();
            load_with(Format::Yaml, "", &[TOKEN, (name, value.trim_matches('\''))]).unwrap();
            read += 1;
        }
    }
    assert_eq!(read, 3);
}

#[test]
fn every_flag_and_its_variable_are_documented() {
    let command = config::cli::command();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    for flag in commands.flat_map(clap::Command::get_arguments) {
        let Some(long) = flag.get_long() else {
            continue;
        };
        assert!(DOCUMENTATION.contains(&format!("--{long}")), "--{long}");
    }
    for flag in command.get_arguments().filter_map(|flag| flag.get_long()) {
        let variable = flag.to_ascii_uppercase().replace(['.', '-'], "_");
        let variable = format!("`ORIGIN_REGION_EXPORTER_{variable}`");
        assert!(DOCUMENTATION.contains(&variable), "{variable}");
    }
}

/// All keys of a section, as the error for an unknown key lists them.
fn keys_beside(unknown: &str) -> Vec<String> {
    errors(unknown)
        .iter()
        .find_map(|error| error.split_once("unknown key, expected one of "))
        .map_or_else(
            || panic!("no unknown key in {unknown}"),
            |(_, keys)| keys.split(", ").map(str::to_owned).collect(),
        )
}

#[test]
fn every_key_is_documented_and_can_be_replaced() {
    const SECTIONS: [&str; 9] = [
        "poll",
        "cloudflare",
        "mappings",
        "expect",
        "hosts",
        "audit_log",
        "history",
        "verify",
        "zone_overrides",
    ];
    let mut keys = Vec::new();
    let root = keys_beside("qqq: 1");
    assert_eq!(root.len(), SECTIONS.len() + 1, "{root:?}");
    for (yaml, prefix) in [
        ("poll: {qqq: 1}", "poll."),
        ("cloudflare: {qqq: 1}", "cloudflare."),
        (
            "cloudflare: {rate_limit: {qqq: 1}}",
            "cloudflare.rate_limit.",
        ),
        ("mappings: {qqq: 1}", "mappings."),
        ("expect: {qqq: 1}", "expect."),
        ("hosts: {qqq: 1}", "hosts."),
        ("audit_log: {qqq: 1}", "audit_log."),
        ("history: {qqq: 1}", "history."),
        ("verify: {qqq: 1}", "verify."),
        ("verify: {vendor_ranges: {qqq: 1}}", "verify.vendor_ranges."),
        (
            "verify: {vendor_ranges: {sources: {qqq: 1}}}",
            "verify.vendor_ranges.sources.",
        ),
    ] {
        keys.extend(keys_beside(yaml).iter().map(|key| format!("{prefix}{key}")));
    }
    for key in &keys {
        assert!(DOCUMENTATION.contains(&format!("`{key}")), "{key}");
        if key == "cloudflare.rate_limit" || key == "verify.vendor_ranges" {
            continue;
        }
        let variable = key.to_ascii_uppercase().replace('.', "__");
        let variable = format!("ORIGIN_REGION_EXPORTER__{variable}");
        let shown = match load_with(Format::Yaml, "", &[TOKEN, (&variable, "?")]) {
            Ok(_) => String::new(),
            Err(errors) => errors.to_string(),
        };
        assert!(!shown.contains("unknown"), "{shown}");
    }
    for (yaml, prefix) in [
        ("accounts: [{name: a, qqq: 1}]", "accounts[]."),
        (
            "accounts: [{name: a, zones: {qqq: 1}}]",
            "accounts[].zones.",
        ),
        (
            "expect: {zones: {a: [{origin_ip: 192.0.2.1, qqq: 1}]}}",
            "expect.zones.*[].",
        ),
        ("zone_overrides: {a: {qqq: 1}}", "zone_overrides.*."),
    ] {
        for key in keys_beside(yaml) {
            assert!(DOCUMENTATION.contains(&format!("`{prefix}{key}")), "{key}");
        }
    }
}

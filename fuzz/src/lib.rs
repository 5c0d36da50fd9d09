//! Everything that parses external bytes, as functions that must not panic for any input. The
//! fuzzer calls each one through its own program in `fuzz_targets`. `tests/corpus.rs` calls them
//! with the inputs in `corpus`.

// Everything is imported through `exporter`, because the test includes this file as a module.
use cloudflare_origin_region_exporter as exporter;
use exporter::config::{Environment, cli};
use exporter::config_tree::{Format, Place};
use exporter::{cloudflare, config, storage, vendor_ranges, web};

/// A parser under test.
pub type Target = fn(&[u8]);

/// Every target with its name, which is also the name of its program and of its directory of
/// inputs.
pub const ALL: [(&str, Target); 14] = [
    ("api_answer", api_answer),
    ("api_headers", api_headers),
    ("vendor_ranges", vendor_ranges_file),
    ("document", document),
    ("configuration", configuration),
    ("variables", variables),
    ("web_config", web_config),
    ("request", request),
    ("probe", probe),
    ("authorization", authorization),
    ("client_certificate", client_certificate),
    ("arguments", arguments),
    ("redirect", redirect),
    ("storage", storage_value),
];

/// The body of a response of the Cloudflare API.
pub fn api_answer(body: &[u8]) {
    cloudflare::fuzzing::answer(body);
}

/// Rate limit headers of a response, one per line.
pub fn api_headers(lines: &[u8]) {
    cloudflare::fuzzing::headers(lines);
}

/// A vendor's file of ranges, and the Azure page that links to one.
pub fn vendor_ranges_file(file: &[u8]) {
    for format in vendor_ranges::Format::ALL {
        match format.parse(file) {
            Ok(table) => drop(format!("{table:?}")),
            Err(error) => assert!(error.to_string().len() < 2000),
        }
    }
    let page = url::Url::parse("https://www.microsoft.com/download/details.aspx?id=1");
    vendor_ranges::fuzzing::download_page(&page.expect("a constant address"), file);
}

/// A document in YAML and in TOML.
pub fn document(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    for format in [Format::Yaml, Format::Toml] {
        if let Err(error) = format.parse(text, &Place::file("x")) {
            let _ = error.to_string();
        }
    }
}

/// The configuration file, in YAML and in TOML.
pub fn configuration(text: &[u8]) {
    if let Ok(text) = str::from_utf8(text) {
        load(Format::Yaml, text, &Environment::new([], None));
        load(Format::Toml, text, &Environment::new([], None));
    }
}

/// Environment variables that override values of the file, one `NAME=VALUE` per line.
pub fn variables(lines: &[u8]) {
    if let Ok(lines) = str::from_utf8(lines) {
        let variables = lines.lines().filter_map(|line| line.split_once('='));
        load(Format::Yaml, "", &Environment::new(variables, None));
    }
}

/// The file of `--web.config.file`.
pub fn web_config(text: &[u8]) {
    if let Ok(text) = str::from_utf8(text) {
        web::fuzzing::web_config(text);
    }
}

/// The query of a request, followed by lines of its `Accept-Encoding`.
pub fn request(lines: &[u8]) {
    let end = lines.iter().position(|&byte| byte == b'\n');
    let (query, encodings) = lines.split_at(end.unwrap_or(lines.len()));
    if let Ok(query) = str::from_utf8(query) {
        web::fuzzing::query(query);
    }
    web::fuzzing::accept_encoding(encodings);
}

/// The query of a probe, followed by the timeout of its caller.
pub fn probe(lines: &[u8]) {
    let end = lines.iter().position(|&byte| byte == b'\n');
    let (query, timeout) = lines.split_at(end.unwrap_or(lines.len()));
    if let Ok(query) = str::from_utf8(query) {
        web::fuzzing::probe(query, timeout.trim_ascii_start());
    }
}

/// The credentials of a request.
pub fn authorization(value: &[u8]) {
    web::fuzzing::authorization(value);
}

/// A client certificate, in DER.
pub fn client_certificate(der: &[u8]) {
    web::fuzzing::client_certificate(der);
}

/// The command line, one argument per line. The same lines are used as environment variables for
/// flags.
pub fn arguments(lines: &[u8]) {
    let Ok(lines) = str::from_utf8(lines) else {
        return;
    };
    let variables = lines.lines().filter_map(|line| line.split_once('='));
    let environment = Environment::new(variables, Some("exporter-3.example"));
    let arguments = std::iter::once("exporter").chain(lines.lines());
    match cli::parse(arguments.map(Into::into), &environment) {
        Err(error) => drop(error.text()),
        Ok(cli) => {
            const FILE: &str = "accounts: [{name: a, api_token: t}]";
            let (format, none) = (Format::Yaml, Environment::new([], Some("exporter-3")));
            config::load_text("x", format, FILE, &cli.flags, &none).ok();
        }
    }
}

/// The `Location` of a redirect from a vendor's server.
pub fn redirect(location: &[u8]) {
    for source in [
        "https://a.example/ranges.json",
        "http://127.0.0.1:8080/ranges",
    ] {
        let source = url::Url::parse(source).expect("a constant address");
        vendor_ranges::fuzzing::redirect(&source, location);
    }
}

/// A value in the storage file.
pub fn storage_value(bytes: &[u8]) {
    storage::fuzzing::value(bytes);
    vendor_ranges::fuzzing::stored(bytes);
}

/// Loads a configuration, and formats the settings or the errors.
fn load(format: Format, text: &str, environment: &Environment) {
    let Ok(cli) = cli::parse(["exporter".into()], environment) else {
        return;
    };
    match config::load_text("x", format, text, &cli.flags, environment) {
        Ok(settings) => drop(format!("{settings:?}")),
        Err(errors) => drop(errors.to_string()),
    }
}

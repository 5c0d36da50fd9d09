//! The pages on reliability and security agree with the code and the tests.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers fail by panicking"
)]

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use cloudflare_origin_region_exporter::metric_families;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The cells of all table rows of a page, without the table headers.
fn rows(page: &str) -> Vec<Vec<String>> {
    let lines: Vec<_> = page.lines().collect();
    let mut rows = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let is_row = line.starts_with("| ") && !line.starts_with("| ---");
        let is_head = lines
            .get(index + 1)
            .is_some_and(|next| next.starts_with("| ---"));
        if is_row && !is_head {
            let cells = line.trim_matches('|').split('|');
            rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
        }
    }
    assert!(!rows.is_empty(), "no table");
    rows
}

/// The code spans of a cell.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn each_fault_has_its_test() {
    let rows = rows(&read("docs/reliability.md"));
    assert!(rows.len() >= 50, "{} rows", rows.len());
    for row in rows {
        let [_fault, _metric, _log, _kept, test] = &row[..] else {
            panic!("{row:?} has {} cells", row.len())
        };
        let [file, name] = code(test)[..] else {
            panic!("{test} is not a test")
        };
        let function = format!("fn {name}() {{");
        assert!(read(file).contains(&function), "{file} has no test {name}");
    }
}

/// Whether the name before the labels is that of a family. The page omits the common prefix.
fn is_metric(text: &str) -> bool {
    let name = text.split('{').next().unwrap_or_default();
    let prefix = if name.starts_with("process_") {
        ""
    } else {
        "cloudflare_origin_region_"
    };
    metric_families::all().any(|family| family.name.strip_prefix(prefix) == Some(name))
}

#[test]
fn each_metric_is_one_that_the_program_exposes() {
    let page = read("docs/reliability.md");
    let mut unknown = Vec::new();
    for row in rows(&page) {
        // In this column, everything except values of the label "reason" is a metric.
        let parts: Vec<_> = row[1].split('`').collect();
        let named = parts.chunks_exact(2);
        let metrics = named.filter(|pair| !pair[0].ends_with("reason "));
        let metrics = metrics.map(|pair| pair[1].to_owned());
        unknown.extend(metrics.filter(|metric| !is_metric(metric)));
    }
    // Elsewhere, everything that looks like a metric must be one.
    let text: Vec<_> = page
        .lines()
        .filter(|line| !line.starts_with("| "))
        .collect();
    let text = text.into_iter().map(str::to_owned);
    let kept = rows(&page).into_iter().map(|row| row[3].clone());
    for text in text.chain(kept) {
        let looks_like_one = |text: &&str| {
            let is_name = text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            is_name && text.contains('_') && *text != "cloudflare_origin_region_"
        };
        let metrics = code(&text).into_iter().filter(looks_like_one);
        unknown.extend(
            metrics
                .filter(|metric| !is_metric(metric))
                .map(str::to_owned),
        );
    }
    assert!(unknown.is_empty(), "not metrics: {}", unknown.join(", "));
}

/// The functions and constants in the test binary of a file, by name. Those with the same name are
/// combined.
fn items(file: &str) -> HashMap<String, String> {
    let mut files = vec![file.to_owned()];
    if let Some((folder, _)) = file
        .rsplit_once('/')
        .filter(|(folder, _)| *folder != "tests")
    {
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        files = entries
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| format!("{folder}/{}", entry.file_name().display()))
            .collect();
    }
    let mut items = HashMap::<_, String>::new();
    for file in files {
        let source = read(&file);
        let mut lines = source.lines();
        while let Some(line) = lines.next() {
            let code = line.trim_start();
            let indent = &line[..line.len() - code.len()];
            let code = code
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("async ");
            let is_function = code.starts_with("fn ");
            if !is_function && !code.starts_with("const ") {
                continue;
            }
            let name = words(code).nth(1).unwrap_or_default();
            let item = items.entry(name.to_owned()).or_default();
            let mut next = Some(line);
            while let Some(line) = next {
                *item += line;
                item.push('\n');
                let ends = if is_function {
                    line.strip_prefix(indent) == Some("}")
                } else {
                    line.ends_with(';')
                };
                next = if ends { None } else { lines.next() };
            }
        }
    }
    items
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// The source of a test and of everything that it uses.
fn whole(items: &HashMap<String, String>, test: &str) -> String {
    let mut names = vec![test];
    let mut at = 0;
    while let Some(name) = names.get(at) {
        at += 1;
        for (called, _) in words(&items[*name]).filter_map(|word| items.get_key_value(word)) {
            if !names.contains(&called.as_str()) {
                names.push(called);
            }
        }
    }
    names.into_iter().map(|name| items[name].as_str()).collect()
}

/// Searches the source of the test of each row, including the functions and constants that it uses,
/// for the metrics, reasons and log lines of the row. This finds rows whose test does not mention
/// them. It does not check whether the test asserts them with the right value or zone, and a match
/// in another branch of a shared helper, or in another function with the same name, also counts.
#[test]
fn each_test_looks_for_the_metric_and_the_log_line_of_its_row() {
    let mut missing = Vec::new();
    for row in rows(&read("docs/reliability.md")) {
        let (fault, file, test) = (&row[0], code(&row[4])[0], code(&row[4])[1]);
        let source = whole(&items(file), test);
        let looks_for = |metric: &&str| {
            // The end of a literal, or its beginning if it has labels.
            source.contains(&format!("{metric}\""))
                || source.contains(&format!("cloudflare_origin_region_{metric}"))
        };
        // The name of the metric and the values of its labels. A name alone may be a reason.
        let metrics = code(&row[1]).into_iter().flat_map(|metric| {
            let mut parts = metric.split('"');
            let name = parts.next().unwrap_or_default();
            let name = name.split('{').next().unwrap_or_default();
            std::iter::once(name).chain(parts.step_by(2))
        });
        let metrics = metrics.filter(|metric| !looks_for(metric));
        let lines = code(&row[2])
            .into_iter()
            .filter(|line| !source.contains(line));
        missing.extend(
            metrics
                .chain(lines)
                .map(|part| format!("{fault}: {test}: {part}")),
        );
    }
    assert!(
        missing.is_empty(),
        "not mentioned by the test:\n{}",
        missing.join("\n")
    );
}

/// Appends all sources of a folder, including its subfolders.
fn add_sources(folder: &Path, sources: &mut String) {
    for entry in
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *sources += &fs::read_to_string(path).unwrap();
        }
    }
}

#[test]
fn each_log_line_is_one_that_the_program_writes() {
    let mut sources = String::new();
    for part in [
        "app",
        "cloudflare",
        "origin_hosts",
        "poller",
        "storage",
        "vendor_ranges",
        "web",
    ] {
        add_sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(part),
            &mut sources,
        );
    }
    // Join string literals that span several lines.
    let sources: Vec<_> = sources.split("\\\n").map(str::trim_start).collect();
    let sources = sources.concat();
    for row in rows(&read("docs/reliability.md")) {
        for line in code(&row[2]) {
            assert!(sources.contains(line), "the program never logs {line:?}");
        }
    }
}

#[test]
fn each_bound_is_that_of_the_code() {
    let bounds: Vec<_> = rows(&read("docs/security.md"))
        .into_iter()
        .filter(|row| row.iter().any(|cell| cell.contains("` = `")))
        .collect();
    assert!(bounds.len() >= 25, "{} bounds", bounds.len());
    for row in bounds {
        let [name, file, value] = code(&row[2])[..] else {
            panic!("{row:?} has no constant")
        };
        let is_bound = |line: &str| {
            let line = line.trim();
            let constant = line.contains(&format!("const {name}: "))
                && line.ends_with(&format!(" = {value};"));
            constant || line == format!("{name}: {value},")
        };
        assert!(
            read(file).lines().any(is_bound),
            "{file} has no {name} of {value}"
        );
    }
}

//! The pages on reliability and security say what the code and the tests say.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers say what they expect by failing"
)]

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use cloudflare_origin_region_exporter::metric_families;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The cells of each row of the page's tables, without their heads.
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

/// The texts of a cell that are set as code.
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
            panic!("{test} names no test")
        };
        let function = format!("fn {name}() {{");
        assert!(read(file).contains(&function), "{file} has no test {name}");
    }
}

/// The name before the labels is that of a family, whole but for the prefix that the page leaves out.
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
        // What follows the word "reason" is the value of a label, and all else a metric.
        let parts: Vec<_> = row[1].split('`').collect();
        let named = parts.chunks_exact(2);
        let metrics = named.filter(|pair| !pair[0].ends_with("reason "));
        let metrics = metrics.map(|pair| pair[1].to_owned());
        unknown.extend(metrics.filter(|metric| !is_metric(metric)));
    }
    // Elsewhere a metric is what looks like one.
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
    assert!(unknown.is_empty(), "no metrics: {}", unknown.join(", "));
}

/// The functions and constants of the tests that belong to a file, by name. Those of one name are
/// taken together.
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

/// The text of a test, and of all that it calls.
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

/// Searches the source of each row's test, and of the functions and constants that it calls, for the
/// metrics, reasons and log lines of the row: it tells a row of which the test never speaks. It
/// cannot tell whether the test asserts them, nor with which value or zone; and a text also counts
/// where only another branch of a shared helper, or another function of the same name, has it.
#[test]
fn each_test_looks_for_the_metric_and_the_log_line_of_its_row() {
    let mut missing = Vec::new();
    for row in rows(&read("docs/reliability.md")) {
        let (fault, file, test) = (&row[0], code(&row[4])[0], code(&row[4])[1]);
        let source = whole(&items(file), test);
        let looks_for = |metric: &&str| {
            // The end of a literal, or the beginning of one with labels.
            source.contains(&format!("{metric}\""))
                || source.contains(&format!("cloudflare_origin_region_{metric}"))
        };
        // A metric by its name, with the values of labels; a name alone may be a reason.
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
        "not looked for:\n{}",
        missing.join("\n")
    );
}

/// Appends the sources of a folder, with those of the folders in it.
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
    // A long text goes on in the next line of the source.
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
            panic!("{row:?} names no constant")
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

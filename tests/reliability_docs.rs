//! The pages on reliability and security say what the code and the tests say.

#![expect(
    clippy::panic,
    reason = "tests and their helpers say what they expect by failing"
)]

use std::fs;
use std::path::Path;

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

#[test]
fn each_log_line_is_one_that_the_program_writes() {
    let mut sources = String::new();
    for part in ["app", "poller", "web"] {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(part))
            .unwrap_or_else(|error| panic!("{part}: {error}"))
        {
            let path = entry.unwrap().path();
            if path.is_file() {
                sources += &fs::read_to_string(path).unwrap();
            }
        }
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

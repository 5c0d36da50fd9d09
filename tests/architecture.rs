//! Modules import each other only in the order in docs/architecture.md.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each module with its position in the order, which is the line of the page that starts with a
/// brace.
fn documented_order() -> BTreeMap<String, usize> {
    let page = fs::read_to_string("docs/architecture.md").unwrap();
    let line = page.lines().find(|line| line.starts_with('{')).unwrap();
    let mut order = BTreeMap::new();
    for (place, step) in line.split('→').enumerate() {
        for module in step.trim().trim_matches(['{', '}']).split(", ") {
            order.insert(module.to_owned(), place);
        }
    }
    order
}

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// `poller` of `src/poller/zone.rs`, `backoff` of `src/backoff.rs`.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix("src").unwrap();
    let first = inside.iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that a file imports: `crate::a::…`, and each `a` of `crate::{a::…, b}`.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let mut modules = BTreeSet::new();
    for (start, found) in code.match_indices("crate::") {
        let rest = code.get(start + found.len()..).unwrap();
        match rest.strip_prefix('{') {
            None => {
                modules.insert(identifier(rest));
            }
            Some(group) => modules.extend(items(group)),
        }
    }
    modules
}

fn identifier(text: &str) -> String {
    let in_name = |c: &char| c.is_alphanumeric() || *c == '_';
    text.trim_start().chars().take_while(in_name).collect()
}

/// The first name of each item in a group of imports, up to the closing brace.
fn items(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut item = String::new();
    let mut found = Vec::new();
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => found.push(identifier(&std::mem::take(&mut item))),
            c => item.push(c),
        }
    }
    found.push(identifier(&item));
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn no_module_imports_one_to_its_right_or_beside_it() {
    let order = documented_order();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in source_files(Path::new("src")) {
        let module = module_of(&file);
        seen.insert(module.clone());
        for other in imports(&fs::read_to_string(&file).unwrap()) {
            let allowed = match (order.get(&module), order.get(&other)) {
                _ if module == other => true,
                (Some(own), Some(imported)) => imported < own,
                // The simulation is separate: it imports only `domain`, and only `app` imports it.
                (None, Some(_)) if module == "simulator" => other == "domain",
                (Some(_), None) if other == "simulator" => module == "app",
                _ => true,
            };
            if !allowed {
                wrong.push(format!("{} imports {other}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for unplaced in ["lib", "simulator"] {
        seen.remove(unplaced);
    }
    let documented: BTreeSet<_> = order.into_keys().collect();
    assert_eq!(seen, documented, "the page lists every module");
}

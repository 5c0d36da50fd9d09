//! `docs/metrics.md` lists exactly the families that the exporter has.
//!
//! `UPDATE_DOCS=1 cargo test --test metrics_doc` rewrites the lists.

use std::path::Path;

use cloudflare_origin_region_exporter::metric_families::{self, Section};

fn table(section: &Section) -> String {
    let rows = section.families.iter().map(|family| {
        let labels: Vec<_> = family
            .labels
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let (name, kind, help) = (family.name, family.kind.as_str(), family.help);
        let labels = labels.join(", ");
        format!("| `{name}` | {kind} | {labels} | {help} |\n")
    });
    let head = "| name | type | labels | meaning |\n| --- | --- | --- | --- |\n";
    format!("{head}{}", rows.collect::<String>())
}

/// The page, with the table of each section inserted between its markers.
fn with_tables(page: &str) -> String {
    let mut page = page.to_owned();
    for section in metric_families::SECTIONS {
        let begin = format!("<!-- families of {}: generated -->\n", section.title);
        let (before, rest) = page.split_once(&begin).expect(&begin);
        let (_, after) = rest.split_once("<!-- end -->").expect("an end marker");
        page = format!("{before}{begin}{}<!-- end -->{after}", table(section));
    }
    page
}

#[test]
fn the_page_lists_every_family() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let expected = with_tables(&page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    } else {
        assert_eq!(
            page, expected,
            "run UPDATE_DOCS=1 cargo test --test metrics_doc"
        );
    }
}

#[test]
fn the_page_names_no_family_that_does_not_exist() {
    let page = include_str!("../docs/metrics.md");
    let words = page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words = words.filter(|word| word.starts_with("cloudflare_origin_region_"));
    let words: Vec<_> = words.collect();
    assert!(words.len() > metric_families::all().count() / 2);
    for word in words {
        let name = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| word.strip_suffix(suffix))
            .unwrap_or(word);
        assert!(
            metric_families::all().any(|family| family.name == name) || name.ends_with('_'),
            "{word} is not a metric"
        );
    }
}

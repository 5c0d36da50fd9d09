//! The differences between OpenMetrics 1.0.0 and the text format 0.0.4.
//!
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>

/// The last line.
pub(super) const EOF: &str = "# EOF\n";

/// The suffix of a counter's samples. The name of the family does not have it.
const COUNTER_SUFFIX: &str = "_total";

/// The name of the family whose samples are called `name`.
pub(super) fn family_name(name: &str, is_counter: bool) -> &str {
    if is_counter {
        name.strip_suffix(COUNTER_SUFFIX).unwrap_or(name)
    } else {
        name
    }
}

/// Appends families that the `prometheus` crate has written in the text format.
pub(super) fn push_converted(out: &mut String, text: &str) {
    // HELP precedes TYPE, but the family's name depends on the type.
    let mut help = "";
    for line in text.lines() {
        if line.starts_with("# HELP ") {
            help = line.strip_prefix("# HELP ").unwrap_or_default();
            continue;
        }
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|line| line.split_once(' '))
        {
            let family = family_name(name, kind == "counter");
            let (_, help) = help.split_once(' ').unwrap_or_default();
            push_metadata(out, family, kind, help);
            continue;
        }
        push_sample(out, line);
        out.push('\n');
    }
}

/// Appends the HELP and TYPE lines of a family. `help` is already escaped.
fn push_metadata(out: &mut String, family: &str, kind: &str, help: &str) {
    for piece in [
        "# HELP ",
        family,
        " ",
        help,
        "\n# TYPE ",
        family,
        " ",
        kind,
        "\n",
    ] {
        out.push_str(piece);
    }
}

/// Bucket bounds are floats: `1.0` where the text format has `1`.
fn push_sample(out: &mut String, line: &str) {
    let bound = line.split_once("le=\"").and_then(|(before, rest)| {
        let (bound, after) = rest.split_once('"')?;
        let whole = bound.bytes().all(|byte| byte.is_ascii_digit());
        whole.then_some((before, bound, after))
    });
    match bound {
        Some((before, bound, after)) => {
            for piece in [before, "le=\"", bound, ".0\"", after] {
                out.push_str(piece);
            }
        }
        None => out.push_str(line),
    }
}

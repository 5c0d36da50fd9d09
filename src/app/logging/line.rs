//! Limits the length of log lines.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::Value;

use crate::config::LogFormat;

/// The longest line in bytes. Longer ones are shortened, and remain valid logfmt or JSON.
const MAX_LINE_BYTES: usize = 16 << 10;

/// The length in bytes to which strings in an overlong JSON line are shortened.
const SHORTENED_BYTES: usize = 1 << 10;

/// Marks a shortened string.
const ELLIPSIS: char = '…';

/// Forwards lines to `writer`, shortened to [`MAX_LINE_BYTES`].
pub(super) struct BoundedLines<W> {
    pub(super) writer: W,
    pub(super) format: LogFormat,
}

/// The formatter writes each line in one call.
impl<W: Write> Write for BoundedLines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.writer.write_all(&bounded(line, self.format))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn bounded(line: &[u8], format: LogFormat) -> Cow<'_, [u8]> {
    if line.len() <= MAX_LINE_BYTES {
        return Cow::Borrowed(line);
    }
    let text = String::from_utf8_lossy(line);
    let line = match format {
        LogFormat::Logfmt => bounded_logfmt(&text),
        LogFormat::Json => bounded_json(&text),
    };
    Cow::Owned(line.into_bytes())
}

/// Truncates the line and closes a quoted value that was cut.
fn bounded_logfmt(line: &str) -> String {
    // Leave room for the ellipsis, a quote and the newline.
    let cut = line.floor_char_boundary(MAX_LINE_BYTES - 8);
    let mut line = line.get(..cut).unwrap_or_default().to_owned();
    let mut quoted = false;
    let mut escaped = false;
    for byte in line.bytes() {
        match byte {
            b'\\' if quoted => escaped = !escaped,
            b'"' if !escaped => quoted = !quoted,
            _ => escaped = false,
        }
    }
    if escaped {
        line.pop();
    }
    line.push(ELLIPSIS);
    line.push_str(if quoted { "\"\n" } else { "\n" });
    line
}

/// Shortens the strings of the object, then drops fields from its end until the line fits.
fn bounded_json(line: &str) -> String {
    let mut fields: serde_json::Map<_, _> = serde_json::from_str(line).unwrap_or_default();
    for text in fields.values_mut() {
        if let Value::String(text) = text
            && text.len() > SHORTENED_BYTES
        {
            text.truncate(text.floor_char_boundary(SHORTENED_BYTES));
            text.push(ELLIPSIS);
        }
    }
    let mut size = 0;
    fields.retain(|name, value| {
        size += name.len() + value.to_string().len() + 4;
        size < MAX_LINE_BYTES
    });
    format!("{}\n", Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounded_text(line: &str, format: LogFormat) -> String {
        String::from_utf8(bounded(line.as_bytes(), format).into_owned()).unwrap()
    }

    #[test]
    fn a_line_of_usual_length_is_written_as_it_is() {
        let line = "level=info message=\"a line\"\n";
        assert_eq!(bounded_text(line, LogFormat::Logfmt), line);
    }

    #[test]
    fn a_long_logfmt_line_is_cut_and_its_quote_closed() {
        for value in [
            "é".repeat(20_000),
            "\\\"".repeat(20_000),
            "a".repeat(40_000),
        ] {
            let line = format!("level=warn message=\"names\" names=\"{value}\"\n");
            let cut = bounded_text(&line, LogFormat::Logfmt);
            assert!(cut.len() <= MAX_LINE_BYTES, "{}", cut.len());
            assert!(cut.ends_with("…\"\n"));
            assert!(!cut.ends_with("\\…\"\n"), "a cut escape");
        }
        let cut = bounded_text(
            &format!("value={}\n", "a".repeat(40_000)),
            LogFormat::Logfmt,
        );
        assert!(cut.ends_with("a…\n"));
    }

    #[test]
    fn a_long_json_line_stays_json() {
        let names = "name, ".repeat(10_000);
        let line = serde_json::json!({"level": "WARN", "message": "names", "names": names});
        let cut = bounded_text(&format!("{line}\n"), LogFormat::Json);
        assert!(cut.len() <= MAX_LINE_BYTES && cut.ends_with('\n'));
        let fields: Value = serde_json::from_str(&cut).unwrap();
        assert_eq!(fields["message"], "names");
        assert!(fields["names"].as_str().unwrap().ends_with('…'));
    }
}

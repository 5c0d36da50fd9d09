//! Formats rows as columns of text.

use std::fmt::Write as _;

/// Aligns `rows` under `titles`. Control characters become `?`, so that a name from outside cannot
/// move the cursor. An empty cell becomes `-`.
pub(super) fn render<const N: usize>(
    titles: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let titles = titles.map(str::to_uppercase);
    let clean = |cell: String| match &*cell {
        "" => "-".to_owned(),
        cell => cell.replace(char::is_control, "?"),
    };
    let rows = rows.into_iter().map(|row| row.map(clean));
    let rows: Vec<_> = std::iter::once(titles).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_under_their_titles() {
        let rows = [
            ["example.com".to_owned(), "192.0.2.1".to_owned()],
            ["a\u{1b}[2J".to_owned(), String::new()],
        ];
        let expected = "ZONE         ORIGIN\nexample.com  192.0.2.1\na?[2J        -\n";
        assert_eq!(render(["zone", "origin"], rows), expected);
    }
}

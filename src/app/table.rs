//! Formats rows as columns of text.

use std::fmt::Write as _;

/// Aligns `rows` under `titles`. Control characters become `?`, so that a name from outside cannot
/// move the cursor. An empty cell becomes `-`.
pub(super) fn render(titles: &[&str], rows: &[Vec<String>]) -> String {
    let titles: Vec<String> = titles.iter().map(|title| title.to_uppercase()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(titles)
        .chain(rows.iter().map(|row| clean(row)))
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
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

fn clean(row: &[String]) -> Vec<String> {
    row.iter()
        .map(|cell| match cell.as_str() {
            "" => "-".to_owned(),
            cell => cell.replace(char::is_control, "?"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_under_their_titles() {
        let rows = [
            vec!["example.com".to_owned(), "192.0.2.1".to_owned()],
            vec!["a\u{1b}[2J".to_owned(), String::new()],
        ];
        let expected = "ZONE         ORIGIN\nexample.com  192.0.2.1\na?[2J        -\n";
        assert_eq!(render(&["zone", "origin"], &rows), expected);
    }
}

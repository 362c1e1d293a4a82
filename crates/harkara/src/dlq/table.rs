//! Tables on a terminal.

use crate::privacy::printable;

/// Columns as wide as their widest cell, two spaces between them, nothing at a line's end.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let head = head.map(str::to_owned);
    let lines: Vec<_> = std::iter::once(&head)
        .chain(rows)
        .map(|row| {
            row.each_ref()
                .map(|cell| printable(cell).replace('\n', " "))
        })
        .collect();
    let widths: Vec<usize> = (0..N)
        .map(|column| {
            let cells = lines.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths);
        let padded: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells_and_a_line_stays_a_line() {
        let rows = [
            ["₹1".to_owned(), "long\ncell".to_owned()],
            ["longer".to_owned(), String::new()],
        ];
        let text = table(["A", "B"], &rows);
        assert_eq!(text, "A       B\n₹1      long cell\nlonger\n");
    }
}

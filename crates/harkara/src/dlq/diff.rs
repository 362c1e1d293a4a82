//! What would be different.

use similar::TextDiff;

/// A unified diff of two texts, or that they are the same.
pub(crate) fn diff(old: (&str, &str), new: (&str, &str)) -> String {
    let lines = TextDiff::from_lines(old.1, new.1);
    let unified = lines
        .unified_diff()
        .context_radius(2)
        .missing_newline_hint(false)
        .header(old.0, new.0)
        .to_string();
    if unified.is_empty() {
        format!("--- {}\n+++ {}\n  no difference\n", old.0, new.0)
    } else {
        unified
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_is_shown_with_its_neighbours() {
        let text = diff(("was", "a\nb\nc\n"), ("would be", "a\nB\nc\n"));
        assert_eq!(
            text,
            "--- was\n+++ would be\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"
        );
        assert!(diff(("a", "same"), ("b", "same")).contains("no difference"));
    }
}

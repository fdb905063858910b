//! Tables of `docs/embedding.md` that tests measure.

use std::path::Path;

/// Compares the rows that were measured with column `column` (from 1 on) of the
/// table called `name`; with `FLUE_GUIDE=write` in the environment, writes them
/// there instead.
pub fn compare(name: &str, column: usize, measured: &[(String, u32)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/embedding.md");
    let guide = std::fs::read_to_string(&path).expect("the guide");
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = guide.split_once(&begin).expect("the table");
    let (table, after) = rest.split_once("<!-- end -->").expect("its end");
    let mut rows = table.lines().map(cells).collect::<Vec<_>>();
    if std::env::var_os("FLUE_GUIDE").is_some_and(|value| value == "write") {
        let head: Vec<_> = rows.drain(..2.min(rows.len())).collect();
        let blank = vec![String::new(); head[0].len() - 1];
        let row = |(name, value): &(String, u32)| {
            let mut row = rows.iter().find(|row| row[0] == *name).cloned().unwrap_or_else(|| {
                let mut row = vec![name.clone()];
                row.extend(blank.iter().cloned());
                row
            });
            row[column] = value.to_string();
            row
        };
        let rows = head.iter().cloned().chain(measured.iter().map(row));
        let table: String = rows.map(|row| format!("| {} |\n", row.join(" | "))).collect();
        std::fs::write(&path, format!("{before}{begin}{table}<!-- end -->{after}"))
            .expect("written");
        return;
    }
    let documented: Vec<_> = rows
        .iter()
        .skip(2)
        .map(|row| (row[0].clone(), row[column].parse().expect("a number")))
        .collect();
    assert_eq!(measured, documented, "FLUE_GUIDE=write writes the table `{name}`");
}

fn cells(row: &str) -> Vec<String> {
    row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

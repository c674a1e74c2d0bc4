//! Merged rows and their survivors.

use arrow::array::{Array, StringViewArray};

use super::keys::{IdMap, NONE};

/// Returns for each row the row that survives it after all merges; a row that is not merged survives itself.
///
/// A chain that points nowhere ends at its last existing row. Rows in or leading into a cycle map to the row with the
/// smallest id of the cycle.
pub(super) fn survivors(ids: &IdMap, merged_into: &StringViewArray) -> Vec<u32> {
    let next: Vec<u32> =
        merged_into.iter().map(|target| target.and_then(|target| ids.get(target)).unwrap_or(NONE)).collect();
    let mut survivor = vec![NONE; next.len()];
    let mut seen_from = vec![NONE; next.len()];
    let mut path = Vec::new();
    for start in 0..next.len() {
        path.clear();
        let mut row = start;
        let end = loop {
            if survivor[row] != NONE {
                break survivor[row];
            }
            if seen_from[row] as usize == start {
                let from = path.iter().position(|seen| *seen == row).unwrap_or(0);
                break smallest(ids, &path[from..]);
            }
            seen_from[row] = start as u32;
            path.push(row);
            match next[row] {
                NONE => break row as u32,
                target => row = target as usize,
            }
        };
        for row in &path {
            survivor[*row] = end;
        }
    }
    survivor
}

/// Returns whether each row is inside a cycle of merges; a row merged into itself is a cycle of one.
pub(super) fn is_in_cycle(ids: &IdMap, merged_into: &StringViewArray, survivors: &[u32]) -> Vec<bool> {
    let target = |row: usize| {
        let id = merged_into.is_valid(row).then(|| merged_into.value(row))?;
        ids.get(id).map(|target| target as usize)
    };
    let mut is_inside = vec![false; survivors.len()];
    // What survives is merged into nothing, unless it is of a cycle.
    for start in (0..survivors.len()).filter(|row| survivors[*row] as usize == *row) {
        let mut next = target(start);
        while let Some(row) = next.filter(|row| !is_inside[*row]) {
            is_inside[row] = true;
            next = target(row);
        }
    }
    is_inside
}

fn smallest(ids: &IdMap, cycle: &[usize]) -> u32 {
    cycle.iter().min_by_key(|row| ids.ids().value(**row)).map_or(NONE, |row| *row as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survivor_ids(rows: &[(&str, Option<&str>)]) -> Vec<String> {
        let ids = IdMap::new(rows.iter().map(|(id, _)| Some(*id)).collect());
        let merged: StringViewArray = rows.iter().map(|(_, target)| *target).collect();
        survivors(&ids, &merged).into_iter().map(|row| rows[row as usize].0.to_owned()).collect()
    }

    #[test]
    fn a_chain_is_followed_to_its_end() {
        assert_eq!(survivor_ids(&[("a", Some("b")), ("b", Some("c")), ("c", None)]), ["c", "c", "c"]);
        assert_eq!(survivor_ids(&[("a", Some("b")), ("b", Some("gone"))]), ["b", "b"]);
    }

    #[test]
    fn a_cycle_and_what_leads_into_it_map_to_its_smallest_id() {
        let rows = [("d", Some("c")), ("c", Some("b")), ("b", Some("c")), ("a", Some("d"))];
        assert_eq!(survivor_ids(&rows), ["b", "b", "b", "b"]);
        assert_eq!(survivor_ids(&[("a", Some("a")), ("b", None)]), ["a", "b"]);
    }

    #[test]
    fn what_leads_into_a_cycle_is_not_inside() {
        let rows = [
            ("d", Some("c")),
            ("c", Some("b")),
            ("b", Some("c")),
            ("a", Some("d")),
            ("e", Some("e")),
            ("f", Some("gone")),
        ];
        let ids = IdMap::new(rows.iter().map(|(id, _)| Some(*id)).collect());
        let merged: StringViewArray = rows.iter().map(|(_, target)| *target).collect();
        let survivors = survivors(&ids, &merged);
        assert_eq!(is_in_cycle(&ids, &merged, &survivors), [false, true, true, false, true, false]);
    }
}

//! Finds places for new names in a table of shared, suffix-merged strings.

/// A name that is to be written, and the string it replaces, as an offset into the table.
pub(super) struct Wish {
    pub(super) old: Option<u64>,
    pub(super) text: String,
}

/// Finds room for each wish, in order, and returns the offsets: over its old string when that fits and nobody
/// else refers to a byte of it, else an equal string that exists already, else at the end of the table.
///
/// `uses` holds every offset that anything refers to, or is `None` when not all are known. `given_up` holds those of
/// them, as often as they occur, that end with this edit; strings nobody uses anymore are wiped, so that no old
/// path stays behind in the file.
pub(super) fn location(
    table: &mut Vec<u8>,
    uses: Option<&[u64]>,
    given_up: &[u64],
    wishes: &[Wish],
) -> Vec<u64> {
    let mut free: Vec<(u64, usize)> = Vec::new();
    for &offset in given_up {
        if free.iter().all(|&(start, _)| start != offset)
            && let Some(length) = exclusive(table, uses, given_up, offset)
        {
            free.push((offset, length));
        }
    }
    for &(offset, length) in &free {
        slot(table, offset, length).fill(0);
    }

    // All reused slots are written before any search, so that no string found by the search changes afterwards.
    let mut located: Vec<Option<u64>> = Vec::with_capacity(wishes.len());
    let mut taken: Vec<(u64, &str)> = Vec::new();
    for wish in wishes {
        let room = wish.old.and_then(|old| free.iter().find(|slot| slot.0 == old));
        let fits = room.filter(|&&(offset, length)| {
            wish.text.len() <= length
                && taken.iter().all(|&(start, text)| start != offset || text == wish.text)
        });
        located.push(fits.map(|&(offset, _)| {
            slot(table, offset, wish.text.len()).copy_from_slice(wish.text.as_bytes());
            taken.push((offset, &wish.text));
            offset
        }));
    }
    wishes
        .iter()
        .zip(located)
        .map(|(wish, offset)| offset.unwrap_or_else(|| find_or_append(table, &wish.text)))
        .collect()
}

/// The length of the string at `offset`, when all its users give it up.
fn exclusive(table: &[u8], uses: Option<&[u64]>, given_up: &[u64], offset: u64) -> Option<usize> {
    let start = usize::try_from(offset).ok()?;
    // A string that does not begin after a NUL is the tail of a longer one.
    if *table.get(start.checked_sub(1)?)? != 0 {
        return None;
    }
    let length = table.get(start..)?.iter().position(|&byte| byte == 0)?;
    let span = offset..=offset + length as u64;
    let present = uses?.iter().filter(|user| span.contains(user)).count();
    let leaving = given_up.iter().filter(|&&user| user == offset).count();
    (present == leaving).then_some(length)
}

fn slot(table: &mut [u8], offset: u64, length: usize) -> &mut [u8] {
    // `exclusive` has found the string at this offset of the same table, so the conversion cannot fail.
    let start = usize::try_from(offset).unwrap_or_default();
    &mut table[start..start + length]
}

fn find_or_append(table: &mut Vec<u8>, text: &str) -> u64 {
    let mut wanted = text.as_bytes().to_vec();
    wanted.push(0);
    let found = table.windows(wanted.len()).position(|window| window == wanted);
    let offset = found.unwrap_or_else(|| {
        table.extend_from_slice(&wanted);
        table.len() - wanted.len()
    });
    offset as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(old: Option<u64>, text: &str) -> Wish {
        Wish { old, text: text.into() }
    }

    #[test]
    fn a_string_of_its_own_is_replaced_in_place_and_wiped() {
        let mut table = b"\0liblong.so\0other\0".to_vec();
        assert_eq!(location(&mut table, Some(&[1, 12]), &[1], &[wish(Some(1), "short")]), [1]);
        assert_eq!(table, b"\0short\0\0\0\0\0\0other\0");
    }

    #[test]
    fn a_slot_with_another_user_is_left_alone() {
        // A symbol uses the tail `so`; a second user uses the whole; the slot is the tail of a longer string.
        for (uses, old) in [(&[1u64, 9][..], 1), (&[1, 1], 1), (&[4], 4)] {
            let mut table = b"\0liblong.so\0".to_vec();
            let before = table.clone();
            assert_eq!(location(&mut table, Some(uses), &[old], &[wish(Some(old), "so2")]), [12]);
            assert_eq!(table[..12], before, "{uses:?}");
        }
    }

    #[test]
    fn unknown_users_are_users() {
        let mut table = b"\0old\0".to_vec();
        assert_eq!(location(&mut table, None, &[1], &[wish(Some(1), "new")]), [5]);
        assert_eq!(table, b"\0old\0new\0");
    }

    #[test]
    fn two_users_that_both_leave_free_the_slot() {
        let mut table = b"\0libfoo.so.1\0".to_vec();
        let wishes = [wish(Some(1), "libbar.so.1"), wish(Some(1), "libbar.so.1")];
        assert_eq!(location(&mut table, Some(&[1, 1]), &[1, 1], &wishes), [1, 1]);
        assert_eq!(table, b"\0libbar.so.1\0");
    }

    #[test]
    fn an_equal_tail_is_reused() {
        let mut table = b"\0xlibfoo.so\0".to_vec();
        assert_eq!(location(&mut table, Some(&[1]), &[], &[wish(None, "libfoo.so")]), [2]);
    }

    #[test]
    fn names_that_change_places_do_not_overwrite_each_other() {
        let mut table = b"\0one\0two\0".to_vec();
        let wishes = [wish(Some(1), "two"), wish(Some(5), "one")];
        assert_eq!(location(&mut table, Some(&[1, 5]), &[1, 5], &wishes), [1, 5]);
        assert_eq!(table, b"\0two\0one\0");
    }
}

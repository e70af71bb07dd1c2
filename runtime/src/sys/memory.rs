//! How much memory this process can still get from the system.

use std::path::Path;

/// Whether the system would map `bytes` more of writable memory: limits of the address space and of data (`ulimit -v`,
/// `ulimit -d`), and a system that promises no more memory than it has, say no.
pub(crate) fn can_map(bytes: usize) -> bool {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: asks for new memory, which is touched by nobody and given back.
    unsafe {
        let place = libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0);
        if place == libc::MAP_FAILED {
            return false;
        }
        libc::munmap(place, bytes);
    }
    true
}

/// The lowest limit of memory in bytes that the control groups of this process set, if one does.
pub(crate) fn group_limit() -> Option<u64> {
    let groups = fs_err::read_to_string("/proc/self/cgroup").ok()?;
    lowest_limit(&groups, Path::new("/sys/fs/cgroup"))
}

/// `groups`: what `/proc/self/cgroup` says; `root`: where the groups are mounted. In a container, the path of a group may be
/// that of the host, and the limit lies at the root.
fn lowest_limit(groups: &str, root: &Path) -> Option<u64> {
    let mut lowest = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            list if list.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = root.join(path.trim_start_matches('/'));
        for directory in group.ancestors().take_while(|directory| directory.starts_with(&root)) {
            let limit =
                fs_err::read_to_string(directory.join(file)).ok().and_then(|text| text.trim().parse().ok());
            lowest = lowest.into_iter().chain(limit).min();
        }
    }
    lowest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_of_all_groups_above_counts() {
        let root = std::env::temp_dir().join(format!("jnumpy-groups-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        write("a/b/memory.max", "max\n");
        write("a/memory.max", "2000\n");
        write("memory/c/memory.limit_in_bytes", "1000\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        let limit = |groups: &str| lowest_limit(groups, &root);
        assert_eq!(limit("0::/a/b\n"), Some(2000));
        assert_eq!(limit("0::/b\n"), None);
        assert_eq!(limit("12:cpu,memory:/c\n0::/\n"), Some(1000));
        assert_eq!(limit("12:memory:/of/the/host\n"), Some(9_223_372_036_854_771_712));
        assert_eq!(limit("nonsense\n\n1:\n"), None);
        fs_err::remove_dir_all(root).unwrap();
    }

    #[test]
    fn more_than_all_addresses_cannot_be_mapped() {
        assert!(can_map(1 << 20));
        assert!(!can_map(1 << 60));
    }
}

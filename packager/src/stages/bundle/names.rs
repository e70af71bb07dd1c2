//! Names of libraries that code opens at run time, read from the strings of compiled files.

use std::collections::BTreeSet;

/// Every word in `data` that starts with `lib` and could name a library, such as `libgmp` or `libgfortran.so.5`.
///
/// Julia opens libraries by names that are strings of its packages; compiled, they are in the image.
pub(super) fn mentioned(data: &[u8]) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for start in memchr::memmem::find_iter(data, b"lib") {
        let length = data[start..].iter().take_while(|byte| is_name(**byte)).count();
        let whole = start == 0 || !is_name(data[start - 1]);
        if whole && length > 3 {
            // Names are ASCII, so nothing is lost.
            words.insert(String::from_utf8_lossy(&data[start..start + length]).into_owned());
        }
    }
    words
}

/// Every word in `data` that could name a package of binaries, such as `LibCURL_jll`. One in the image opens its
/// libraries as Julia starts, and ends the process when one is missing.
pub(super) fn binary_packages(data: &[u8]) -> BTreeSet<String> {
    memchr::memmem::find_iter(data, b"_jll")
        .map(|end| {
            let length = data[..end].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            String::from_utf8_lossy(&data[end - length..end + 4]).into_owned()
        })
        .collect()
}

/// The standard libraries whose code is in an image: it names the source file of every method.
pub(super) fn standard_libraries(image: &[u8]) -> BTreeSet<String> {
    const ROOT: &[u8] = b"/stdlib/v";
    memchr::memmem::find_iter(image, ROOT)
        .filter_map(|start| {
            let path = &image[start + ROOT.len()..];
            let path = &path[..path.len().min(200)];
            let mut parts = path.split(|byte| *byte == b'/');
            let (version, name, below) = (parts.next()?, parts.next()?, parts.next()?);
            let is_version = version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
            let is_package =
                !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
            // Names are ASCII, so nothing is lost.
            (is_version && is_package && below == b"src").then(|| String::from_utf8_lossy(name).into_owned())
        })
        .collect()
}

/// What the loader in libjulia opens before anything else, as paths relative to its directory. Since Julia 1.6 it holds
/// them as one string, separated by colons; `@` marks those that it looks up through the system too.
pub(super) fn loaded_first(libjulia: &[u8]) -> Vec<String> {
    let strings = libjulia.split(|byte| *byte == 0);
    strings
        .filter_map(|text| std::str::from_utf8(text).ok())
        .find(|text| text.contains("libjulia-internal.so") && text.contains(':'))
        .map(|text| {
            text.split(':')
                .map(|path| path.trim_start_matches('@').to_owned())
                .filter(|p| !p.is_empty())
                .collect()
        })
        .unwrap_or_default()
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_words() {
        let data = b"\x06\0\0\0\0\0\0\0libgmp\0xlibno\0libgfortran.so.5\0/usr/lib/libz.so\0lib\0\"libdSFMT\"libopenlibm";
        let expected = ["libdSFMT", "libgfortran.so.5", "libgmp", "libopenlibm", "libz.so"];
        assert_eq!(mentioned(data).iter().map(String::as_str).collect::<Vec<_>>(), expected);
        assert!(mentioned(b"").is_empty());
    }

    #[test]
    fn ok_binary_packages() {
        let data = b"\0\x0bLibCURL_jll\0using p7zip_jll: p7zip\0_jl\0";
        assert_eq!(
            binary_packages(data).iter().map(String::as_str).collect::<Vec<_>>(),
            ["LibCURL_jll", "p7zip_jll"]
        );
    }

    #[test]
    fn ok_standard_libraries() {
        let data = b"\0/b/usr/share/julia/stdlib/v1.5/Dates/src/io.jl\0/stdlib/v1.5/Dates/test/x.jl\0/stdlib/v1.6/OpenBLAS_jll/src/O.jl\0/stdlib/v";
        let found = standard_libraries(data);
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), ["Dates", "OpenBLAS_jll"]);
    }

    #[test]
    fn ok_loader_string() {
        let data = b"\x7fELF\0julia/libgcc_s.so.1:julia/libopenlibm.so:@julia/libjulia-internal.so.1:\0libjulia-internal.so\0";
        assert_eq!(
            loaded_first(data),
            ["julia/libgcc_s.so.1", "julia/libopenlibm.so", "julia/libjulia-internal.so.1"]
        );
        assert!(loaded_first(b"libjulia.so.1.5\0").is_empty());
    }
}

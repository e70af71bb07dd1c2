//! The few C functions, and one variable, of libjulia that the runtime calls, found at run time so that one binary serves every
//! Julia. No libjulia struct is declared: values cross as opaque pointers or as the plain [`super::slot`] structs.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::dl::{DlError, Library};
use super::{own_libraries, scope, task, unwind};

/// The oldest minor version of Julia 1 that works.
pub(crate) const OLDEST: u32 = 5;
/// The newest minor version of Julia 1 whose sources the table of [`LibJulia`] was compared with, as in `finder.json`.
const NEWEST: u32 = 13;

/// An opaque `jl_value_t`.
#[repr(C)]
pub(crate) struct Value {
    _opaque: [u8; 0],
}

/// A Julia version: its text, such as `1.10.8`, and its second number.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) text: String,
    pub(crate) minor: u32,
}

/// Why libjulia cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LibJuliaError {
    #[error(transparent)]
    Library(#[from] DlError),
    #[error(
        "Julia cannot be loaded: {source}, which `{path}` needs; if it is not one of Julia's own files, install it with the \
         system's packages (on Debian `libatomic1`, `libstdc++6`, `libgcc-s1`), else reinstall Julia or the package"
    )]
    Dependency { path: PathBuf, source: DlError },
    #[error("Julia {version} at `{path}` is not supported: 1.{OLDEST} or later is needed")]
    TooOld { version: String, path: PathBuf },
    #[error(
        "another Julia is loaded in this process, `{found}`, and a process has one: `{path}` cannot be loaded too; use the two \
         in different processes"
    )]
    Another { found: PathBuf, path: PathBuf },
    #[error("Julia {version} at `{path}` has no symbol `{symbol}`{}", newer(*.minor))]
    Symbol { version: String, minor: u32, path: PathBuf, symbol: &'static str },
}

/// What to add to a message about a Julia that this runtime does not know.
fn newer(minor: u32) -> String {
    if minor <= NEWEST {
        return "; it is damaged, or built in an unusual way: reinstall it".into();
    }
    format!(
        "; this version of jnumpy knows Julia 1.{OLDEST} to 1.{NEWEST}: update jnumpy, or use an older Julia (`TYPY_JL_EXE` \
         names its `julia`)"
    )
}

/// The name of a symbol, and the first minor version of Julia 1 that has it under this name.
type Named = (u32, &'static CStr);

/// A variable of libjulia that holds a pointer.
#[repr(transparent)]
pub(crate) struct Variable(NonNull<AtomicPtr<c_void>>);

// SAFETY: the variable is one of a library that stays loaded, and is read and written atomically.
unsafe impl Send for Variable {}
// SAFETY: as above.
unsafe impl Sync for Variable {}

impl Variable {
    /// Its address.
    pub(crate) fn address(&self) -> *const c_void {
        self.0.as_ptr().cast()
    }

    /// Writes it.
    pub(crate) fn store(&self, value: *mut c_void) {
        // SAFETY: the variable is one of a library that stays loaded.
        unsafe { self.0.as_ref() }.store(value, Ordering::Relaxed);
    }
}

macro_rules! functions {
    ($($(#[$doc:meta])* $field:ident: $names:expr => $signature:ty;)*) => {
        /// libjulia's entry points. The library stays open for the rest of the process.
        pub(crate) struct LibJulia {
            pub(crate) version: Version,
            $($(#[$doc])* pub(crate) $field: $signature,)*
        }

        impl LibJulia {
            /// Opens libjulia and finds every function, or says which one is missing.
            pub(crate) fn open(path: &Path) -> Result<Self, LibJuliaError> {
                let libraries = Libraries::open(path)?;
                let version = libraries.version()?;
                libraries.offer_task(&version);
                Ok(Self {
                    $($field: {
                        let address = libraries.find($names, &version)?;
                        // SAFETY: the symbol is libjulia's function or variable of that name, whose C type is the
                        // declared one in Julia 1.5 to 1.13 (`julia.h`).
                        unsafe { std::mem::transmute::<*mut c_void, $signature>(address) }
                    },)*
                    version,
                })
            }
        }
    };
}

// The names of each version, the newest first.
functions! {
    /// `jl_parse_opts(&argc, &argv)`: sets Julia's options. It ends the process on an unknown option.
    parse_opts: &[(0, c"jl_parse_opts")] => unsafe extern "C" fn(*mut c_int, *mut *mut *mut c_char);
    /// `jl_init_with_image(bindir, image)`: starts Julia in this thread.
    init_with_image: &[(12, c"jl_init_with_image_file"), (8, c"jl_init_with_image"), (0, c"jl_init_with_image__threading")]
        => unsafe extern "C" fn(*const c_char, *const c_char);
    /// `jl_eval_string(code)`: NULL after an exception.
    eval_string: &[(0, c"jl_eval_string")] => unsafe extern "C" fn(*const c_char) -> *mut Value;
    /// `jl_unbox_voidpointer(value)`: the payload of a boxed `Ptr{Cvoid}`.
    unbox_voidpointer: &[(0, c"jl_unbox_voidpointer")] => unsafe extern "C" fn(*mut Value) -> *mut c_void;
    /// `jl_atexit_hook(status)`: runs Julia's `atexit` hooks and finalizers.
    atexit_hook: &[(0, c"jl_atexit_hook")] => unsafe extern "C" fn(c_int);
    /// `jl_throw(exception)`.
    throw: &[(0, c"jl_throw")] => unsafe extern "C" fn(*mut Value) -> !;
    /// `jl_stackovf_exception`: a variable, set when Julia has started.
    stack_overflow: &[(0, c"jl_stackovf_exception")] => AtomicPtr<*mut Value>;
    /// `jl_uv_stdout`: a variable, the stream of C code, or 1. It lies where libuv lies.
    stdout: &[(0, c"jl_uv_stdout")] => Variable;
    /// `jl_uv_stderr`: a variable, the stream of C code, or 2.
    stderr: &[(0, c"jl_uv_stderr")] => Variable;
    /// `jl_gc_safe_enter()`: until it is left the collector does not wait for this thread. Since Julia 1.9 only
    /// libjulia-internal has it.
    gc_safe_enter: &[(0, c"jl_gc_safe_enter")] => unsafe extern "C" fn() -> i8;
    /// `jl_gc_safe_leave(state)`: leaves it, with what entering it gave.
    gc_safe_leave: &[(0, c"jl_gc_safe_leave")] => unsafe extern "C" fn(i8);
    /// `jl_gc_unsafe_enter()`: the opposite, as Julia code needs it.
    gc_unsafe_enter: &[(0, c"jl_gc_unsafe_enter")] => unsafe extern "C" fn() -> i8;
    /// `jl_enter_threaded_region()`: until it is left, any thread that waits runs Julia's event loop, and not only the one
    /// that started Julia.
    enter_threaded_region: &[(0, c"jl_enter_threaded_region")] => unsafe extern "C" fn();
    /// `jl_exit_threaded_region()`: may run finalizers.
    exit_threaded_region: &[(0, c"jl_exit_threaded_region")] => unsafe extern "C" fn();
}

/// libjulia, and libjulia-internal where there is one: since Julia 1.6 libjulia is a loader, which exports most functions
/// of libjulia-internal under its own name, but not all.
struct Libraries {
    path: PathBuf,
    libjulia: Library,
    internal: Option<Library>,
}

impl Libraries {
    fn open(path: &Path) -> Result<Self, LibJuliaError> {
        if let Some(found) = scope::another_julia(path) {
            return Err(LibJuliaError::Another { found, path: path.to_owned() });
        }
        let present = scope::Present::now();
        let internal = preload(path)?;
        let libjulia = Library::open_now(path)?;
        let opened: Vec<&Library> = internal.iter().chain([&libjulia]).collect();
        scope::intercept(&opened, &present);
        own_libraries::prefer(&present);
        unwind::end_at_calls(&opened, &present);
        Ok(Self { path: path.to_owned(), libjulia, internal })
    }

    fn version(&self) -> Result<Version, LibJuliaError> {
        let function = self.libjulia.require(c"jl_ver_string")?;
        // SAFETY: `const char *jl_ver_string(void)` in every version; it returns a static NUL-terminated text and works
        // before Julia is initialized.
        let text = unsafe {
            let function = std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> *const c_char>(
                function.as_ptr(),
            );
            CStr::from_ptr(function()).to_string_lossy().into_owned()
        };
        let minor = text
            .strip_prefix("1.")
            .and_then(|rest| rest.split('.').next()?.parse().ok())
            .filter(|&minor: &u32| minor >= OLDEST);
        match minor {
            Some(minor) => Ok(Version { text, minor }),
            None => Err(LibJuliaError::TooOld { version: text, path: self.path.clone() }),
        }
    }

    /// See [`task`]; older Julias are fast without.
    fn offer_task(&self, version: &Version) {
        if let (9.., Some(internal)) = (version.minor, &self.internal) {
            task::offer(internal);
        }
    }

    fn find(&self, names: &[Named], version: &Version) -> Result<*mut c_void, LibJuliaError> {
        let (_, name) = names
            .iter()
            .find(|(since, _)| *since <= version.minor)
            .expect("every function has a name in the oldest Julia");
        self.libjulia
            .find(name)
            .or_else(|| self.internal.as_ref()?.find(name))
            .map(std::ptr::NonNull::as_ptr)
            .ok_or_else(|| LibJuliaError::Symbol {
                version: version.text.clone(),
                minor: version.minor,
                path: self.path.clone(),
                symbol: name.to_str().unwrap_or("?"),
            })
    }
}

/// Loads what libjulia's loader would load, in its order, because the loader ends the process where something is missing.
/// Returns libjulia-internal, unless libjulia is no loader (before Julia 1.6).
fn preload(libjulia: &Path) -> Result<Option<Library>, LibJuliaError> {
    let Some(names) = loaded_by(libjulia) else { return Ok(None) };
    let directory = libjulia.parent().unwrap_or_else(|| Path::new("/"));
    let (own, others): (Vec<_>, Vec<_>) =
        names.iter().partition(|name| file_name(name).starts_with("libjulia-"));
    let failed = |source| LibJuliaError::Dependency { path: libjulia.to_owned(), source };
    for name in others {
        // As for the loader, a library that the process has under the same name will do, and so will the system's.
        if Library::loaded(Path::new(file_name(name))).is_none() {
            let path = directory.join(name);
            let found = if path.exists() { path.as_path() } else { Path::new(file_name(name)) };
            Library::open_local(found).map_err(failed)?;
        }
    }
    // The compiler first: it needs libjulia-internal, and that needs libjulia, so that libjulia's loader runs when all
    // three are there. A Julia without a compiler has no libjulia-codegen.
    let mut internal = None;
    for name in own.into_iter().rev() {
        let path = directory.join(name);
        let is_internal = file_name(name).starts_with("libjulia-internal");
        if is_internal || path.exists() {
            let library = Library::open_now(&path).map_err(failed)?;
            internal = if is_internal { Some(library) } else { internal };
        }
    }
    Ok(internal)
}

/// The paths, relative to its own directory, of the libraries that the loader in `libjulia` opens: the text between two
/// NULs that names libjulia-internal and others, with colons between them.
fn loaded_by(libjulia: &Path) -> Option<Vec<String>> {
    /// A loader is small; libjulia before Julia 1.6 is all of Julia.
    const LARGEST_LOADER: u64 = 1 << 22;
    if fs_err::metadata(libjulia).ok()?.len() > LARGEST_LOADER {
        return None;
    }
    let bytes = fs_err::read(libjulia).ok()?;
    let list = bytes
        .split(|&byte| byte == 0)
        .filter_map(|text| std::str::from_utf8(text).ok())
        .find(|text| text.contains("libjulia-internal.so") && text.contains(':'))?;
    // The loader treats those with an `@` in a special way.
    Some(
        list.split(':')
            .map(|name| name.trim_start_matches('@').to_owned())
            .filter(|name| !name.is_empty())
            .collect(),
    )
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::{NEWEST, OLDEST};

    #[test]
    fn the_finder_knows_the_same_versions() {
        let rules = include_str!("../../python/jnumpy/finder.json");
        for rule in [format!("\"oldest\": \"1.{OLDEST}.0\""), format!("\"newest\": \"1.{NEWEST}\"")] {
            assert!(rules.contains(&rule), "{rule}");
        }
    }
}

//! The few C functions, and one variable, of libjulia that the runtime calls, found at run time so that one binary serves every
//! Julia. No libjulia struct is declared: values cross as opaque pointers or as the plain [`super::slot`] structs.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::AtomicPtr;

use super::dl::{DlError, Library};

/// An opaque `jl_value_t`.
#[repr(C)]
pub(crate) struct Value {
    _opaque: [u8; 0],
}

macro_rules! functions {
    ($($(#[$doc:meta])* $field:ident: $symbols:expr => $signature:ty;)*) => {
        /// libjulia's entry points. The library stays open for the rest of the process.
        pub(crate) struct LibJulia {
            $($(#[$doc])* pub(crate) $field: $signature,)*
        }

        impl LibJulia {
            /// Opens libjulia and finds every function, or says which one is missing.
            pub(crate) fn open(path: &Path) -> Result<Self, DlError> {
                let library = Library::open_global(path)?;
                Ok(Self {
                    $($field: {
                        let address = first_of(&library, $symbols)?;
                        // SAFETY: the symbol is libjulia's function or variable of that name, whose C type is the
                        // declared one in Julia 1.5 to 1.12 (`julia.h`).
                        unsafe { std::mem::transmute::<*mut c_void, $signature>(address.as_ptr()) }
                    },)*
                })
            }
        }
    };
}

functions! {
    /// `jl_parse_opts(&argc, &argv)`: sets Julia's options. It ends the process on an unknown option.
    parse_opts: &[c"jl_parse_opts"] => unsafe extern "C" fn(*mut c_int, *mut *mut *mut c_char);
    /// `jl_init_with_image(bindir, image)`: starts Julia in this thread.
    init_with_image: &[c"jl_init_with_image_file", c"jl_init_with_image", c"jl_init_with_image__threading"]
        => unsafe extern "C" fn(*const c_char, *const c_char);
    /// `jl_eval_string(code)`: NULL after an exception.
    eval_string: &[c"jl_eval_string"] => unsafe extern "C" fn(*const c_char) -> *mut Value;
    /// `jl_unbox_voidpointer(value)`: the payload of a boxed `Ptr{Cvoid}`.
    unbox_voidpointer: &[c"jl_unbox_voidpointer"] => unsafe extern "C" fn(*mut Value) -> *mut c_void;
    /// `jl_atexit_hook(status)`: runs Julia's `atexit` hooks and finalisers.
    atexit_hook: &[c"jl_atexit_hook"] => unsafe extern "C" fn(c_int);
    /// `jl_throw(exception)`.
    throw: &[c"jl_throw"] => unsafe extern "C" fn(*mut Value) -> !;
    /// `jl_stackovf_exception`: a variable, set when Julia has started.
    stack_overflow: &[c"jl_stackovf_exception"] => AtomicPtr<*mut Value>;
    /// `jl_uv_stdout`: a variable, the stream of C code, or 1. It lies where libuv lies.
    stdout: &[c"jl_uv_stdout"] => &'static AtomicPtr<c_void>;
    /// `jl_uv_stderr`: a variable, the stream of C code, or 2.
    stderr: &[c"jl_uv_stderr"] => &'static AtomicPtr<c_void>;
    /// `jl_gc_safe_enter()`: until it is left the collector does not wait for this thread.
    gc_safe_enter: &[c"jl_gc_safe_enter"] => unsafe extern "C" fn() -> i8;
    /// `jl_gc_unsafe_enter()`: the opposite, as Julia code needs it.
    gc_unsafe_enter: &[c"jl_gc_unsafe_enter"] => unsafe extern "C" fn() -> i8;
    /// `jl_ver_string()`: such as `1.5.3`.
    version: &[c"jl_ver_string"] => unsafe extern "C" fn() -> *const c_char;
}

fn first_of(library: &Library, symbols: &[&'static CStr]) -> Result<NonNull<c_void>, DlError> {
    let (last, others) = symbols.split_last().expect("every function has a symbol");
    others.iter().find_map(|symbol| library.find(symbol)).map_or_else(|| library.require(last), Ok)
}

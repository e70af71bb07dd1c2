//! The few C functions of libjulia that the runtime calls, found at run time so that one binary serves every
//! Julia. No libjulia struct is declared: values cross as opaque pointers or as the plain [`super::slot`] structs.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::NonNull;

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
                        // SAFETY: the symbol is libjulia's function of that name, whose C signature is the
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
    /// `jl_ver_string()`: such as `1.5.3`.
    version: &[c"jl_ver_string"] => unsafe extern "C" fn() -> *const c_char;
}

/// Gives Julia's compiler Julia's own conversions of half-precision numbers. Julia 1.6 and 1.7 look for them by libgcc's
/// names in the whole process, and those of libgcc 12 and later take and return another register: `Float16(1.5)` would
/// be some other number.
pub(crate) fn prefer_own_halves(libjulia: &Path) {
    let Ok(internal) = Library::open_global(&libjulia.with_file_name("julia").join("libjulia-internal.so.1"))
    else {
        return; // Julia 1.5 is one library, and uses other names.
    };
    let Some(add_symbol) = internal.find(c"LLVMAddSymbol") else { return };
    // SAFETY: the function of LLVM's C interface with that name (`llvm-c/Support.h`).
    let add_symbol = unsafe {
        std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*const c_char, *mut c_void)>(
            add_symbol.as_ptr(),
        )
    };
    for name in [c"__truncdfhf2", c"__truncsfhf2", c"__extendhfsf2", c"__extendhfdf2"] {
        if let Some(address) = internal.find_own(name) {
            // SAFETY: LLVM copies the name; the function stays as long as the library, for ever.
            unsafe { add_symbol(name.as_ptr(), address.as_ptr()) };
        }
    }
}

fn first_of(library: &Library, symbols: &[&'static CStr]) -> Result<NonNull<c_void>, DlError> {
    let (last, others) = symbols.split_last().expect("every function has a symbol");
    others.iter().find_map(|symbol| library.find(symbol)).map_or_else(|| library.require(last), Ok)
}

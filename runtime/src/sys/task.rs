//! The thread-local variable in which Julia keeps the task of each thread.
//!
//! Julia reads that variable at every entry, at every `try`, and around every call of Python. Julia's own variable is in a
//! library that was loaded at run time, so reading it takes two calls. The executable `julia` instead provides a variable at a
//! fixed offset from the thread pointer, which compiled code reads directly. Here, the runtime provides such a variable.

use std::ffi::c_void;

use super::dl::Library;

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".section .tbss.jnumpy_task, \"awT\", @nobits",
    ".p2align 3",
    ".type jnumpy_task, @object",
    ".size jnumpy_task, 8",
    "jnumpy_task: .zero 8",
    ".text",
    ".p2align 4",
    ".globl jnumpy_get_task",
    ".hidden jnumpy_get_task",
    ".type jnumpy_get_task, @function",
    "jnumpy_get_task:",
    "movq jnumpy_task@gottpoff(%rip), %rax",
    "movq %fs:(%rax), %rax",
    "retq",
    ".globl jnumpy_task_offset",
    ".hidden jnumpy_task_offset",
    ".type jnumpy_task_offset, @function",
    "jnumpy_task_offset:",
    "movq jnumpy_task@gottpoff(%rip), %rax",
    "retq",
    ".globl jnumpy_task_address",
    ".hidden jnumpy_task_address",
    ".type jnumpy_task_address, @function",
    "jnumpy_task_address:",
    "movq %fs:0, %rax",
    "addq jnumpy_task@gottpoff(%rip), %rax",
    "retq",
    options(att_syntax)
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".section .tbss.jnumpy_task, \"awT\", %nobits",
    ".p2align 3",
    ".type jnumpy_task, %object",
    ".size jnumpy_task, 8",
    "jnumpy_task: .zero 8",
    ".text",
    ".p2align 4",
    ".globl jnumpy_get_task",
    ".hidden jnumpy_get_task",
    ".type jnumpy_get_task, %function",
    "jnumpy_get_task:",
    "adrp x0, :gottprel:jnumpy_task",
    "ldr x0, [x0, #:gottprel_lo12:jnumpy_task]",
    "mrs x1, tpidr_el0",
    "ldr x0, [x1, x0]",
    "ret",
    ".globl jnumpy_task_offset",
    ".hidden jnumpy_task_offset",
    ".type jnumpy_task_offset, %function",
    "jnumpy_task_offset:",
    "adrp x0, :gottprel:jnumpy_task",
    "ldr x0, [x0, #:gottprel_lo12:jnumpy_task]",
    "ret",
    ".globl jnumpy_task_address",
    ".hidden jnumpy_task_address",
    ".type jnumpy_task_address, %function",
    "jnumpy_task_address:",
    "adrp x0, :gottprel:jnumpy_task",
    "ldr x0, [x0, #:gottprel_lo12:jnumpy_task]",
    "mrs x1, tpidr_el0",
    "add x0, x1, x0",
    "ret",
);

unsafe extern "C" {
    fn jnumpy_get_task() -> *mut c_void;
    fn jnumpy_task_address() -> *mut *mut c_void;
    fn jnumpy_task_offset() -> isize;
}

type SetKey =
    unsafe extern "C" fn(unsafe extern "C" fn() -> *mut c_void, unsafe extern "C" fn() -> *mut *mut c_void);

/// Gives the variable to Julia before it starts. Does nothing if the program provides one itself, or if this Julia does not
/// support it; calls are slower then.
pub(crate) fn offer(internal: &Library) {
    // The names by which the loader looks for the program's own.
    // SAFETY: looks for a symbol in the global scope.
    let taken = unsafe { !libc::dlsym(libc::RTLD_DEFAULT, c"jl_get_pgcstack_static".as_ptr()).is_null() };
    let (Some(set_key), Some(offset)) =
        (internal.find(c"jl_pgcstack_setkey"), internal.find(c"jl_tls_offset"))
    else {
        return;
    };
    if taken {
        return;
    }
    // SAFETY: `void jl_pgcstack_setkey(jl_gcframe_t **(*)(void), jl_gcframe_t ***(*)(void))` and `ssize_t jl_tls_offset` since
    // Julia 1.8 (`threading.c`). The one may be called once, before Julia starts; the other is what Julia would set there
    // itself if the variable were the program's, and it is read when images are loaded and code is compiled.
    unsafe {
        let set_key = std::mem::transmute::<*mut c_void, SetKey>(set_key.as_ptr());
        set_key(jnumpy_get_task, jnumpy_task_address);
        offset.cast::<isize>().write(jnumpy_task_offset());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_a_variable_of_its_own_at_the_same_distance() {
        // SAFETY: reads and writes this thread's variable.
        let set = |value: usize| unsafe {
            assert!(jnumpy_get_task().is_null());
            *jnumpy_task_address() = std::ptr::without_provenance_mut(value);
            assert_eq!(jnumpy_get_task().addr(), value);
        };
        set(1);
        std::thread::spawn(move || set(2)).join().unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { jnumpy_get_task() }.addr(), 1);
    }
}

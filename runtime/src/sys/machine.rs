//! Everything that depends on the processor: the registers of an interrupted thread (in the layout of glibc's `ucontext_t`),
//! numbers of relocations, and names in libunwind.

pub(crate) use here::{ADDRESS_OF_SYMBOL, GET_REGISTER, PROGRAM_COUNTER, STEP, call_instead, stack_pointer};

#[cfg(target_arch = "x86_64")]
mod here {
    use std::ffi::CStr;

    /// `R_X86_64_GLOB_DAT` and `R_X86_64_JUMP_SLOT`: the slot holds the address of a symbol.
    pub(crate) const ADDRESS_OF_SYMBOL: [u64; 2] = [6, 7];

    /// The symbols of `unw_step` and `unw_get_reg` for a process that walks its own stack.
    pub(crate) const STEP: &CStr = c"_ULx86_64_step";
    pub(crate) const GET_REGISTER: &CStr = c"_ULx86_64_get_reg";
    /// `UNW_X86_64_RIP`.
    pub(crate) const PROGRAM_COUNTER: i32 = 16;

    const RSP: usize = libc::REG_RSP.unsigned_abs() as usize;
    const RDI: usize = libc::REG_RDI.unsigned_abs() as usize;
    const RIP: usize = libc::REG_RIP.unsigned_abs() as usize;

    /// The stack pointer of the interrupted code.
    pub(crate) fn stack_pointer(context: &libc::ucontext_t) -> u64 {
        context.uc_mcontext.gregs[RSP].cast_unsigned()
    }

    /// Changes the saved registers so that the interrupted thread continues in `function`, as if it had called it with one
    /// argument, on the stack whose upper end is `stack`. The function must not return.
    pub(crate) fn call_instead(
        context: &mut libc::ucontext_t,
        function: usize,
        argument: usize,
        stack: usize,
    ) {
        let word = |value: usize| (value as u64).cast_signed();
        let registers = &mut context.uc_mcontext.gregs;
        // A call pushes the return address, so at the first instruction the stack pointer is 8 below a multiple of 16.
        registers[RSP] = word(stack & !15) - 8;
        registers[RDI] = word(argument);
        registers[RIP] = word(function);
    }
}

#[cfg(target_arch = "aarch64")]
mod here {
    use std::ffi::CStr;

    /// `R_AARCH64_GLOB_DAT` and `R_AARCH64_JUMP_SLOT`: the slot holds the address of a symbol.
    pub(crate) const ADDRESS_OF_SYMBOL: [u64; 2] = [1025, 1026];

    /// The symbols of `unw_step` and `unw_get_reg` for a process that walks its own stack.
    pub(crate) const STEP: &CStr = c"_ULaarch64_step";
    pub(crate) const GET_REGISTER: &CStr = c"_ULaarch64_get_reg";
    /// `UNW_AARCH64_PC`.
    pub(crate) const PROGRAM_COUNTER: i32 = 32;

    const FRAME: usize = 29;
    const LINK: usize = 30;

    /// The stack pointer of the interrupted code.
    pub(crate) fn stack_pointer(context: &libc::ucontext_t) -> u64 {
        context.uc_mcontext.sp
    }

    /// Changes the saved registers so that the interrupted thread continues in `function`, as if it had called it with one
    /// argument, on the stack whose upper end is `stack`. The function must not return.
    pub(crate) fn call_instead(
        context: &mut libc::ucontext_t,
        function: usize,
        argument: usize,
        stack: usize,
    ) {
        let registers = &mut context.uc_mcontext;
        registers.sp = (stack & !15) as u64;
        registers.regs[0] = argument as u64;
        // Without a caller, a walk over the stack ends here.
        registers.regs[FRAME] = 0;
        registers.regs[LINK] = 0;
        registers.pc = function as u64;
    }
}

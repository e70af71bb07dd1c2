//! Julia's life cycle in this process: never started → running → ended. Julia starts once, in one thread. A start that fails
//! after Julia has begun to initialize itself is final.

use std::ffi::{CStr, CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::julia::descriptors::{Early, StandIns};
use crate::julia::options::{self, OptionError, Options, THREADS, Threads};
use crate::julia::relocation::{self, Relocation, RelocationError};
use crate::julia::signals::{self, SignalGuard};
use crate::julia::starting_thread::{set_started_julia, started_julia};
use crate::julia::{c_state, frames, handover, rehearsal, waiting};
use crate::sys::dl::{DlError, Library};
use crate::sys::libjulia::{LibJulia, LibJuliaError};
use crate::sys::limits;
use crate::sys::memory;
use crate::sys::scope;
use crate::sys::slot::{Entry, PROTOCOL, Slot};
use crate::sys::table::{HostFunctions, JuliaFunctions};

/// The package UUID of TyPython, the same as in the original JNumPy.
const TYPYTHON_UUID: &str = "9c4566a2-237d-4c69-9a5e-9d27b7d0881b";
/// Why Julia cannot load TyPython without a depot: compiled code is stored in a depot.
const NO_DEPOT: &str = "Julia has no depot for compiled code, because `JULIA_DEPOT_PATH` is set but empty; unset it, or name a directory in it";
/// Since this minor version of Julia 1, any thread may call into it.
const FOREIGN_THREADS_SINCE: u32 = 9;

/// Since this minor version of Julia 1, there is the option `--heap-size-hint`.
const HEAP_SIZE_HINT_SINCE: u32 = 9;
/// Memory in MiB that Julia maps while it starts with one thread, besides its libraries and its image; and for each further
/// thread.
const START_NEEDS: u64 = 256;
const THREAD_NEEDS: u64 = 16;
/// The part of both that is the stack of a thread, in bytes, with the usual `ulimit -s`.
const USUAL_STACK: usize = 8 << 20;

/// Since the first of these minor versions of Julia 1, Julia has threads for its garbage collector: half as many as other
/// threads, and since the second version just as many. The thread that requests a collection is included.
const COLLECTORS_SINCE: [u32; 2] = [10, 11];
/// The variable with their number. Julia does not check it, and with 0 the process ends at the first collection.
const COLLECTORS_VARIABLE: &str = "JULIA_NUM_GC_THREADS";
/// Variables for which some values make Julia end the process.
const TRIED_FIRST: [&str; 3] = ["JULIA_COPY_STACKS", "JULIA_EXCLUSIVE", "JULIA_LLVM_ARGS"];

/// The largest number of descriptors that Julia has open at a time while it starts.
const START_OPENS: usize = 24;

/// Why Julia did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Library(#[from] DlError),
    #[error(transparent)]
    LibJulia(#[from] LibJuliaError),
    #[error(transparent)]
    Option(#[from] OptionError),
    #[error("the system image `{path}` does not exist")]
    NoImage { path: PathBuf },
    #[error("the system image `{path}` is damaged: {reason}; reinstall the package")]
    Relocation { path: PathBuf, reason: RelocationError },
    #[error("`{path}` holds a NUL byte")]
    Path { path: PathBuf },
    #[error("JULIA_NUM_THREADS is {value:?}, but must be {THREADS}")]
    Threads { value: String },
    #[error("no descriptor can be opened for Julia's standard streams: {0}")]
    Descriptors(std::io::Error),
    #[error("Julia needs {directory}, which is not mounted here (`{path}` cannot be read): mount it")]
    NotMounted { directory: &'static str, path: &'static str },
    #[error(
        "Julia needs {needed} MiB of memory to start, which the system refuses: raise the limit of this process \
         (`ulimit -v`, `ulimit -d`), or use fewer Julia threads"
    )]
    Memory { needed: u64 },
    #[error(
        "Julia needs {needed} descriptors to start, which the system refuses: raise the limit of open files (`ulimit -n`)"
    )]
    TooFewDescriptors { needed: usize },
    #[error(
        "the system refuses the threads that Julia starts (number: {needed}): raise the limit of processes (`ulimit -u`, `pids.max` \
         of the control group), or use fewer Julia threads"
    )]
    TooFewThreads { needed: usize },
    #[error("{0}")]
    TyPython(String),
    #[error(
        "TyPython uses protocol {found}, but this runtime uses protocol {PROTOCOL}; the image was built for another \
         version of jnumpy: build it again with the jnumpy-pack of this version"
    )]
    Protocol { found: u64 },
    #[error("an earlier start of Julia in this process failed: {0}")]
    FailedBefore(String),
}

/// Why a thread cannot call Julia.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("Julia is not running: call `jnumpy.init_jl()` first")]
    NotStarted,
    #[error(
        "this Julia serves only the thread that started it (Julia 1.{FOREIGN_THREADS_SINCE} and later serve any \
         thread): call it from there, or use processes instead of threads"
    )]
    WrongThread,
    #[error(
        "Julia does not survive fork(): start worker processes with the `spawn` or `forkserver` method of \
         multiprocessing"
    )]
    Forked,
    #[error("Julia has ended: the Python interpreter is shutting down")]
    Ended,
}

/// What is needed to start Julia.
#[derive(Debug)]
pub(crate) struct Start {
    /// Absolute path of libjulia.
    pub(crate) libjulia: PathBuf,
    /// Julia's `Sys.BINDIR`.
    pub(crate) bindir: PathBuf,
    /// Absolute path of the system image, unless `TYPY_JL_OPTS` names one.
    pub(crate) image: PathBuf,
    /// A directory with TyPython's sources, for images that do not contain TyPython.
    pub(crate) typython: Option<PathBuf>,
    /// A script that loads package images, including that of TyPython.
    pub(crate) packages: Option<PathBuf>,
    /// What has to be written into the image before Julia reads it.
    pub(crate) relocation: Option<Relocation>,
    /// The runtime's own options, in the form `--name=value`.
    pub(crate) own_options: Vec<String>,
    /// The value of `TYPY_JL_OPTS`.
    pub(crate) options: String,
    /// Environment variables that are set only while Julia starts.
    pub(crate) environment: Vec<(String, String)>,
}

/// The Julia that runs in this process.
pub(crate) struct Running {
    libjulia: LibJulia,
    /// TyPython's functions.
    pub(crate) julia_functions: JuliaFunctions,
    /// Such as `1.5.3`.
    pub(crate) version: String,
    minor: u32,
}

static RUNNING: OnceLock<Running> = OnceLock::new();
/// Whether another thread than the one that started Julia has called it. Every caller holds Python's lock, so no memory
/// ordering is needed.
static SERVES_OTHER_THREADS: AtomicBool = AtomicBool::new(false);
static PHASE: AtomicU8 = AtomicU8::new(NEVER_STARTED);
static FAILURE: Mutex<Option<String>> = Mutex::new(None);

const NEVER_STARTED: u8 = 0;
const SERVING: u8 = 1;
const FORKED: u8 = 2;
const ENDED: u8 = 3;

/// The Julia of this process, if this thread may call it.
#[inline]
pub(crate) fn running() -> Result<&'static Running, Refusal> {
    match RUNNING.get() {
        Some(running) if started_julia() => Ok(running),
        running => refuse(running),
    }
}

/// The version of the Julia in this process, whichever thread asks.
pub(crate) fn version() -> Option<&'static str> {
    RUNNING.get().map(|running| running.version.as_str())
}

/// TyPython's functions, for Julia's own threads.
pub(crate) fn julia_functions() -> Option<&'static JuliaFunctions> {
    RUNNING.get().map(|running| &running.julia_functions)
}

#[cold]
fn refuse(running: Option<&'static Running>) -> Result<&'static Running, Refusal> {
    match (PHASE.load(Ordering::Acquire), running) {
        (SERVING, Some(running)) if running.minor >= FOREIGN_THREADS_SINCE => {
            if !SERVES_OTHER_THREADS.load(Ordering::Relaxed) {
                handover::serve(move || running.wake_threads());
                SERVES_OTHER_THREADS.store(true, Ordering::Relaxed);
            }
            Ok(running)
        }
        (SERVING, Some(_)) => Err(Refusal::WrongThread),
        (FORKED, _) => Err(Refusal::Forked),
        (ENDED, _) => Err(Refusal::Ended),
        _ => Err(Refusal::NotStarted),
    }
}

impl Running {
    /// Julia's world age, if only this thread can change it: see [`JuliaFunctions::world`].
    #[inline]
    pub(crate) fn world(&self) -> Option<usize> {
        let world = self.julia_functions.world?;
        (!SERVES_OTHER_THREADS.load(Ordering::Relaxed)).then(|| world.load(Ordering::Relaxed))
    }

    /// Wakes all threads that wait in Julia. Called from a thread that Python does not know.
    fn wake_threads(&self) {
        let mut result = Slot::nothing();
        // SAFETY: an entry without arguments of TyPython, which any thread may call.
        unsafe { (self.julia_functions.wake_threads)(std::ptr::null(), &raw mut result) };
    }

    /// Calls one of TyPython's functions. The result is a value, an exception.
    pub(crate) fn call(&self, entry: Entry, arguments: &[Slot]) -> Slot {
        let mut result = Slot::nothing();
        // SAFETY: entries come from TyPython, which reads as many slots as it declared.
        unsafe { self.enter(entry, arguments.as_ptr(), &raw mut result) };
        result
    }

    /// Calls an entry.
    ///
    /// # Safety
    /// `arguments` has as many slots as the entry reads. Only a thread that may call Julia gets a `Running`, and an entry
    /// catches every exception and writes the result.
    #[inline]
    pub(crate) unsafe fn enter(&self, entry: Entry, arguments: *const Slot, result: *mut Slot) {
        if self.minor >= FOREIGN_THREADS_SINCE && !started_julia() {
            handover::begin(&self.libjulia);
            let before = waiting::enter();
            // SAFETY: the caller's promise. `RUNNING_IN` is only about the thread that started Julia.
            unsafe { entry(arguments, result) };
            waiting::hold();
            waiting::leave(before);
            handover::end(&self.libjulia);
            return;
        }
        let before = signals::RUNNING_IN.load(Ordering::Relaxed);
        signals::RUNNING_IN.store(signals::JULIA, Ordering::Relaxed);
        // This has to come after the store, which another thread reads when its call ends.
        handover::begin_in_starting_thread(&self.libjulia);
        // SAFETY: as promised.
        unsafe { entry(arguments, result) };
        waiting::hold();
        signals::RUNNING_IN.store(before, Ordering::Relaxed);
        handover::end_in_starting_thread();
    }
}

/// Starts Julia in this thread, and gives `host_functions` to TyPython. Does nothing if Julia is already running. `early` gets
/// what Julia wrote to `stdout` and `stderr` before TyPython redirected them to Python.
pub(crate) fn start(
    start: &Start,
    host_functions: &'static HostFunctions,
    early: &mut [Vec<u8>; 2],
) -> Result<(), StartError> {
    let mut failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
    if RUNNING.get().is_some() {
        return Ok(());
    }
    if let Some(reason) = failure.as_ref() {
        return Err(StartError::FailedBefore(reason.clone()));
    }
    // libjulia's loader reads some of these variables.
    let _environment = EnvironmentGuard::set(&start.environment);
    let libjulia = LibJulia::open(&start.libjulia)?;
    let (version, minor) = (libjulia.version.text.clone(), libjulia.version.minor);
    let mut options = Options::parse(&start.options, "TYPY_JL_OPTS", minor)?;
    // The user's options come later and take precedence.
    options.arguments.splice(0..0, start.own_options.iter().cloned());
    // The relocation applies only to the bundle's own image.
    let relocation = start.relocation.as_ref().filter(|_| options.sysimage.is_none());
    let image = options.sysimage.as_ref().map_or_else(|| start.image.clone(), PathBuf::from);
    if !image.is_file() {
        return Err(StartError::NoImage { path: image });
    }
    let threads = threads(&options)?;
    let arguments = arguments(&options, threads, minor);
    if let Some(relocation) = relocation {
        let opened = Library::open_local(&image)?;
        relocation::prefault_objects(&opened);
        relocation.apply(&opened).map_err(|reason| StartError::Relocation { path: image.clone(), reason })?;
    }
    // Julia ends the process if it lacks descriptors, threads, or memory.
    for (directory, path) in [("/proc", "/proc/self/exe"), ("/proc", "/proc/cpuinfo"), ("/dev", "/dev/null")]
    {
        if !Path::new(path).exists() {
            return Err(StartError::NotMounted { directory, path });
        }
    }
    let more_threads = threads_needed(threads, &options, minor)?;
    let needed = memory_needed(threads, more_threads, if relocation.is_some() { None } else { Some(&image) });
    if !memory::can_map(usize::try_from(needed << 20).unwrap_or(usize::MAX)) {
        return Err(StartError::Memory { needed });
    }
    if !limits::can_open(START_OPENS) {
        return Err(StartError::TooFewDescriptors { needed: START_OPENS });
    }
    // OpenBLAS starts one thread for each processor, and sends SIGINT to the process if it cannot.
    let with_blas = more_threads + limits::processors() - 1;
    let threads_left = limits::threads_left(with_blas);
    if threads_left < more_threads {
        return Err(StartError::TooFewThreads { needed: more_threads });
    }
    let _one_thread = (threads_left < with_blas)
        .then(|| EnvironmentGuard::set(&[("OPENBLAS_NUM_THREADS".to_owned(), "1".to_owned())]));
    let (bindir, image) = (c_path(&start.bindir)?, c_path(&image)?);
    let option = options.arguments.iter().find(|option| option.starts_with("--cpu-target="));
    let mut tried = option.map(|option| ("TYPY_JL_OPTS", option.clone()));
    for name in TRIED_FIRST {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        tried = tried.or(value.map(|value| (name, value)));
    }
    if let Some((origin, option)) = tried {
        let start = || {
            let arguments = arguments.clone();
            initialize(&libjulia, arguments, bindir.clone(), image.clone(), has_handlers(threads, minor))
                .is_ok()
        };
        if let Err(reason) = rehearsal::rehearse(start) {
            let reason = format!("Julia does not start with it: {reason}");
            return Err(OptionError::Value { origin, option, reason }.into());
        }
    }

    // From here on, a failure is final.
    let written = initialize(&libjulia, arguments, bindir, image, has_handlers(threads, minor))?;
    scope::withdraw();
    signals::RUNNING_IN.store(signals::UNPROTECTED, Ordering::Relaxed);
    let introduced = introduce(&libjulia, host_functions, start);
    signals::RUNNING_IN.store(signals::PYTHON, Ordering::Relaxed);
    *early = written.read();
    let julia_functions = match introduced {
        Ok(julia_functions) => julia_functions,
        Err(error) => {
            *failure = Some(error.to_string());
            return Err(error);
        }
    };
    if minor >= FOREIGN_THREADS_SINCE {
        // SAFETY: Julia runs in this thread, which returns to Python now. Since this version, entries leave the GC-safe
        // region by themselves and enter it again (see `@python` in TyPython's `border.jl`).
        unsafe { (libjulia.gc_safe_enter)() };
    }
    waiting::notice(&libjulia);
    set_started_julia(true);
    PHASE.store(SERVING, Ordering::Release);
    let _ = RUNNING.set(Running { libjulia, julia_functions, version, minor });
    // SAFETY: the handler only stores to atomics, which is allowed in a forked child.
    unsafe { libc::pthread_atfork(None, None, Some(forget_in_child)) };
    Ok(())
}

extern "C" fn forget_in_child() {
    set_started_julia(false);
    if PHASE.load(Ordering::Acquire) == SERVING {
        PHASE.store(FORKED, Ordering::Release);
    }
}

/// Ends Julia: runs its `atexit` hooks and finalizers. Only in the thread that started Julia, and only once.
pub(crate) fn end() {
    let Ok(running) = running() else { return };
    if !started_julia() {
        return;
    }
    handover::stop(&running.libjulia);
    signals::RUNNING_IN.store(signals::UNPROTECTED, Ordering::Relaxed);
    // SAFETY: Julia runs in this thread and no Julia frame is below (Python's `atexit` calls us).
    unsafe {
        if running.minor >= FOREIGN_THREADS_SINCE {
            (running.libjulia.gc_unsafe_enter)();
        }
        (running.libjulia.atexit_hook)(0);
    }
    set_started_julia(false);
    PHASE.store(ENDED, Ordering::Release);
}

fn c_path(path: &Path) -> Result<CString, StartError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| StartError::Path { path: path.to_owned() })
}

/// The number of Julia's threads.
fn threads(options: &Options) -> Result<Threads, StartError> {
    match (options.threads, std::env::var("JULIA_NUM_THREADS")) {
        (Some(threads), _) => Ok(threads),
        (None, Ok(value)) if !value.is_empty() => Threads::parse(&value).ok_or(StartError::Threads { value }),
        (None, _) => Ok(Threads { default: 1, interactive: 0 }),
    }
}

/// Whether Julia needs its signal handlers: its garbage collector stops other threads with SIGSEGV. With only one thread, the
/// handlers would only replace those of Python.
fn has_handlers(threads: Threads, minor: u32) -> bool {
    minor >= FOREIGN_THREADS_SINCE || threads.default > 1
}

/// The number of MiB that Julia maps while it starts. `image` is an image that is not mapped yet.
fn memory_needed(threads: Threads, more_threads: usize, image: Option<&Path>) -> u64 {
    let image = image.and_then(|path| fs_err::metadata(path).ok()).map_or(0, |file| file.len() >> 20);
    let more = u64::from(threads.default) + u64::from(threads.interactive) - 1;
    let stacks = more_threads.saturating_mul(limits::default_stack().saturating_sub(USUAL_STACK)) >> 20;
    START_NEEDS + image + more * THREAD_NEEDS + stacks as u64
}

/// The number of threads that Julia starts: one for signals, those that were requested, and those of the garbage collector.
fn threads_needed(threads: Threads, options: &Options, minor: u32) -> Result<usize, StartError> {
    let others = usize::from(threads.default) + usize::from(threads.interactive);
    Ok(others + collectors(others, options, minor)?.saturating_sub(1))
}

/// The largest number of threads that collect garbage, including the one that requests a collection.
fn collectors(others: usize, options: &Options, minor: u32) -> Result<usize, StartError> {
    let [half, all] = COLLECTORS_SINCE;
    if minor < half {
        return Ok(0);
    }
    let option = options.arguments.iter().rev().find_map(|option| option.strip_prefix("--gcthreads="));
    if let Some(number) = option.and_then(options::collectors) {
        return Ok(number);
    }
    match std::env::var(COLLECTORS_VARIABLE) {
        Ok(value) if !value.is_empty() => options::collectors(&value).ok_or_else(|| {
            let reason = format!("it must be {}", options::COLLECTORS);
            OptionError::Value { origin: COLLECTORS_VARIABLE, option: value, reason }.into()
        }),
        _ => Ok(others / if minor < all { 2 } else { 1 }),
    }
}

/// Julia's command line.
fn arguments(options: &Options, threads: Threads, minor: u32) -> Vec<CString> {
    let mut words = vec!["julia".to_owned(), "--startup-file=no".to_owned(), threads.option(minor)];
    if !has_handlers(threads, minor) {
        words.push("--handle-signals=no".into());
    }
    // Python and other libraries need some of the memory too. An option of the user comes later and takes precedence.
    if let (HEAP_SIZE_HINT_SINCE.., Some(limit)) =
        (minor, memory::group_limit().filter(|limit| limit >> 44 == 0))
    {
        words.push(format!("--heap-size-hint={}M", ((limit / 10 * 7) >> 20).max(128)));
    }
    words.extend(options.arguments.iter().cloned());
    words.into_iter().filter_map(|word| CString::new(word).ok()).collect()
}

/// The variable that Julia sets for its own OpenBLAS while it starts. Child processes of Python must not inherit it.
const SET_BY_JULIA: [&CStr; 2] = [c"OPENBLAS_MAIN_FREE", c"OPENBLAS_DEFAULT_NUM_THREADS"];

/// Sets environment variables. When dropped, it restores the old values, also of variables that Julia sets.
struct EnvironmentGuard(Vec<(CString, Option<CString>)>);

impl EnvironmentGuard {
    fn set(variables: &[(String, String)]) -> Self {
        // SAFETY: this thread holds Python's lock, so no other Python thread changes the environment; the value is copied.
        let present = |name: &CStr| unsafe {
            let value = libc::getenv(name.as_ptr());
            (!value.is_null()).then(|| CStr::from_ptr(value).to_owned())
        };
        let mut before: Vec<_> = SET_BY_JULIA.map(|name| (name.to_owned(), present(name))).into();
        for (name, value) in variables {
            let (Ok(name), Ok(value)) = (CString::new(name.as_str()), CString::new(value.as_str())) else {
                continue;
            };
            let old = present(&name);
            // SAFETY: as above.
            unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) };
            before.push((name, old));
        }
        Self(before)
    }
}

impl Drop for EnvironmentGuard {
    fn drop(&mut self) {
        for (name, old) in self.0.drain(..).rev() {
            // SAFETY: as in `set`.
            unsafe {
                match old {
                    Some(value) => libc::setenv(name.as_ptr(), value.as_ptr(), 1),
                    None => libc::unsetenv(name.as_ptr()),
                };
            }
        }
    }
}

fn initialize(
    libjulia: &LibJulia,
    arguments: Vec<CString>,
    bindir: CString,
    image: CString,
    handling: bool,
) -> Result<Early, StartError> {
    let descriptors = StandIns::place(libjulia).map_err(StartError::Descriptors)?;
    frames::hide_foreign(libjulia, &image);
    c_state::keep_locale(libjulia);
    let _random = c_state::OwnRandomNumbers::draw();
    let signals = SignalGuard::save();
    let mut count = c_int::try_from(arguments.len()).unwrap_or(c_int::MAX);
    let mut words: Vec<*mut c_char> = arguments.into_iter().map(CString::into_raw).collect();
    words.push(std::ptr::null_mut());
    // Julia keeps pointers to its command line, paths, and options, so these are leaked on purpose.
    let mut words = words.leak().as_mut_ptr();
    let (bindir, image) = (bindir.into_raw(), image.into_raw());
    // SAFETY: every option was checked, so the parser does not end the process; the image and the libraries
    // exist; this is the first and only initialization, under the lock of `start`.
    unsafe {
        (libjulia.parse_opts)(&raw mut count, &raw mut words);
        (libjulia.init_with_image)(bindir, image);
    }
    signals.restore(libjulia, handling);
    Ok(descriptors.remove(libjulia))
}

/// Loads TyPython and exchanges the tables with it.
fn introduce(
    libjulia: &LibJulia,
    host_functions: &'static HostFunctions,
    from: &Start,
) -> Result<JuliaFunctions, StartError> {
    let say = |code: &str, path: &Option<PathBuf>| {
        path.as_ref()
            .map_or_else(String::new, |path| format!("{code} {});", julia_text(&path.to_string_lossy())))
    };
    // Julia derives the name of a file of compiled code from the active project, so each installation of jnumpy gets its own.
    let project = from.typython.as_ref().map(|directory| directory.join("TyPython").join("Project.toml"));
    let before = say("pushfirst!(LOAD_PATH,", &from.typython)
        + &say("active = Base.ACTIVE_PROJECT[]; Base.ACTIVE_PROJECT[] = (", &project)
        + &say("Base.include(Main,", &from.packages);
    let after = if project.is_some() { "Base.ACTIVE_PROJECT[] = active;" } else { "" };
    // Two evaluations, because only the second one sees what the first one has loaded (a new world age).
    let load = format!(
        "try; {before} \
             global const TyPython = Base.require(Base.PkgId(Base.UUID(\"{TYPYTHON_UUID}\"), \"TyPython\")); {after} \
         catch failure; \
             global jnumpy_start_failure = isempty(DEPOT_PATH) ? \"{NO_DEPOT}\" : sprint(showerror, failure); \
         end; C_NULL",
    );
    let start = format!(
        "try; TyPython.CPython.start(Ptr{{Cvoid}}(UInt({}))); \
         catch failure; \
             isdefined(Main, :jnumpy_start_failure) || global jnumpy_start_failure = sprint(showerror, failure); C_NULL \
         end",
        std::ptr::from_ref(host_functions).expose_provenance(),
    );
    evaluate_pointer(libjulia, &load);
    let julia_functions = evaluate_pointer(libjulia, &start).cast::<JuliaFunctions>();
    if julia_functions.is_null() {
        let text = evaluate_pointer(libjulia, "pointer(jnumpy_start_failure)").cast::<c_char>();
        let reason = if text.is_null() {
            "Julia could not evaluate the runtime's first line".into()
        } else {
            // SAFETY: the data of a Julia String is NUL-terminated, and a global holds it.
            unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
        };
        return Err(StartError::TyPython(format!("TyPython could not be loaded: {reason}")));
    }
    // SAFETY: TyPython returned its table, which it never frees. The protocol number is the first field in every version of
    // the table, so it may be read before the rest is known to match.
    let found = unsafe { julia_functions.cast::<u64>().read() };
    if found != PROTOCOL {
        return Err(StartError::Protocol { found });
    }
    // SAFETY: the protocol number is ours, so the layout is too.
    Ok(unsafe { julia_functions.read() })
}

/// Evaluates code that yields a `Ptr`; NULL after an exception.
fn evaluate_pointer(libjulia: &LibJulia, code: &str) -> *mut std::ffi::c_void {
    let Ok(code) = CString::new(code) else { return std::ptr::null_mut() };
    // SAFETY: Julia is initialized in this thread; `jl_eval_string` catches exceptions and returns NULL then; the
    // code yields a `Ptr`, which is unboxed before anything else can be collected.
    unsafe {
        let value = (libjulia.eval_string)(code.as_ptr());
        if value.is_null() { std::ptr::null_mut() } else { (libjulia.unbox_voidpointer)(value) }
    }
}

/// A Julia string literal.
fn julia_text(text: &str) -> String {
    let mut literal = String::from("\"");
    for character in text.chars() {
        if matches!(character, '"' | '\\' | '$') {
            literal.push('\\');
        }
        literal.push(character);
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_escaped() {
        assert_eq!(julia_text(r#"a"$b\"#), r#""a\"\$b\\""#);
    }

    #[test]
    fn calls_before_the_start_are_refused() {
        assert_eq!(running().err(), Some(Refusal::NotStarted));
    }
}

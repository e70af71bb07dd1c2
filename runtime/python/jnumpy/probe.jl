# Where this Julia keeps its parts: one `jnumpy-julia key=value` a line. Nothing is loaded where Base can answer.
let libdl = isdefined(Base.Libc, :Libdl) ? Base.Libc.Libdl : Base.require(Main, :Libdl),
    tell = (key, value) -> println("jnumpy-julia ", key, "=", value)
    tell("version", VERSION)
    tell("executable", joinpath(Sys.BINDIR, Base.julia_exename()))
    tell("libjulia", first(filter(path -> startswith(basename(path), "libjulia."), libdl.dllist())))
    tell("private_libdir", abspath(Sys.BINDIR, Base.PRIVATE_LIBDIR))
    tell("sysimage", unsafe_string(Base.JLOptions().image_file))
    tell("share_julia", abspath(Sys.BINDIR, Base.DATAROOTDIR, "julia"))
    tell("stdlib", Sys.STDLIB)
end

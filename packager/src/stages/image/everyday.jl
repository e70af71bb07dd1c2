# Runs while a run of the project is recorded on a base image. It calls functions that are compiled in Julia's stock image and that
# most programs call at some time: those that show values, and those that describe errors with their backtraces.

struct Everyday <: Exception end

show_all(values...) = foreach(values) do value
    out = IOBuffer()
    show(out, value)
    print(out, value)
    show(IOContext(out, :compact => true, :limit => true), MIME("text/plain"), value)
    string(value)
    repr(value)
end

show_all(1, true, 'a', "a\n", :a, nothing, 1.5, 1:3, (1, 2.5), 1 => 2.5, [1, 2], [1.5, 2.5], ["a", "b"], [1.5 2.5; 3.5 4.5])
show_all(Any[1, "a", nothing], Dict("a" => 1), Int, Vector{Float64}, sin, Base, v"1.2.3")

failures = Any[
    () -> error("a"),
    () -> sqrt(-1.0),
    () -> [1, 2][5],
    () -> [1.5 2.5][3, 3],
    () -> Dict("a" => 1)["b"],
    () -> div(1, 0),
    () -> convert(Int, 1.5),
    () -> Int8(1000),
    () -> parse(Int, "a"),
    () -> "a" * 1,
    () -> sin("a"),
    () -> eval(:nothing_of_this_name),
    () -> (Base.inferencebarrier("a")::Int),
    () -> [1 2; 3 4] * [1, 2, 3],
    () -> throw(ArgumentError("a")),
    () -> throw(Everyday()),
    () -> open(identity, "/nothing/of/this/name"),
    () -> include_string(Main, "error(1)"),
    () -> wait(@async error("a")),
]

for failure in failures
    try
        failure()
    catch thrown
        out = IOBuffer()
        showerror(out, thrown)
        showerror(out, thrown, catch_backtrace())
        sprint(showerror, thrown)
        sprint(showerror, thrown, catch_backtrace())
    end
end

println(stdout, 1, " ", 1.5)
println(1, "a", 1.5, [1, 2])
println(stderr, "a", 1)
@info "a" number = 1 values = [1.5]
@warn "a" text = "b"
@error "a" exception = (ErrorException("a"), backtrace())
@debug "a"

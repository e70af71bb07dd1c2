//! Precompile statements, which `--trace-compile` writes in a recorded run.

/// Brings the statements of any number of runs into the form that is replayed: sorted, each once, without those
/// that can only make sense in the process that wrote them.
pub(super) fn clean(recorded: &str) -> String {
    let mut statements: Vec<&str> =
        recorded.lines().filter_map(statement).filter(|s| is_lasting(s)).collect();
    statements.sort_unstable();
    statements.dedup();
    statements.into_iter().map(|statement| with_characters(statement) + "\n").collect()
}

/// The statement with characters that Julia reads. It writes a character as `Char` of the bits in memory, and reads that as
/// the `Char` of a code point: the formats of `Printf` and `Dates` are types with characters.
fn with_characters(statement: &str) -> String {
    ["{", "(", " "].into_iter().fold(statement.to_owned(), |text, before| {
        text.replace(&format!("{before}Char(0x"), &format!("{before}reinterpret(Char, 0x"))
    })
}

/// The statement on a line, without the remarks that newer versions of Julia add.
fn statement(line: &str) -> Option<&str> {
    let line = line.trim();
    let line = line.split_once(" #").map_or(line, |(statement, _)| statement.trim_end());
    let balanced = |open, close| line.matches(open).count() == line.matches(close).count();
    let whole = line.starts_with("precompile(") && line.ends_with(')');
    // A run that was cut off leaves half a line.
    (whole && balanced('(', ')') && balanced('{', '}')).then_some(line)
}

/// Whether the names in the statement can exist in another process: not those defined in `Main`, nor those of functions
/// that `gensym` has named, with a number of the process. Their types begin with three `#`. With two begin those of bodies
/// of functions with keyword arguments, which are numbered by module, as closures are.
fn is_lasting(statement: &str) -> bool {
    !statement.contains("Main.") && !statement.contains("getfield(Main") && !statement.contains("\"###")
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn ok_sorted_once_and_only_whole_lasting_statements() {
        let recorded = "\
precompile(Tuple{typeof(Base.sort!), Array{Float64, 1}})
precompile(Tuple{typeof(A.f), Int64})
precompile(Tuple{typeof(A.f), Int64}) # recompile
precompile(Tuple{typeof(Main.g), Int64})
precompile(Tuple{getfield(Main, Symbol(\"#3#4\"))})
precompile(Tuple{A.var\"###noise#123\", Int64})
precompile(Tuple{A.var\"##solve#20\", Float64})
precompile(Tuple{A.var\"#f#12\", Int64})
#= 3.1 ms =# precompile(Tuple{typeof(A.h)})
Warning: something
precompile(Tuple{typeof(A.cut), Array{Int";
        assert_eq!(
            clean(recorded),
            "precompile(Tuple{A.var\"##solve#20\", Float64})\n\
             precompile(Tuple{A.var\"#f#12\", Int64})\n\
             precompile(Tuple{typeof(A.f), Int64})\n\
             precompile(Tuple{typeof(Base.sort!), Array{Float64, 1}})\n"
        );
    }

    #[test]
    fn ok_characters() {
        assert_eq!(
            clean(
                "precompile(Tuple{D.Part{Char(0x79000000)}, A.P{(Char(0x61000000), Char(0x62000000))}, Char})"
            ),
            "precompile(Tuple{D.Part{reinterpret(Char, 0x79000000)}, \
             A.P{(reinterpret(Char, 0x61000000), reinterpret(Char, 0x62000000))}, Char})\n"
        );
        let other = "precompile(Tuple{A.P{A.Char(0x79000000), MyChar(0x01)}})\n";
        assert_eq!(clean(other), other);
    }

    #[test]
    fn ok_order_of_runs_does_not_matter() {
        let (first, second) = ("precompile(Tuple{A})\n", "precompile(Tuple{B})\n");
        assert_eq!(clean(&format!("{first}{second}")), clean(&format!("{second}{first}{first}")));
        assert_eq!(clean(""), "");
    }
}

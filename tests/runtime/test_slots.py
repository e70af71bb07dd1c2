"""The layouts of the structs that Julia and Rust exchange are the same in both languages."""

import re

from paths import REPOSITORY

SYS = REPOSITORY / "runtime/src/sys"
TYPYTHON = REPOSITORY / "runtime/python/jnumpy/julia/TyPython/src"


def body(text, start, end):
    return text.split(start, 1)[1].split(end, 1)[0]


def snake(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def test_kinds_have_the_same_numbers():
    rust = dict(re.findall(r"^    (\w+) = (\d+),", body((SYS / "slot.rs").read_text(), "enum Kind {", "\n}"), re.M))
    julia = dict(
        re.findall(
            r"^const (\w+) = 0x([0-9a-f]{2})$", body((TYPYTHON / "slots.jl").read_text(), "holds.\n", "\n\n"), re.M
        )
    )
    ours = {"BIG_INT": "BIGINT", "UINT": "UINT", "PYTHON_EXCEPTION": "PYTHON_EXCEPTION"}
    kinds = {snake(name): int(number) for name, number in rust.items()}
    assert {ours.get(name, name): number for name, number in kinds.items()} == {
        name: int(number, 16) for name, number in julia.items()
    }


def test_element_types_have_the_same_numbers():
    rust = re.findall(r"^    (\w+) = \d+,", body((SYS / "slot.rs").read_text(), "enum Element {", "\n}"), re.M)
    julia = body((TYPYTHON / "arrays.jl").read_text(), "const ELEMENTS = (", "\n)").replace("\n", "").split(",")
    names = {"ComplexF32": "Complex64", "ComplexF64": "Complex128"}
    assert [names.get(name.strip(), name.strip()) for name in julia if name.strip()] == rust


def test_slots_and_tables_have_the_same_fields():
    slot = re.findall(
        r"^    pub\(crate\) (\w+): u(\d+),", body((SYS / "slot.rs").read_text(), "struct Slot {", "\n}"), re.M
    )
    slots = (TYPYTHON / "slots.jl").read_text()
    assert re.findall(r"^    (\w+)::UInt(\d+)$", body(slots, "struct Slot\n", "\nend"), re.M) == slot
    tables = (SYS / "table.rs").read_text()
    renamed = {"function": "make_function", "include": "include_file"}
    for table in ("HostFunctions", "JuliaFunctions"):
        fields = re.findall(r"^    pub\(crate\) (\w+): ", body(tables, f"struct {table} {{", "\n}"), re.M)
        assert re.findall(r"^    (\w+)::", body(slots, f"struct {table}\n", "\nend"), re.M) == [
            renamed.get(field, field) for field in fields
        ]

"""Julia types as Python classes: `tests/projects/bank`."""

import copy
import gc
import importlib
import inspect
import os
import pickle
import pydoc
import subprocess
import sys
import threading
import traceback
import weakref

import child
import jnumpy
import numpy as np
import pytest
from paths import PROJECTS
from refusals import refused
from type_checker import mypy, wrong_lines


@pytest.fixture(scope="module")
def bank(contract):
    """Return the exported module; `contract` has started Julia."""
    importlib.import_module("bank")
    return importlib.import_module("bank._bank")


@pytest.fixture
def account(bank):
    return bank.Account("Ada", balance=10.0)


def test_constructor_attributes_and_methods(bank, account) -> None:
    assert (account.owner, account.balance, account.LIMIT) == ("Ada", 10.0, 1000.0)
    assert account.deposit(2.5) == account.balance == 12.5
    account.balance = 3.0
    assert account.withdraw(amount=1.0) == 2.0
    assert bank.Account("Bo").balance == 0.0
    assert account.empty is False
    assert bank.Account("Bo").empty is True
    assert bank.Account.parse("Cy:4").balance == 4.0
    assert bank.Account.named("Di").owner == "Di"
    assert account.parse("Cy:4").owner == "Cy"


def test_the_project_is_precompiled_without_a_word(julia):
    # Julia refuses to overwrite a method while it precompiles, as a second method of one function did.
    outcome = child.run("import bank; print(bank._bank.area(bank._bank.Circle(1.0)))", julia)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "3.0\n", "")


def test_array_fields_share_memory(account) -> None:
    history = account.history
    history[0] = 99.0
    assert account[0] == 99.0
    account.history = np.array([1.0, 2.0])
    assert list(account) == [1.0, 2.0]


def test_errors_name_argument_and_class(bank, account) -> None:
    for call, message in [
        (lambda: bank.deposit({}, 1.0), r"deposit\(\) argument `account`: expected bank._bank.Account, got dict"),
        (lambda: bank.deposit(bank.Circle(1.0), 1.0), r"expected bank._bank.Account, got bank._bank.Circle"),
        (lambda: account.deposit("1"), r"deposit\(\) argument `amount`: expected float type, got str"),
        (lambda: bank.Account(1), r"open_account\(\) argument `owner`: expected str type, got int"),
        (lambda: bank.Account(), r"missing 1 required positional argument: 'owner'"),
        (lambda: bank.Circle("1"), r"Circle.__init__\(\) argument `radius`: expected float type, got str"),
        (lambda: setattr(account, "owner", 1), r"Account.owner.__set__\(\) argument `value`: expected str type"),
        (lambda: bank.total([account, 1]), r"total\(\) argument `accounts`\[1\]: expected bank._bank.Account, got int"),
        (lambda: bank.by_name({"a": None}, "a"), r"argument `accounts`\['a'\]: expected bank._bank.Account, got None"),
        (lambda: bank.Account.deposit(1, 1.0), r"expected bank._bank.Account, got int"),
        (lambda: bank.Shape(), r"bank._bank.Shape cannot be created in Python"),
        (lambda: account.__init__("Bo"), r"is already initialized"),
        (lambda: bank.deposit(bank.Account.__new__(bank.Account), 1.0), r"holds no Julia object yet: `__init__`"),
        (lambda: bank.class_of(int), r"expected the class of Bank.Shape or of a subtype, got type"),
    ]:
        with pytest.raises(TypeError, match=message):
            call()
    with pytest.raises(AttributeError):
        account.balanse = 1.0
    with pytest.raises(AttributeError):
        bank.Circle(1.0).radius = 2.0
    with pytest.raises(TypeError):
        object.__new__(bank.Account)


def test_one_object_of_julia_is_one_of_python(bank, account) -> None:
    assert bank.same(account) is account
    first, [second, third] = bank.both(account)
    assert first is second is third is account
    assert bank.fullest([bank.Account("Bo"), account]) is account
    assert bank.by_name({"a": account}, "a") is account
    assert bank.owner_of(account) == "Ada"
    assert bank.owner_of(None) is None
    assert account == account
    assert account != bank.Account("Ada", balance=10.0)
    assert len({account, bank.same(account)}) == 1


def test_both_collectors_agree(bank) -> None:
    bank.keep(bank.Account("Kept"))
    gc.collect()
    bank.collect_garbage()
    again = bank.kept()
    assert again.owner == "Kept"
    assert bank.kept() is again
    bank.forget()
    bank.collect_garbage()
    assert again.owner == "Kept"

    before = bank.finalized()
    watched = [bank.watched(str(number)) for number in range(10)]
    seen = weakref.ref(watched[0])
    assert seen() is watched[0]
    bank.collect_garbage()
    assert bank.finalized() == before
    # Python may release the object in any thread.
    thread = threading.Thread(target=watched.clear)
    thread.start()
    thread.join()
    assert seen() is None
    bank.collect_garbage()
    bank.collect_garbage()
    assert bank.finalized() >= before + 9


def test_an_object_in_the_callback_of_its_weak_reference(bank) -> None:
    account = bank.Account("Ada")
    bank.keep(account)
    seen = []
    reference = weakref.ref(account, lambda _: seen.append(bank.kept()))
    del account
    assert reference() is None
    assert seen[0].owner == "Ada"
    assert bank.kept() is seen[0]
    bank.forget()


def test_protocols(bank, account) -> None:
    assert repr(account) == str(account) == 'Account("Ada", 10.0)'
    assert repr(bank.Circle(1.5)).endswith("Circle(1.5)")
    account.deposit(1.0)
    assert len(account) == 2
    assert account
    assert not bank.Account("Bo")
    assert account[1] == 1.0
    with pytest.raises(IndexError):
        account[7]
    assert 10.0 in account
    assert 3.0 not in account
    assert list(account) == [10.0, 1.0]
    assert account(2.0) == 22.0
    with account as entered:
        assert entered is account
    assert account.balance == 0.0


def test_values_compare_and_hash(bank) -> None:
    a, b = bank.Point2D(1.0, 2.0), bank.Point2D(x=1.0, y=2.0)
    assert a == b
    assert a is not b
    assert hash(a) == hash(b)
    assert a != bank.Point2D(1.0, 3.0)
    assert a != (1.0, 2.0)
    assert (a == 1) is False
    assert a < bank.Point2D(2.0, 0.0)
    assert {a: 1}[b] == 1
    with pytest.raises(TypeError, match="'<' not supported"):
        _ = a < 1


def test_arithmetic_with_both_operands(bank) -> None:
    point = bank.Point2D(3.0, 4.0)
    total = point + bank.Point2D(1.0, 1.0)
    assert (total.x, total.y) == (4.0, 5.0)
    assert (-point).x == -3.0
    assert abs(point) == 5.0
    assert (point * 2.0).y == 8.0
    assert point * point == 25.0
    assert (2.0 * point).x == 6.0
    for wrong in (lambda: point + 1, lambda: 1 + point, lambda: point * "a", lambda: "a" * point):
        with pytest.raises(TypeError, match=r"unsupported operand|can't multiply"):
            wrong()

    class Other:
        def __radd__(self, left: object) -> tuple:
            return ("radd", left)

    assert point + Other() == ("radd", point)


def test_supertypes_and_generics(bank) -> None:
    circle, square = bank.Circle(1.0), bank.Square(2.0)
    assert isinstance(circle, bank.Shape)
    assert (circle.area(), square.area(), circle.twice_area(), square.twice_area()) == (3.0, 4.0, 6.0, 8.0)
    assert (bank.area(circle), bank.area(square)) == (3.0, 4.0)
    assert isinstance(bank.Point2D(1.0, 1.0), bank.AnyPoint)
    assert bank.PointInt(3, 4).norm() == bank.Point2D(3.0, 4.0).norm() == 5.0
    assert bank.PointInt(3, 4) != bank.Point2D(3.0, 4.0)
    with pytest.raises(TypeError, match=r"PointInt.__init__\(\) argument `x`: expected int type, got float"):
        bank.PointInt(1.0, 2.0)
    assert bank.class_of(bank.Circle) == "Circle"


def test_subclasses_in_python(bank) -> None:
    class Savings(bank.Account):
        def __init__(self, owner: str, rate: float) -> None:
            super().__init__(owner, balance=100.0)
            self.rate = rate

        def deposit(self, amount: float) -> float:
            return super().deposit(amount) + 0.5

        def on_notify(self, event: str) -> str:
            return f"{event} at {self.rate}"

    savings = Savings("Ada", 0.1)
    assert (savings.rate, savings.owner, savings.deposit(1.0)) == (0.1, "Ada", 101.5)
    assert bank.same(savings) is savings
    assert bank.total([savings, bank.Account("Bo", balance=1.0)]) == 102.0
    # Julia calls the method that the subclass has.
    assert savings.notify() == "paid at 0.1"
    assert bank.Account("Bo").notify() == "Bo: paid"
    assert Savings.__base__ is bank.Account
    assert str(inspect.signature(Savings)) == "(owner: str, rate: float) -> None"

    class Silent(bank.Account):
        def __init__(self) -> None:
            pass

    with pytest.raises(TypeError, match=r"Silent holds no Julia object yet: `__init__` of its class must call"):
        Silent().deposit(1.0)


def test_constructors_that_fail_or_return_a_known_object(bank, export) -> None:
    above = (
        "mutable struct Once\nn::Int\nend\nconst ONE = Once(1)\n"
        '@export_py make(n::Int)::Once = n < 0 ? throw(ArgumentError("negative")) : n == 1 ? ONE : Once(n)\n'
        "@export_py one()::Once = ONE\n"
        "@export_pyclass Once begin\n__init__ = make\nn\nend"
    )
    of = export("of(once::Once)::Any = (Pyclass(Once), once, Pyfunc(one))", above)
    with pytest.raises(TypeError):
        of(1)
    number = of.__julia_name__.split(".")[-2]
    cls = jnumpy.eval_julia(f"{number}.Pyclass({number}.Once)")
    assert cls(2).n == 2
    with pytest.raises(ValueError, match="negative"):
        cls(-1)
    _, once, one = of(cls(1))
    assert one() is once
    with pytest.raises(TypeError, match="has returned an object that Python holds already"):
        cls(1)


def test_exceptions(bank, account) -> None:
    with pytest.raises(bank.InsufficientFunds) as caught:
        account.withdraw(50.0)
    error = caught.value
    assert (error.wanted, error.balance) == (50.0, 10.0)
    assert str(error) == "50.0 is more than the balance, 10.0"
    assert isinstance(error, ValueError)
    assert isinstance(error, jnumpy.JuliaError)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is bank.InsufficientFunds
    assert (again.wanted, str(again)) == (50.0, str(error))


@pytest.mark.parametrize(("arguments", "message"), [((), ""), (("empty",), "empty"), ((3,), "3")])
def test_exceptions_that_python_code_makes(bank, arguments, message) -> None:
    for kind in (bank.InsufficientFunds, jnumpy.JuliaError):
        error = kind(*arguments)
        assert (str(error), error.args, error.backtrace, error.__notes__) == (message, (message,), "", [])
        assert message in "".join(traceback.format_exception(error))
    with pytest.raises(AttributeError, match="was not raised by Julia, and has no `wanted`"):
        bank.InsufficientFunds(*arguments).wanted  # noqa: B018


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(bank, account, protocol) -> None:
    point = pickle.loads(pickle.dumps(bank.Point2D(1.0, 2.0), protocol))
    assert point == bank.Point2D(1.0, 2.0)
    account.deposit(1.0)
    other = pickle.loads(pickle.dumps(account, protocol))
    assert (other.owner, other.balance, list(other.history)) == ("Ada", 11.0, [10.0, 1.0])
    assert other is not account
    assert pickle.loads(pickle.dumps(bank.Account, protocol)) is bank.Account
    assert pickle.loads(pickle.dumps(account.deposit, protocol))(1.0) == 12.0
    assert account.balance == 11.0


def test_copies_and_what_cannot_be_pickled(bank, account) -> None:
    shallow, deep = copy.copy(account), copy.deepcopy(account)
    account.history[0] = 7.0
    # The array of a copy is Julia's own, so it can grow.
    assert shallow.deposit(1.0) == deep.deposit(1.0) == 11.0
    assert [list(copied.history) for copied in (shallow, deep)] == [[10.0, 1.0]] * 2
    with pytest.raises(TypeError, match=r"cannot pickle 'Square' object: not all fields .* are plain data"):
        pickle.dumps(bank.Square(1.0))


def test_a_pickle_in_another_process(bank) -> None:
    state = pickle.dumps([bank.Point2D(1.0, 2.0), bank.Account("Ada", balance=3.0)])
    code = f"import pickle; point, account = pickle.loads({state!r}); print(point.y, account.owner, account.balance)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PROJECTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "2.0 Ada 3.0\n"


def test_help_and_signatures(bank) -> None:
    text = pydoc.plain(pydoc.render_doc(bank.Account))
    for line in ("An account.", "deposit(", "Put money in.", "How many bookings there are."):
        assert line in text
    assert str(inspect.signature(bank.Account)) == "(owner: String, *, balance: Float64 = 0.0) -> Bank.Account"
    assert list(inspect.signature(bank.Account("Ada").deposit).parameters) == ["amount"]
    assert bank.Account.deposit.__qualname__ == "Account.deposit"
    assert bank.Account.__module__ == "bank._bank"


def test_stubs(bank, tmp_path) -> None:
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank/__init__.py").touch()
    (tmp_path / "bank/py.typed").touch()
    jnumpy.write_stubs("bank", tmp_path / "bank")
    program = (
        "from bank._bank import Account, Circle, InsufficientFunds, Point2D, Shape, area, same, total\n"
        "account = Account('Ada', balance=1.0)\n"
        "owner: str = account.owner\n"
        "account.balance = 2.0\n"
        "account.balance = 'a'  # wrong\n"
        "Account(1)  # wrong\n"
        "count: int = len(account)\n"
        "number: float = account.deposit(1.0)\n"
        "account.deposit('a')  # wrong\n"
        "again: Account = same(account)\n"
        "same(Circle(1.0))  # wrong\n"
        "total([account])\n"
        "shape: Shape = Circle(1.0)\n"
        "Circle(1.0).radius = 2.0  # wrong\n"
        "point: Point2D = Point2D(1.0, 2.0) + Point2D(1.0, 2.0)\n"
        "point = 2.0 * point\n"
        "text: str = Account.parse('a:1').owner\n"
        "with account as entered:\n"
        "    entered.deposit(1.0)\n"
        "try:\n"
        "    pass\n"
        "except InsufficientFunds as error:\n"
        "    raise ValueError from error\n"
        "class Savings(Account):\n"
        "    rate: float\n"
        "for booking in account:\n"
        "    value: float = booking\n"
    )
    lines, said = mypy(tmp_path, program)
    assert lines == wrong_lines(program), said + (tmp_path / "bank/_bank.pyi").read_text()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("@export_pyclass Nowhere", "there is no type `Nowhere`"),
        (
            "struct A; x::Int; end\n@export_pyclass A begin\ny\nend",
            "`y` is not a field of A, and it is not defined above",
        ),
        ("struct A; x::Int; end\n@export_pyclass A begin\nx, x\nend", "`x` is listed twice"),
        ("struct A{T}; x::T; end\n@export_pyclass A{Int}", "needs a name in Python"),
        ("struct A; x::Int; end\nf(a) = 1\n@export_pyclass A begin\nf\nend", "`f` is not exported to Python"),
        ("struct A; x::Int; end\n@export_pyclass A begin\nf() ::Int = 1\nend", "`f` needs the object as its first"),
        ("struct A; x::Int; end\n@export_pyclass A begin\nf(self, x)::Int = 1\nend", "needs a name and a type"),
        ("struct A; x::Int; end\n@export_pyclass A begin\n__base__ = ValueError\nend", "only an exception has"),
        ("struct A; x::Int; end\n@export_pyclass A begin\n1 + 1\nend", "expected lines such as"),
    ],
)
def test_wrong_classes_are_refused(contract, code, message) -> None:
    assert message in refused(code)


def test_a_method_must_take_the_object(contract) -> None:
    code = "module Other\nusing TyPython.CPython\nstruct A; x::Int; end\n@export_py f(n::Int)::Int = n\n"
    jnumpy.exec_julia(f"{code}@export_pyclass A begin\nf\nend\nend")
    with pytest.raises(jnumpy.JuliaError, match="no exported method of `f` takes one as its first argument"):
        jnumpy.exec_julia("Other.Pyclass(Other.A)")

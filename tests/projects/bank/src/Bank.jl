"""
Types as Python classes: an account, shapes, vectors, and what Python does with them.
"""
module Bank

using TyPython.CPython

"Thrown if an account holds less than is wanted."
struct InsufficientFunds <: Exception
    wanted::Float64
    balance::Float64
end

Base.showerror(io::IO, failure::InsufficientFunds) =
    print(io, failure.wanted, " is more than the balance, ", failure.balance)

@export_pyclass InsufficientFunds begin
    __base__ = ValueError
    wanted, balance
end

"""
An account.

    Account("Ada", balance=10.0)
"""
mutable struct Account
    owner::String
    balance::Float64
    history::Vector{Float64}
    listener::Union{Nothing,Py}
end

@export_py open_account(owner::String; balance::Float64 = 0.0)::Account = Account(owner, balance, [balance], nothing)

"Put money in."
@export_py function deposit(account::Account, amount::Float64)::Float64
    account.balance += amount
    push!(account.history, amount)
    return account.balance
end

@export_py function withdraw(account::Account, amount::Float64)::Float64
    amount <= account.balance || throw(InsufficientFunds(amount, account.balance))
    return deposit(account, -amount)
end

@export_py is_empty(account::Account)::Bool = account.balance == 0
@export_py function parse_account(text::String)::Account
    owner, balance = split(text, ':')
    return open_account(String(owner); balance=parse(Float64, balance))
end
@export_py of_class(class::Py, owner::String)::Py = class(owner)
@export_py total(accounts::Vector{Account})::Float64 = sum(Float64[account.balance for account in accounts])
@export_py fullest(accounts::Vector{Account})::Account = accounts[argmax([account.balance for account in accounts])]
@export_py owner_of(account::Union{Nothing,Account})::Union{Nothing,String} = account === nothing ? nothing : account.owner
@export_py same(account::Account)::Account = account
@export_py both(account::Account)::Tuple{Account,Vector{Account}} = (account, [account, account])
@export_py by_name(accounts::Dict{String,Account}, name::String)::Account = accounts[name]
@export_py notify(account::Account)::String = py_coerce(String, py_cast(Py, account).on_notify("paid"))

const KEPT = Account[]
@export_py keep(account::Account)::Nothing = (push!(KEPT, account); nothing)
@export_py kept()::Account = last(KEPT)
@export_py forget()::Nothing = (empty!(KEPT); nothing)

const FINALIZED = Ref(0)
@export_py finalized()::Int = FINALIZED[]
@export_py function watched(owner::String)::Account
    account = open_account(owner)
    finalizer(_ -> FINALIZED[] += 1, account)
    return account
end
@export_py collect_garbage()::Nothing = GC.gc()

@export_pyclass Account begin
    __init__ = open_account
    owner, balance, history
    deposit, withdraw
    empty = property(is_empty)
    parse = staticmethod(parse_account)
    named = classmethod(of_class)
    on_notify(self, event::String)::String = string(self.owner, ": ", event)
    notify
    LIMIT = 1000.0
    __repr__(self)::String = string("Account(", repr(self.owner), ", ", self.balance, ")")
    "How many bookings there are."
    __len__(self)::Int = length(self.history)
    __bool__(self)::Bool = self.balance > 0
    __getitem__(self, index::Int)::Float64 = self.history[index+1]
    __contains__(self, amount::Float64)::Bool = amount in self.history
    __iter__(self)::Vector{Float64} = self.history
    __call__(self, factor::Float64)::Float64 = factor * self.balance
    __exit__ = empty!
    __getstate__(self)::Tuple{String,Float64,Vector{Float64}} = (self.owner, self.balance, self.history)
    __setstate__(state::Tuple{String,Float64,Vector{Float64}})::Account =
        Account(state[1], state[2], copy(state[3]), nothing)
end

Base.empty!(account::Account) = (account.balance = 0.0; account)

"A point of a plane."
struct Point{T<:Real}
    x::T
    y::T
end

Base.:+(a::Point, b::Point) = Point(a.x + b.x, a.y + b.y)
Base.:-(a::Point) = Point(-a.x, -a.y)
Base.isless(a::Point, b::Point) = isless((a.x, a.y), (b.x, b.y))
@export_py scaled(point::Point{Float64}, factor::Float64)::Point{Float64} = Point(factor * point.x, factor * point.y)
@export_py scaled(point::Point{Float64}, other::Point{Float64})::Float64 = point.x * other.x + point.y * other.y
@export_py norm(point::Point)::Float64 = hypot(point.x, point.y)

@export_pyclass AnyPoint = Point begin
    norm
end

@export_pyclass Point2D = Point{Float64} begin
    x, y
    __add__ = +
    __neg__ = -
    __lt__ = isless
    __mul__ = scaled
    __rmul__(self, factor::Float64)::Point{Float64} = scaled(self, factor)
    __abs__ = norm
    scaled
end

@export_pyclass PointInt = Point{Int}

abstract type Shape end
struct Circle <: Shape
    radius::Float64
end
struct Square <: Shape
    side::Float64
    pointer::Ptr{Cvoid}
end
@export_py area(shape::Circle)::Float64 = 3 * shape.radius^2
@export_py area(shape::Square)::Float64 = shape.side^2
@export_py twice_area(shape::Shape)::Float64 = 2 * area(shape)
@export_py square(side::Float64)::Square = Square(side, C_NULL)
@export_py class_of(T::Type{<:Shape})::String = string(nameof(T))

@export_pyclass Shape begin
    twice_area
end
@export_pyclass Circle begin
    radius, area
end
@export_pyclass Square begin
    side, area
    __init__ = square
end

function init()
    @export_pymodule _bank begin
        InsufficientFunds = Pyclass(InsufficientFunds)
        Account = Pyclass(Account)
        AnyPoint = Pyclass(Point)
        Point2D = Pyclass(Point{Float64})
        PointInt = Pyclass(Point{Int})
        Shape = Pyclass(Shape)
        Circle = Pyclass(Circle)
        Square = Pyclass(Square)
        area = Pyfunc(area)
        deposit = Pyfunc(deposit)
        total = Pyfunc(total)
        fullest = Pyfunc(fullest)
        owner_of = Pyfunc(owner_of)
        same = Pyfunc(same)
        both = Pyfunc(both)
        by_name = Pyfunc(by_name)
        keep = Pyfunc(keep)
        kept = Pyfunc(kept)
        forget = Pyfunc(forget)
        watched = Pyfunc(watched)
        finalized = Pyfunc(finalized)
        collect_garbage = Pyfunc(collect_garbage)
        class_of = Pyfunc(class_of)
    end
end

precompile(init, ())

end

# Dates and times: Python's `datetime` and NumPy's datetime64.

import Dates

datetime_class(name::Symbol) = getproperty(py_import("datetime"), name)
is_of(object::Py, name::Symbol) = PyObject_IsInstance(object, datetime_class(name)) == 1
parts(object::Py, names::Symbol...) = map(name -> py_coerce(Int, getproperty(object, name)), names)

function build(::Type{Dates.Date}, object::Py, convert_item)
    # In Python, a `datetime` is a `date`, but it is not accepted as a `Date` here.
    is_of(object, :date) && !is_of(object, :datetime) || expected("a date", object)
    return Dates.Date(parts(object, :year, :month, :day)...)
end

"Rounded down to Julia's milliseconds."
function build(::Type{Dates.DateTime}, object::Py, convert_item)
    is_of(object, :datetime) || expected("a datetime", object)
    # The NaT of pandas is an instance of `datetime`.
    class_name(object) == "NaTType" && misfit(:ValueError, "NaT has no counterpart in Julia")
    is_none(object.tzinfo) ||
        misfit(:ValueError, "a DateTime of Julia has no time zone; pass `x.astimezone(zone).replace(tzinfo=None)`")
    return Dates.DateTime(parts(object, :year, :month, :day, :hour, :minute, :second)..., parts(object, :microsecond)[1] ÷ 1000)
end

function build(::Type{Dates.Time}, object::Py, convert_item)
    is_of(object, :time) || expected("a time", object)
    is_none(object.tzinfo) || misfit(:ValueError, "a Time of Julia has no time zone; pass `x.replace(tzinfo=None)`")
    hour, minute, second, microsecond = parts(object, :hour, :minute, :second, :microsecond)
    return Dates.Time(hour, minute, second, microsecond ÷ 1000, microsecond % 1000)
end

"Periods with a fixed length, which correspond to a `timedelta`."
const FixedPeriod = Union{
    Dates.Week,Dates.Day,Dates.Hour,Dates.Minute,Dates.Second,Dates.Millisecond,Dates.Microsecond,Dates.Nanosecond,
}

nanoseconds(::Type{P}) where {P<:FixedPeriod} = Int128(Dates.value(Dates.Nanosecond(P(1))))

build(::Type{P}, object::Py, convert_item) where {P<:FixedPeriod} = period(P, object)
build(::Type{Dates.Period}, object::Py, convert_item) = period(Dates.Microsecond, object)
build(::Type{Dates.TimePeriod}, object::Py, convert_item) = period(Dates.Microsecond, object)

function period(::Type{P}, object::Py) where {P}
    is_of(object, :timedelta) || expected("a timedelta", object)
    days, seconds, microseconds = parts(object, :days, :seconds, :microseconds)
    count, rest = divrem(((Int128(days) * 86400 + seconds) * 1_000_000 + microseconds) * 1000, nanoseconds(P))
    rest == 0 || misfit(:ValueError, string(object), " is not a whole number of ", P, "s")
    typemin(Int64) <= count <= typemax(Int64) || out_of_range(P, count, "")
    return P(Int64(count))
end

"The units of datetime64 that each type accepts, because it can represent their values exactly."
units(::Type{Dates.DateTime}) = ("h", "m", "s", "ms")
units(::Type{Dates.Date}) = ("D",)

from_number(::Type{Dates.DateTime}, number::Int64) = Dates.DateTime(Dates.UTM(number + Dates.UNIXEPOCH))
from_number(::Type{Dates.Date}, number::Int64) = Dates.Date(Dates.UTD(number + Dates.value(Dates.Date(1970))))

"An array of datetime64, converted."
function from_datetime64(::Type{T}, ::Type{E}, object::Py) where {T,E}
    unit, count = get_numpy().datetime_data(object.dtype)
    last_unit = last(units(E))
    py_coerce(String, unit) in units(E) && py_coerce(Int, count) == 1 || misfit(
        :TypeError, "expected an array of datetime64[", last_unit, "] for ", T, ", got ", string(object.dtype),
        "; pass `x.astype(\"datetime64[", last_unit, "]\")`",
    )
    numbers = read(AbstractArray{Int64}, ARRAY, false, object.astype(string("datetime64[", last_unit, "]")).view("i8"))
    values = Array{E}(undef, size(numbers))
    for (index, number) in enumerate(numbers)
        number == typemin(Int64) && throw(
            misfit_at(G_PyBuiltin.ValueError, string('[', index - 1, ']'), "NaT has no counterpart in Julia"),
        )
        values[index] = from_number(E, number)
    end
    return values
end

py_cast(::Type{Py}, value::Dates.Date) =
    datetime_class(:date)(Dates.year(value), Dates.month(value), Dates.day(value))

py_cast(::Type{Py}, value::Dates.DateTime) = datetime_class(:datetime)(
    Dates.year(value), Dates.month(value), Dates.day(value), Dates.hour(value), Dates.minute(value), Dates.second(value),
    1000 * Dates.millisecond(value),
)

"Rounded down to Python's microseconds."
py_cast(::Type{Py}, value::Dates.Time) = datetime_class(:time)(
    Dates.hour(value), Dates.minute(value), Dates.second(value), 1000 * Dates.millisecond(value) + Dates.microsecond(value),
)

"Rounded down to Python's microseconds."
function py_cast(::Type{Py}, value::FixedPeriod)
    count = fld(Int128(Dates.value(value)) * nanoseconds(typeof(value)), 1000)
    days, rest = fldmod(count, Int128(86_400_000_000))
    return datetime_class(:timedelta)(Int64(days), 0, Int64(rest))
end

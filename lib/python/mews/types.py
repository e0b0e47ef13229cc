"""Values of PostgreSQL's types as values of Python, both ways.

    PostgreSQL                     Python
    bool                           bool
    int2, int4, int8, oid          int
    float4, float8                 float
    numeric                        decimal.Decimal
    text, varchar, char, name      str
    bytea                          bytes
    json, jsonb                    what json.loads() makes; dict, or Json(...)
    date, time, timetz             datetime.date, datetime.time
    timestamp, timestamptz         datetime.datetime, without and with tzinfo
    interval                       datetime.timedelta
    uuid                           uuid.UUID
    inet                           ipaddress.ip_address, or ip_interface
    cidr                           ipaddress.ip_network
    arrays of these                list
    ranges of these                Range
    all others                     str

A parameter takes the type that the server expects where it stands. Where
nothing tells the type ("select $1"), it is text: write "$1::int". The values
infinity, 24:00 and years outside of 1 to 9999 raise a DecodeError: cast them
to text. A timedelta has no months: a month counts as 30 days, a year as 365.
"""

import datetime
import decimal
import enum
import ipaddress
import json
import uuid

from . import _mews


class Range:
    """A range: lower and upper bound, None where there is none.

    bounds is "[)" or the like; empty is True for a range of nothing.
    """

    __slots__ = ("lower", "upper", "bounds", "empty")

    def __init__(self, lower=None, upper=None, bounds="[)", empty=False):
        if bounds not in ("[)", "(]", "[]", "()"):
            raise ValueError(f"bounds are [), (], [] or (), not {bounds!r}")
        self.lower = lower
        self.upper = upper
        self.bounds = bounds
        self.empty = empty

    def __eq__(self, other):
        if not isinstance(other, Range):
            return NotImplemented
        if self.empty or other.empty:
            return self.empty == other.empty
        return (self.lower, self.upper, self.bounds) == (
            other.lower, other.upper, other.bounds)

    def __hash__(self):
        return hash("empty" if self.empty else
                    (self.lower, self.upper, self.bounds))

    def __repr__(self):
        if self.empty:
            return "Range(empty=True)"
        return f"Range({self.lower!r}, {self.upper!r}, {self.bounds!r})"

    def __contains__(self, value):
        if self.empty:
            return False
        if self.lower is not None and not (
                value > self.lower or
                value == self.lower and self.bounds[0] == "["):
            return False
        return self.upper is None or value < self.upper or (
            value == self.upper and self.bounds[1] == "]")


class Json:
    """A value to be sent as json or jsonb; needed for all but a dict."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


def _interval(value):
    return (f"{value.days} days {value.seconds} seconds "
            f"{value.microseconds} microseconds")


def _item(value):
    """The text of one value inside of an array."""
    if value is None:
        return "NULL"
    if isinstance(value, (list, tuple)):
        return _array(value)
    if value is True or value is False:
        return "t" if value else "f"
    if type(value) in (int, float):
        return str(value)
    text = _mews._dump(value)
    if isinstance(text, bytes):
        text = "\\x" + text.hex()
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(value):
    return "{" + ",".join(map(_item, value)) + "}"


def _bound(value):
    if value is None:
        return ""
    text = _mews._dump(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '""') + '"'


def _range(value):
    if value.empty:
        return "empty"
    return (value.bounds[0] + _bound(value.lower) + "," +
            _bound(value.upper) + value.bounds[1])


_dumpers = {
    bool: lambda value: "t" if value else "f",
    int: lambda value: str(int(value)),
    float: lambda value: repr(float(value)),
    str: lambda value: str.__str__(value),
    bytes: bytes,
    bytearray: bytes,
    memoryview: bytes,
    decimal.Decimal: str,
    datetime.date: str,
    datetime.time: str,
    datetime.datetime: str,
    datetime.timedelta: _interval,
    uuid.UUID: str,
    ipaddress.IPv4Address: str,
    ipaddress.IPv6Address: str,
    ipaddress.IPv4Interface: str,
    ipaddress.IPv6Interface: str,
    ipaddress.IPv4Network: str,
    ipaddress.IPv6Network: str,
    dict: json.dumps,
    Json: lambda value: json.dumps(value.value),
    list: _array,
    tuple: _array,
    Range: _range,
}


def dump(value):
    """The text or bytes of a parameter; used by the extension."""
    cls = type(value)
    dumper = _dumpers.get(cls)
    if dumper is None:
        if isinstance(value, enum.Enum):
            return _mews._dump(value.value)
        for base in cls.__mro__:
            dumper = _dumpers.get(base)
            if dumper is not None:
                break
        else:
            raise TypeError(
                f"a parameter of type {cls.__qualname__} is not known: give "
                f"a str, or mews.register_type(python={cls.__qualname__}, "
                "dump=...)")
        _dumpers[cls] = dumper
    return dumper(value)


def register_type(oid=None, load=None, *, python=None, dump=None):
    """Teach a type to this process, before it is met for the first time.

    oid, load     load(text) makes a value of the type with this OID
                  ("select 'mood'::regtype::oid")
    python, dump  dump(value) makes text, or bytes, of a value of this class
    """
    if (oid is None) != (load is None) or (python is None) != (dump is None):
        raise TypeError("oid goes with load, and python with dump")
    if oid is not None:
        _mews._register(oid, load)
    if python is not None:
        _dumpers[python] = dump

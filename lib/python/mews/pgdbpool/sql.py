"""Convert SQL with %s and %(name)s to SQL with $1, or with values in it."""

import datetime
import decimal
import re

from .. import _mews
from ..types import Json

# Words in front of a placeholder that stands for a whole value. Behind any
# other word it is the text of a constant, as in: interval %s.
_BEFORE_VALUES = frozenset("""
    all and any array as asc between both by case cast collate cross current
    default desc distinct do else end escape except fetch filter first
    following for from full group having ilike in inner intersect into is
    isnull join last lateral leading left like limit natural next not notnull
    nulls offset on or order outer over overlaps partition placing preceding
    range returning right rows select set similar some symmetric table then to
    trailing union unknown using values when where window with
""".split())

# Statements that can have parameters.
_BIND = frozenset("select insert update delete with values merge".split())

_tokens = re.compile(
    r"""(?P<skip>--[^\n]*|/\*.*?\*/)"""
    r"""|(?P<quoted>"[^"]*")"""
    r"""|(?P<word>[A-Za-z_\x80-\U0010ffff][\w$]*)"""
    r"""|(?P<place>%s|%\([^)]*\)s|%%)""", re.DOTALL)


class Template:
    """One text with placeholders: the pieces between them, and whether they
    may be bound."""

    def __init__(self, text):
        self.parts = []
        self.keys = []  # names, or None
        self.bind = []
        first, last, at, start = None, None, 0, 0
        pending = ""
        for match in _tokens.finditer(text):
            between = text[at:match.start()].strip()
            at = match.end()
            if match["skip"] is not None:
                continue
            if between:
                last = None
            if match["word"] is not None:
                last = match["word"].lower()
                first = first or last
            elif match["quoted"] is not None:
                last = None
            elif match["place"] == "%%":
                pending += text[start:match.start()] + "%"
                start = match.end()
                last = None
            else:
                place = match["place"]
                self.parts.append(pending + text[start:match.start()])
                pending = ""
                start = match.end()
                self.keys.append(place[2:-2] if place != "%s" else None)
                # "'x' is null" has a type, "$1 is null" has none.
                rest = text[start:start + 20].lstrip().lower()
                self.bind.append(
                    first in _BIND and
                    (last is None or last in _BEFORE_VALUES) and
                    not rest.startswith(("is ", "is\n", "isnull")))
                last = None
        self.end = pending + text[start:]

    def values(self, params):
        """The params, in the order of their placeholders."""
        if isinstance(params, dict):
            return [params[key] for key in self.keys]
        if any(key is not None for key in self.keys):
            raise TypeError("%(name)s needs a dict of parameters")
        params = list(params)
        if len(params) != len(self.keys):
            raise TypeError(f"{len(self.keys)} placeholders, but "
                            f"{len(params)} parameters")
        return params


def quote(value, literal):
    """A value as a constant of SQL.

    literal quotes a str: Lease.quote_literal, which follows libpq's rules.
    """
    def inner(item):
        return quote(item, literal)
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if hasattr(value, "getquoted"):  # psycopg2's adapters have this
        quoted = value.getquoted()
        return quoted.decode() if isinstance(quoted, bytes) else quoted
    if isinstance(value, tuple):
        return "(" + ", ".join(map(inner, value)) + ")"
    if isinstance(value, list):
        return "ARRAY[" + ", ".join(map(inner, value)) + "]" if value \
            else "'{}'"
    text = _mews._dump(value)
    if isinstance(text, bytes):
        return "'\\x" + text.hex() + "'::bytea"
    if type(value) in (int, float, decimal.Decimal):
        finite = text.lstrip("-")[:1].isdigit()
        # Without the blank, "-%s" with a negative number would be a comment.
        return (" " + text if text.startswith("-") else text) if finite \
            else f"'{text}'::float8"
    return literal(text) + cast(value)


def cast(value):
    """The type that psycopg2 writes behind the constant, if any."""
    kind = type(value)
    if kind is bool:
        return "::bool"
    if kind is int:
        return "::int4" if -2**31 <= value < 2**31 else "::int8" \
            if -2**63 <= value < 2**63 else "::numeric"
    if kind is float:
        return "::numeric" if value - value == 0 else "::float8"
    if kind is decimal.Decimal:
        return "::numeric"
    if kind in (bytes, bytearray, memoryview):
        return "::bytea"
    if kind is datetime.datetime:
        return "::timestamptz" if value.tzinfo else "::timestamp"
    if kind is datetime.date:
        return "::date"
    if kind is datetime.time:
        return "::timetz" if value.tzinfo else "::time"
    if kind is datetime.timedelta:
        return "::interval"
    return ""


def plain(value):
    """Is the value bound as it is, without an adapter of its own?"""
    return not hasattr(value, "getquoted")


class Statement:
    """SQL and the values that are bound to it; for literal see quote()."""

    def __init__(self, template, params, bind, literal):
        self._literal = literal
        self.bound = []
        self.guessed = False  # must the server find a type?
        text = []
        for part, wanted, value in zip(template.parts, template.bind,
                                       template.values(params)):
            text.append(part)
            text.append(self._put(value) if bind and wanted
                        else quote(value, literal))
        text.append(template.end)
        self.text = "".join(text)

    def _put(self, value):
        if value is None or not plain(value):
            return quote(value, self._literal)
        if isinstance(value, tuple):
            return "(" + ", ".join(map(self._put, value)) + ")"
        # psycopg2's Json and the like
        if not isinstance(value, Json) and hasattr(value, "adapted") and \
                hasattr(value, "dumps"):
            value = value.dumps(value.adapted)
        self.bound.append(value)
        kind = cast(value)
        self.guessed = self.guessed or not kind
        return f"${len(self.bound)}{kind}"

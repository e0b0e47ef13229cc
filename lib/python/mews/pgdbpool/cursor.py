"""Connections, cursors and rows as callers of psycopg2 use them."""

from typing import Any, NamedTuple

from .. import errors
from .sql import Statement, Template

_TEMPLATES_MAX = 2000
# psycopg2 leaves uuid, inet and cidr as they are.
_TEXTS = (2950, 869, 650)


class DBConnectionError(Exception):
    """The configuration is wrong, or no connection can be had."""


class DBOfflineError(DBConnectionError):
    """No database can be reached, or none has a connection left."""


class DBQueryError(Exception):
    """A query, or a commit, failed.

    status, sqlstate and may_resend are those of mews.Error, which is the
    __cause__.
    """

    status = "INVALID"
    sqlstate = ""
    may_resend = False


class UnconfiguredGroupError(Exception):
    """The configuration has no such group."""


def query_error(error):
    """The exception to raise for a mews.Error."""
    if isinstance(error, (errors.Unavailable, errors.Waited,
                          errors.Overload)):
        raised = DBOfflineError(error.message)
    else:
        raised = DBQueryError(repr(error))
    raised.status = error.status
    raised.sqlstate = error.sqlstate
    raised.may_resend = error.may_resend
    return raised


class Column(NamedTuple):
    """One column of cursor.description."""

    name: str
    type_code: int
    display_size: Any = None
    internal_size: Any = None
    precision: Any = None
    scale: Any = None
    null_ok: Any = None


class DictRow(list):
    """A row: a list whose items have names, too."""

    __slots__ = ("_index",)

    def __init__(self, values, index):
        super().__init__(values)
        self._index = index

    def __getitem__(self, at):
        if isinstance(at, str):
            at = self._index[at]
        return list.__getitem__(self, at)

    def __setitem__(self, at, value):
        if isinstance(at, str):
            at = self._index[at]
        list.__setitem__(self, at, value)

    def __contains__(self, name):
        return name in self._index

    def get(self, name, default=None):
        return self[name] if name in self._index else default

    def keys(self):
        return iter(self._index)

    def values(self):
        return iter(self)

    def items(self):
        return ((name, self[name]) for name in self._index)

    def copy(self):
        return dict(self.items())

    def __reduce__(self):
        return DictRow, (list(self), self._index)


class Cursor:
    """The result of a query."""

    arraysize = 1

    def __init__(self, connection):
        self.connection = connection
        self.query = None
        self.closed = False
        self._clear()

    def _clear(self):
        self.rowcount = -1
        self.description = None
        self._rows = None
        self._index = {}
        self._texts = ()
        self.rownumber = 0

    def execute(self, statement, params=None):
        """Run SQL with %s or %(name)s; without params, % is a plain
        character."""
        if self.closed:
            raise DBQueryError("the cursor is closed")
        self._clear()
        self.query = statement
        rows = self.connection._run(statement, params)
        self.rowcount = rows.rowcount
        if rows.columns:
            self.description = tuple(map(Column, rows.columns, rows.types))
            self._index = {}
            for number, name in enumerate(rows.columns):
                self._index.setdefault(name, number)
            self._texts = [number for number, oid in enumerate(rows.types)
                           if oid in _TEXTS]
            self._rows = rows

    def executemany(self, statement, many):
        """Run a statement once for each params of many."""
        count = 0
        for params in many:
            self.execute(statement, params)
            count += self.rowcount
        self.rowcount = count

    def callproc(self, name, params=()):
        """select * from name(params...)"""
        params = list(params or ())
        places = ", ".join(["%s"] * len(params))
        name = name.replace("%", "%%")
        self.execute(f"select * from {name}({places})", params)
        return params

    def _all(self):
        if self._rows is None:
            raise DBQueryError("no results to fetch")
        return self._rows

    def _take(self, count):
        rows = self._all()[self.rownumber:self.rownumber + count]
        self.rownumber += len(rows)
        taken = [DictRow(row, self._index) for row in rows]
        for number in self._texts:
            for row in taken:
                if row[number] is not None:
                    row[number] = str(row[number])
        return taken

    def fetchone(self):
        """The next row, or None at the end."""
        rows = self._take(1)
        return rows[0] if rows else None

    def fetchmany(self, size=None):
        """The next rows, `size` at most."""
        return self._take(self.arraysize if size is None else size)

    def fetchall(self):
        """All rows that were not fetched yet."""
        return self._take(len(self._all()))

    def __iter__(self):
        while (row := self.fetchone()) is not None:
            yield row

    def scroll(self, value, mode="relative"):
        """Move the position among the rows."""
        at = value + (self.rownumber if mode == "relative" else 0)
        if not 0 <= at < max(len(self._all()), 1):
            raise IndexError("there is no such row")
        self.rownumber = at

    def close(self):
        self.closed = True
        self._rows = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


class ConnectionRef:
    """The connection of a Handler, with the interface of psycopg2."""

    _templates = {}  # dict: text to Template
    _settled = {}    # dict: text with $1 to whether it may be bound

    def __init__(self, lease, autocommit):
        self._lease = lease
        self.autocommit = autocommit
        self._open = False  # is there a transaction with work in it?

    def cursor(self, *_, **__):
        """A Cursor, whose rows are always DictRow."""
        return Cursor(self)

    def commit(self):
        """Commit what was done since the last commit."""
        if self._open:
            self._open = False
            try:
                self._lease.commit()
            except errors.Error as error:
                raise query_error(error) from error

    def rollback(self):
        """Undo what was done since the last commit."""
        if self._open:
            self._open = False
            try:
                self._lease.rollback()
            except errors.Error as error:
                raise query_error(error) from error

    @classmethod
    def _template(cls, text):
        template = cls._templates.get(text)
        if template is None:
            if len(cls._templates) >= _TEMPLATES_MAX:
                cls._templates.clear()
            template = cls._templates[text] = Template(text)
        return template

    def _statement(self, template, params, bind):
        return Statement(template, params, bind, self._lease.quote_literal)

    def _run(self, text, params):
        if isinstance(text, bytes):
            text = text.decode()
        try:
            if params is None:
                return self._query(text, ())
            template = self._template(text)
            statement = self._statement(template, params, True)
            if not statement.guessed:
                return self._query(statement.text, statement.bound)
            settled = self._settled.get(statement.text)
            if settled is None:
                return self._settle(template, params, statement)
            if not settled:
                statement = self._statement(template, params, False)
            return self._query(statement.text, statement.bound)
        except errors.Error as error:
            raise query_error(error) from error
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise DBQueryError(repr(error)) from error

    def _query(self, text, bound):
        self._open = not self.autocommit
        return self._lease.query(text, *bound)

    def _settle(self, template, params, statement):
        """At the first run of a text: does the server find the types? If not,
        the values become part of the SQL, and the transaction goes on."""
        save = not self.autocommit
        if save:
            self._lease.savepoint("mews_types")
            self._open = True
        try:
            rows = self._query(statement.text, statement.bound)
        except errors.SQLError as error:
            # Class 42: the server may have found no type for a parameter.
            if error.sqlstate[:2] != "42":
                raise
            if save:
                self._lease.rollback_to("mews_types")
            quoted = self._statement(template, params, False)
            rows = self._query(quoted.text, quoted.bound)
            self._remember(statement.text, False)
        else:
            self._remember(statement.text, True)
        if save:
            self._lease.release("mews_types")
        return rows

    @classmethod
    def _remember(cls, text, settled):
        if len(cls._settled) >= _TEMPLATES_MAX:
            cls._settled.clear()
        cls._settled[text] = settled

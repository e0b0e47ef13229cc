"""The exceptions by which queries end.

The first question after an error is "may I send it again?"; may_resend
answers it: it is True if the query certainly changed nothing, as it never
ran, or the server undid it. The classes:

Error
    SQLError              the server refused it: see sqlstate
        IntegrityError        class 23
        DataError             class 22
        ProgrammingError      class 42; 08P01: a number of parameters
        TransactionConflict   class 40: run the transaction again
        ReadOnlyError         25006
    NotSent               certainly not run by any server
        Unavailable           no endpoint can be used
        Overload              the queue is full
        Waited                no connection became free in time
        Invalid               a mistake of the caller
        NoMemory
    Timeout               cancelled by the server, and undone
    Undone                lost before its COMMIT was sent; not committed
    Lost                  the connection was lost; outcome unknown
    Partly                an error after a part may have been committed
    TooLarge              it ran; the answer could not be kept
    Canceled              given up by the caller
    SystemFailure         a system call failed
    DecodeError           a value that Python cannot hold
"""


class Error(Exception):
    """The base of all. Attributes:

    status      the name of the status: "SQL", "LOST", ...
    sqlstate    five characters, "" if the server gave none
    message     one sentence
    may_resend  True: the query changed nothing, so it may be sent again
    endpoint    the endpoint that the query was last sent to, or ""
    detail, hint, constraint
                as the server gave them, or ""
    """

    status = "INVALID"
    sqlstate = ""
    may_resend = False
    endpoint = ""
    detail = ""
    hint = ""
    constraint = ""

    @property
    def message(self):
        return self.args[0] if self.args else ""


class SQLError(Error):
    """The server refused the query, or failed to run it."""

    status = "SQL"


class IntegrityError(SQLError):
    """Class 23: a constraint is violated; see the attribute constraint."""


class DataError(SQLError):
    """Class 22: a value that the server cannot accept."""


class ProgrammingError(SQLError):
    """Class 42: the SQL is wrong, or not allowed; 08P01: it has another number
    of parameters than were given."""


class TransactionConflict(SQLError):
    """Class 40: serialization failure or deadlock. Run the whole
    transaction again."""


class ReadOnlyError(SQLError):
    """25006: a write in a read-only session or transaction."""


class NotSent(Error):
    """Certainly never run by a server."""


class Unavailable(NotSent):
    """No endpoint can be used."""

    status = "UNAVAILABLE"


class Overload(NotSent):
    """The group's queue is full."""

    status = "OVERLOAD"


class Waited(NotSent):
    """No connection became free in time."""

    status = "WAITED"


class Invalid(NotSent):
    """A mistake of the caller."""

    status = "INVALID"


class NoMemory(NotSent):
    """Out of memory."""

    status = "NOMEM"


class Timeout(Error):
    """The query took longer than query_timeout: the server cancelled and undid
    it."""

    status = "TIMEOUT"


class Undone(Error):
    """The connection was lost inside a transaction whose COMMIT was never
    sent: nothing of it was committed."""

    status = "UNDONE"


class Lost(Error):
    """The connection was lost after sending: the query may have been done."""

    status = "LOST"


class Partly(Error):
    """An error of a statement that may have committed on its way."""

    status = "PARTLY"


class TooLarge(Error):
    """The query ran, and the answer could not be kept."""

    status = "TOO_LARGE"


class Canceled(Error):
    """Given up by the caller, or the pool was closed. If endpoint is not
    empty, the query had been sent, and its outcome is unknown."""

    status = "CANCELED"


class SystemFailure(Error):
    """A system call failed."""

    status = "SYSTEM"


class DecodeError(Error, ValueError):
    """The query ended well, but Python cannot hold a value of its result."""

    status = "OK"


_by_status = {
    cls.status: cls
    for cls in (SQLError, Unavailable, Overload, Waited, Invalid, NoMemory,
                Timeout, Undone, Lost, Partly, TooLarge, Canceled,
                SystemFailure)
}
_by_class = {
    "23": IntegrityError,
    "22": DataError,
    "42": ProgrammingError,
    "40": TransactionConflict,
}


def make(status, sqlstate, message, undone, endpoint, detail, hint,
         constraint):
    """The exception for an error of libmews; used by the extension."""
    cls = _by_status.get(status, Error)
    if cls is SQLError:
        cls = _by_class.get(sqlstate[:2], SQLError)
        if sqlstate == "25006":
            cls = ReadOnlyError
        elif sqlstate == "08P01":
            cls = ProgrammingError
    error = cls(message)
    error.status = status
    error.sqlstate = sqlstate
    # 40003, statement_completion_unknown: not certainly undone.
    error.may_resend = undone and sqlstate != "40003"
    error.endpoint = endpoint
    error.detail = detail
    error.hint = hint
    error.constraint = constraint
    return error

"""Other drivers skip dead servers, too: psycopg, SQLAlchemy, Django.

    choice = fleet.choose(role="standby", max_lag=1)
    try:
        connection = psycopg.connect(choice.conninfo, connect_timeout=3)
    except psycopg.OperationalError as error:
        fleet.report(choice, error)
        raise
    fleet.report(choice)

The fleet needs a process that probes, see Fleet.monitor(). Examples for each
are in lib/python/examples.
"""

import typing


class Choice(typing.NamedTuple):
    """A server that is usable now, see Fleet.choose().

    endpoint    its name
    role        "primary", "standby", "readonly", or "unknown"
    lag         how many seconds it is behind; None: not known
    conninfo    for drivers that use libpq
    parameters  the same as a dict: host, hostaddr, port, user, ...
    """

    endpoint: str
    role: str
    lag: typing.Optional[float]
    conninfo: str
    parameters: typing.Dict[str, str]


# SQLSTATEs by which a server, or a pooler before it, ends connections.
_ENDS = ("08", "57P01", "57P02", "57P03")


def is_evidence(error):
    """Is @error of a driver, or its cause, evidence against the server?

    OSError and OperationalError are, unless a SQLSTATE says that a server
    answered: a query that was wrong or too slow is not the server's fault.
    """
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        state = (getattr(error, "sqlstate", None) or
                 getattr(error, "pgcode", None))
        if isinstance(state, str):
            return state.startswith(_ENDS)
        if isinstance(error, OSError):
            return True
        inner = getattr(error, "orig", None) or error.__cause__
        if inner is None:
            return any(base.__name__ == "OperationalError"
                       for base in type(error).__mro__)
        error = inner
    return False

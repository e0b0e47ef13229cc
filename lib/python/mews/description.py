"""Types of a statement's parameters and columns."""

from typing import NamedTuple


class Column(NamedTuple):
    """A column that a statement gives.

    name      its name
    type      the OID of its type
    modifier  of that type, such as the length of a varchar(n); -1: none
    """

    name: str
    type: int
    modifier: int = -1


class Description(NamedTuple):
    """A statement, as Pool.describe() and Lease.describe() find it.

    parameters  the OIDs of the types of $1, $2, ..
    columns     a Column each; empty if the statement gives no rows
    """

    parameters: tuple
    columns: tuple


def make(parameters, columns):
    return Description(parameters, tuple(map(Column._make, columns)))

"""Messages of a server beside its answers."""

from typing import NamedTuple


class Notice(NamedTuple):
    """A NOTICE, a WARNING or the like, as far as the session's
    client_min_messages lets it pass.

    severity  "NOTICE", "WARNING", "INFO", "LOG", "DEBUG"
    """

    severity: str
    sqlstate: str
    message: str
    detail: str = ""
    hint: str = ""
    context: str = ""
    endpoint: str = ""

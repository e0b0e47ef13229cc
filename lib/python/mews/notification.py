"""mews.Notification: what is heard on a channel."""

from typing import NamedTuple, Optional


class Notification(NamedTuple):
    """A message of a channel, or an event: "message", "listening", "lost" or
    "missed"."""

    event: str
    channel: str
    payload: Optional[str] = None
    sender: int = 0
    endpoint: Optional[str] = None

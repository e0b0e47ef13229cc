"""The part of a session that does not wait: blocking.py and aio.py add calls."""


class Held:
    """A connection that is held exclusively, by a statement like `with`."""

    _begun_by = "with"

    def __getattr__(self, name):
        if name == "_lease":
            raise RuntimeError(f"this {type(self).__name__} has not begun: "
                               f"it does so in a `{self._begun_by}`")
        raise AttributeError(f"a {type(self).__name__} has no {name!r}")

    def _use(self, lease):
        self._lease = lease
        # The calls of libmews, without a call of Python in between.
        self.query = lease.query
        self.execute = lease.execute
        self._depth = 0

    @property
    def endpoint(self):
        """The name of the endpoint that the connection leads to."""
        return self._lease.endpoint

    def quote_literal(self, text):
        """A str as a constant of SQL, where no parameter can stand."""
        return self._lease.quote_literal(text)

    def quote_identifier(self, name):
        """A str as a name: of a table, a column, a role."""
        return self._lease.quote_identifier(name)

    def on_notice(self, handler):
        """Call handler(Notice) for each notice of this lease; None: call the
        handler of the pool. Exceptions of the handler are reported on
        stderr."""
        self._lease.on_notice(handler)

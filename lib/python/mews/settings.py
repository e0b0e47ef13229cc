"""A fleet's configuration as a dict: the language of mews.conf(5), without
its file.

    {"instance": "shop", "workers": 8,
     "endpoints": {"a": "host=10.0.0.1 dbname=shop",
                   "b": {"conninfo": "host=10.0.0.2 dbname=shop",
                         "max_connections": 50}},
     "groups": {"read": {"role": "prefer-standby", "query_timeout": "2s"},
                "write": {"role": "primary"}},
     "health": {"interval": "500ms"}}

Keys and values are those of mews.conf; durations and sizes are texts with
their units, as there.
"""

_plain = ("instance", "workers")


def _quote(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        if "\0" in value or "\n" in value:
            raise ValueError("a configuration has no line ends in its texts")
        if "'" not in value and "\\" not in value:
            return f"'{value}'"
        text = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + text.replace("$", "\\$") + '"'
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(map(_quote, value)) + "}"
    raise TypeError(f"{value!r} in a configuration: str, int, bool and list "
                    "are possible; durations are texts, \"5s\"")


def _section(lines, head, settings):
    if not isinstance(settings, dict):
        raise TypeError(f"{head} is a dict, not {settings!r}")
    lines.append(head + " {")
    lines += [f"\t{key} = {_quote(value)}" for key, value in settings.items()]
    lines.append("}")


def text(settings):
    """The text of a mews.conf that says the same."""
    lines = []
    for key, value in settings.items():
        if key in ("endpoints", "groups") and not isinstance(value, dict):
            raise TypeError(f"{key} is a dict of them by name, not {value!r}")
        if key == "endpoints":
            for name, endpoint in value.items():
                if isinstance(endpoint, str):
                    endpoint = {"conninfo": endpoint}
                elif not isinstance(endpoint, dict):
                    raise TypeError(f"endpoint {name!r} is a conninfo or a "
                                    f"dict, not {endpoint!r}")
                _section(lines, f"endpoint {_quote(str(name))}", endpoint)
        elif key == "groups":
            for name, group in value.items():
                _section(lines, f"group {_quote(str(name))}", group or {})
        elif key == "health":
            _section(lines, "health", value)
        elif key in _plain:
            lines.append(f"{key} = {_quote(value)}")
        else:
            raise ValueError(f"a fleet has no {key!r}: it has instance, "
                             "workers, endpoints, groups and health")
    return "\n".join(lines) + "\n"

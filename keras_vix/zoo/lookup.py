"""Names to things, or an error that helps."""

from .. import checks


def lookup(table: dict, name, what: str):
    """The entry `name` of `table`; a class given in place of a name is taken as it is.

    Raises:
        TypeError: if `name` is neither.
        ValueError: if it is unknown; the message shows the nearest names and all of them.
    """
    if isinstance(name, type):
        return name
    if not isinstance(name, str):
        raise TypeError(f"The name of a {what} must be a string. Received: {what}={name!r}.")
    if name not in table:
        raise ValueError(f"Unknown {what} {name!r}.{checks.near(name, table, '')} Known: {', '.join(table)}.")
    return table[name]

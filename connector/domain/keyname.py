"""The name of a key: it has to be a true name below the sender's zone."""

import re

MAX_NAME = 253

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


def is_below_zone(key_id: str, zone: str) -> bool:
    """Tell whether `key_id` is a proper DNS name strictly below `zone` (one trailing dot is allowed).

    Letters, digits, hyphens and underscores only, so that nothing can be smuggled into a look-up or a log.
    """
    name = key_id.removesuffix(".").lower()
    suffix = "." + zone.strip(".").lower()
    if len(name) > MAX_NAME or not name.endswith(suffix) or suffix == ".":
        return False
    return all(_LABEL.fullmatch(label) for label in name.split("."))

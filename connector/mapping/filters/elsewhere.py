"""Names that people bring from other languages, for the hint when there is no such filter."""

from collections.abc import Mapping
from typing import Final

ELSEWHERE: Final[Mapping[str, str]] = {
    "capitalize": "title or proper_name",
    "format": "~ to join texts",
    "sprintf": "~ to join texts",
    "float": "number",
    "string": "text",
    "str": "text",
    "strip": "trim",
    "lowercase": "lower",
    "uppercase": "upper",
    "d": "default",
    "strftime": "format_date",
    "safe": "leaving it out",
    "escape": "leaving it out",
    "e": "leaving it out",
    "map": "lookup_each",
    "select": "a condition in `when`",
    "reject": "a condition in `when`",
    "sum": "+",
    "count": "length",
    "size": "length",
    "phone": "e164",
    "boolean": "bool",
    "integer": "int",
    "regex_replace": "replace, or lookup",
    "re_sub": "replace, or lookup",
    "match": "starts_with, ends_with or in",
    "tojson": "to_json",
    "md5": "sha256",
    "sha1": "sha256",
    "hash": "sha256",
    "substr": "slice",
    "substring": "slice",
    "concat": "~ to join texts",
    "striptags": "strip_tags",
    "now": "time",
    "today": "time | date",
}
"""By name in lower case: what it is called here."""

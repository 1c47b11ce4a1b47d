"""ruamel.yaml's own events, sooner: the same parser with its busiest loops done in one step.

Reading 200 mapping files is most of the time that the connector takes to start. A test holds events, places and errors
against those of the parser as it comes.
"""

import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.parser import Parser
from ruamel.yaml.reader import Reader
from ruamel.yaml.scanner import Scanner
from ruamel.yaml.tokens import ScalarToken

_BETWEEN = re.compile(r"(?: *(?:#[^\0\r\n\x85\u2028\u2029\ufeff]*)?\n)+")
"""Empty lines and comments; what else can stand between tokens is left to the parser itself."""

_PLAIN = re.compile(r"[\w.|()/'\"~=+*!-]+(?: +[\w.|()/'\"~=+*!-]+)*(?=(:[ \n])?)", re.ASCII)


def events(text: str) -> Any:
    """Return the events of a text, one after the other. Raises YAMLError on the way."""
    parser = YAML(typ="safe", pure=True)
    parser.Reader, parser.Scanner, parser.Parser = _Reader, _Scanner, _Parser
    return parser.parse(text)


class _Reader(Reader):
    def forward(self, length: int = 1) -> None:
        """Go on by so many characters: at once if none of them ends a line or has no width."""
        end = self.pointer + length
        if end + 1 < len(self.buffer) and self.buffer[self.pointer : end].isprintable():
            self.pointer = end
            self.index += length
            self.column += length
        else:
            super().forward(length)

    def skip_between(self) -> bool:
        """Pass over empty lines and comments."""
        found = _BETWEEN.match(self.buffer, self.pointer)
        if found is None:
            return False
        length = found.end() - self.pointer
        self.pointer += length
        self.index += length
        self.line += found[0].count("\n")
        self.column = 0
        return True


class _Scanner(Scanner):
    _looked: int | None = None  # for which `tokens_taken` there is nothing more to fetch

    def reset_scanner(self) -> None:
        self._looked = None
        super().reset_scanner()

    def _fetch(self) -> bool:
        if self._looked != self.tokens_taken or not self.tokens:
            while self.need_more_tokens():
                self.fetch_more_tokens()
            self._looked = self.tokens_taken
        return bool(self.tokens)

    def check_token(self, *choices: Any) -> bool:
        return self._fetch() and (not choices or isinstance(self.tokens[0], choices))

    def peek_token(self) -> Any:
        return self.tokens[0] if self._fetch() else None

    def get_token(self) -> Any:
        if not self._fetch():
            return None
        self.tokens_taken += 1
        return self.tokens.pop(0)

    def stale_possible_simple_keys(self) -> None:
        if self.possible_simple_keys:
            super().stale_possible_simple_keys()

    def scan_to_next_token(self) -> Any:
        if self.reader.skip_between() and not self.flow_context:
            self.allow_simple_key = True
        return super().scan_to_next_token()

    def scan_plain(self) -> Any:
        """Take a text without quotes in one step, if it is of common characters and ends on its line."""
        reader = self.reader
        found = _PLAIN.match(reader.buffer, reader.pointer)
        if found is None:
            return super().scan_plain()
        ends: str = reader.buffer[found.end()]
        if not (ends in " \n" or (ends in ",]}" and self.flow_context) or found[1]):
            return super().scan_plain()
        begin = (reader.pointer, reader.index, reader.line, reader.column, self.allow_simple_key)
        start, length = reader.get_mark(), found.end() - reader.pointer
        self.allow_simple_key = False
        reader.pointer += length
        reader.index += length
        reader.column += length
        end = reader.get_mark()
        if ends in " \n":
            indent = self.indent + 1
            spaces = self.scan_plain_spaces(indent, start)
            goes_on = spaces and reader.peek() != "#" and (self.flow_context or reader.column >= indent)
            if goes_on or (spaces and spaces[0] == "\n"):
                reader.pointer, reader.index, reader.line, reader.column, self.allow_simple_key = begin
                return super().scan_plain()
        return ScalarToken(found[0], True, start, end)


class _Parser(Parser):
    scanner: Any = None
    resolver: Any = None

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        self.scanner = loader.scanner
        self.resolver = loader.resolver

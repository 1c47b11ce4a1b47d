"""What is wrong in a file is said at its place, in words that help."""

import re
from pathlib import Path

import pytest

from connector.files.document import MAX_BYTES, parse, read
from connector.files.problem import ProblemsError

QUOTES = "try quotes around the whole value"
TAB = "a tab stands where YAML takes spaces only; try two spaces for each level"
MISFIT = "the indentation does not fit the lines above; try the column of the key it stands beside"
LEFT = "something is left over at the end of this line; try a line for each key"

YAML = [
    # what people write, and the line they get
    ("", "1:1: the file is empty"),
    ("# only a comment\n", "1:1: the file is empty"),
    (
        "- a\n- b\n",
        "1:1: the file has to consist of keys with values, but it is a list; try `key: value`, with a blank after the colon",
    ),
    (
        "# x\na:b\n",
        "2:1: the file has to consist of keys with values, but it is a single value; try `key: value`, with a blank after the colon",
    ),
    ("a:\n\tb: 1\n", f"2:1: {TAB}"),
    ("a:\n  b: 1\n\tc: 2\n", f"3:1: {TAB}"),
    ("a\nb: 1\n", "1:1: a colon is missing after `a`; try `key: value`"),
    ("a: 1\nb 2\nc: 3\n", "2:1: a colon is missing after `b 2`; try `key: value`"),
    ("a: 1\npassword hunter2\nc: 3\n", "2:1: a colon is missing after `…`; try `key: value`"),
    ("a: b: c\n", f"1:5: a second `: ` stands in this line; {QUOTES}"),
    ("a:\n  b: 1\n c: 2\n", f"3:2: {MISFIT}"),
    (
        "a: 1\n  b: 2\n",
        "2:3: this is indented, but the key above it has a value already; try the indentation of the line above",
    ),
    ("a: x\nb: 'y\nc: z\n", "2:4: the quote opened here is not closed"),
    ('a: "x\n', "1:4: the quote opened here is not closed"),
    ("a: 'it's'\n", f"1:8: there is something left over after the value; {QUOTES}, other ones than in it"),
    (
        'a: "C:\\new \\w"\n',
        "1:13: a backslash in double quotes begins an escape that does not exist; try single quotes",
    ),
    ("a: [1, 2\nb: 1\n", "1:4: the `[` opened here is not closed"),
    ("a: {b: 1\n", "1:4: the `{` opened here is not closed"),
    ("a: [b: c: d]\n", "1:9: a comma or `]` is missing here"),
    ("a: [1,,2]\n", "1:7: a value is missing here"),
    ("set:\n  a: {{ x }}\n", f"2:6: set.a: a value cannot begin with `{{{{`; {QUOTES}"),
    ("a: @home\n", f"1:4: a value cannot begin with `@`; {QUOTES}"),
    ("a: `b`\n", f"1:4: a value cannot begin with a back quote; {QUOTES}"),
    ("a: %b\n", f"1:4: a value cannot begin with `%`; {QUOTES}"),
    ("a: * b\n", f"1:4: a value cannot begin with `*`; {QUOTES}"),
    ("a: & b\n", f"1:4: a value cannot begin with `&`; {QUOTES}"),
    ("a: > 5\n", f"1:4: a value cannot begin with `|`, `>` or `%`; {QUOTES}"),
    ("a: ? b\n", f"1:4: a value cannot begin with `?`; {QUOTES}"),
    ("a: - b\n", "1:4: a list item (`- …`) cannot stand here; try a line of its own"),
    ("a: {?b: 1}\n", "1:5: a: a key cannot begin with `?`; try quotes around the key"),
    ("a: *b\n", "1:4: a: `*b` refers to an anchor that does not stand above; try quotes, if it is meant as text"),
    (
        "a: &b [*b]\n",
        "1:8: a[1]: `*b` refers to an anchor that does not stand above; try quotes, if it is meant as text",
    ),
    ("a: !!python/object:os.system x\n", "1:4: a: a type (`!…`) cannot be given; try quotes, if it is meant as text"),
    ("<<: {b: 1}\n", "1:1: `<<` is not supported; try writing the keys out"),
    ("? [a]\n: b\n", f"1:3: a key has to be plain text; {QUOTES}"),
    (": b\n", "1:1: the key before `:` is missing"),
    ("a:\n  b: 1\n  c: 2\n  b: 3\n", "4:3: a: `b` stands here a second time (first in line 2); try removing one"),
    ("a: 1\n---\nb: 1\n", "2:1: a second document begins here; try one file for each, without `---`"),
    ('a: "\\ud800"\n', "1:4: an escape in this text is half a character, or none; try single quotes"),
    ("a: x\nb: y\x07z\n", "2:5: a character that cannot be seen stands here (U+0007); try deleting it"),
    ("\ufeffa: 1\n", "1:1: the file begins with a byte order mark; try saving it as UTF-8 without BOM"),
    ("a: " + "[" * 60, "1:54: this is nested deeper than 50 levels"),
    ("a: [" + "1," * 100_001 + "]\n", "1:200001: the file has more than 100000 values"),
]
TOML = [
    ("", "1:1: the file is empty"),
    ("a = copernica\n", '1:5: a: text has to stand in quotes; try `"copernica"`'),
    ("[x]\nlisten = 127.0.0.1:80 # here\n", '2:10: x.listen: text has to stand in quotes; try `"127.0.0.1:80"`'),
    ("a = 5 seconds\n", '1:5: a: text has to stand in quotes; try `"5 seconds"`'),
    ("a = 0123\n", '1:5: a: this is not a number as TOML writes it; try `"0123"`'),
    ("[x.secret]\npassword = hunter2\n", '2:12: x.secret.password: text has to stand in quotes; try `"…"`'),
    ("a = yes\n", "1:5: a: `yes` is not a value here; try `true`"),
    ("a = False\n", "1:5: a: `False` is not a value here; try `false`"),
    ("a = null\n", "1:5: a: TOML has no `null`; try leaving the key out"),
    ("a = “x”\n", '1:5: a: only straight quotes (`"` or `\'`) are quotes here; try `"x"`'),
    ("a =\n", '1:4: a: a value is missing here; try `""` for an empty text'),
    ("a == 1\n", "1:4: a: a second `=` stands here; try one `=`"),
    ("a: 1\n", "1:2: TOML has `=` between a key and its value, not `:`; try `key = value`"),
    ("a\n", "1:2: a `=` and a value are missing after this key; try `key = value`"),
    ("First name = 1\n", '1:7: a key of more than one word has to stand in quotes; try `"…" = value`'),
    ("ключ = 1\n", "1:1: a key cannot begin with `к`; try quotes around the key"),
    ("a = 1 b = 2\n", f"1:7: a: {LEFT}"),
    ('a = "x" + "y"\n', f"1:9: a: {LEFT}"),
    ("[a]]\n", f"1:4: a: {LEFT}"),
    ('a = "x\nb = 1\n', "1:5: a: the quote opened here is not closed"),
    ('b = 1\na = """x\n\n', "2:5: a: the quote opened here is not closed"),
    ("a = ['x\n']\n", "1:6: a: the quote opened here is not closed"),
    ("a = [1,\nb = 2\n", "1:5: a: the `[` opened here is not closed"),
    ("a = [1 2]\n", "1:8: a: a comma or `]` is missing here"),
    (
        "a = {b = 1\n}\n",
        "1:5: a: an inline table (`{…}`) has to end in the line where it begins; try a table of its own, `[name]`",
    ),
    ("a = {b = 1,}\n", "1:12: a.b: a comma before `}` is one too many; try removing it"),
    ("[a\nb = 1\n", "1:1: the `[` of a table's name is not closed"),
    ("[]\n", "1:2: a name is missing in the `[…]` of a table"),
    (
        'a = "C:\\windows"\n',
        "1:8: a: a backslash in double quotes begins an escape that does not exist; try single quotes",
    ),
    ("a = 2026-02-30T10:00:00\n", "1:5: a: there is no such date or time; try quotes, if it is meant as text"),
    ("[a]\nb = 1\n\nb = 2\n", "4:1: a: `b` stands here a second time (first in line 2); try removing one"),
    ("[a]\nb = 1\n[a]\n", "3:2: the table `a` stands here a second time (first in line 1); try one table"),
    (
        "a = {b = 1}\na.c = 2\n",
        "2:3: `a.c` adds to something that is complete already; try writing all of it in one place",
    ),
    ("a = [1, nan]\n", "1:9: a[2]: a number has to be finite"),
    ("a = 1\nb = 'x\x00'\n", "2:7: a character that cannot be seen stands here (U+0000); try deleting it"),
    ("\ufeffa = 1\n", "1:1: the file begins with a byte order mark; try saving it as UTF-8 without BOM"),
    ("a = " + "[" * 60 + "]" * 60, "1:55: this is nested deeper than 50 levels"),
    ("a = " + "[" * 100_000, "1:1: this is nested deeper than 50 levels"),
    ("a = " + "9" * 5000, "1:1: a number in this file has too many digits"),
]


def complaint(text: str, file: str) -> str:
    with pytest.raises(ProblemsError) as caught:
        parse(text, file=file)
    return str(caught.value)


@pytest.mark.parametrize(("text", "line"), YAML, ids=[repr(text[:30]) for text, _ in YAML])
def test_a_mistake_in_a_yaml_file_is_one_line_that_says_where_and_what(text: str, line: str) -> None:
    """The place is where a person has to look, and the words are not the parser's."""
    assert complaint(text, "m.yaml") == f"m.yaml:{line}"


@pytest.mark.parametrize(("text", "line"), TOML, ids=[repr(text[:30]) for text, _ in TOML])
def test_a_mistake_in_a_toml_file_is_one_line_that_says_where_and_what(text: str, line: str) -> None:
    """The place is where a person has to look, and the words are not the parser's."""
    assert complaint(text, "c.toml") == f"c.toml:{line}"


def test_several_mistakes_that_leave_a_file_readable_are_told_at_once() -> None:
    """Keys that stand twice, types and merge keys do not hide each other."""
    assert complaint("a: 1\na: 2\nb: !x y\n<<: z\n", "m.yaml").count("\n") == 2


def test_a_few_lines_of_aliases_do_not_become_billions_of_values() -> None:
    """What aliases expand to is counted, and bounded."""
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30))
    assert re.fullmatch(
        r"m.yaml:1:\d+: with its `\*` aliases the file has more than 100000 values", complaint(text, "m.yaml")
    )
    deep = "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 60))
    assert "nested deeper than 50 levels" in complaint(deep, "m.yaml")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("é: 1\n".encode("latin-1"), "1:1: the file is not UTF-8; try saving it as UTF-8"),
        ("ok: é\nno: ".encode() + b"\xff\n", "2:5: the file is not UTF-8; try saving it as UTF-8"),
        ("a: 1\n".encode("utf-16"), "1:1: the file is UTF-16; try saving it as UTF-8"),
        (b"#" * (MAX_BYTES + 1), "1:1: the file is larger than 1 MiB"),
    ],
)
def test_a_file_that_is_no_text_we_can_read_is_told_so(tmp_path: Path, content: bytes, line: str) -> None:
    """Encodings and sizes that cannot be right have their own words."""
    path = tmp_path / "m.yaml"
    path.write_bytes(content)
    with pytest.raises(ProblemsError) as caught:
        read(path, shown_as="m.yaml")
    assert str(caught.value) == f"m.yaml:{line}"


def test_a_file_that_cannot_be_opened_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, a folder, not allowed, an impossible name, a format we do not know: each is said as it is."""

    def complain(path: Path) -> str:
        with pytest.raises(ProblemsError) as caught:
            read(path)
        return str(caught.value).removeprefix(f"{path}:1:1: ")

    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "m.txt").write_text("a: 1")
    assert complain(tmp_path / "none.yaml") == "there is no such file"
    assert complain(tmp_path / "folder.yaml") == "this is a folder, not a file"
    assert complain(tmp_path / "m.txt") == "the name has to end in .yaml, .yml or .toml"
    assert complain(tmp_path / "m.txt" / "x.yaml") == "the file cannot be read (Not a directory)"
    assert complain(tmp_path / "\0.yaml") == "the file cannot be read (its name is not possible)"

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert complain(tmp_path / "m.yaml") == "this user may not read the file; try `ls -l` to see who may"

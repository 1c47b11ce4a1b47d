"""Secrets come from where the configuration says, and go nowhere else."""

from pathlib import Path

import pytest

from connector.config.model import SecretRef
from connector.config.secrets import SecretError, resolve

SECRET = "correct-horse-battery-staple"


def ref(**given: object) -> SecretRef:
    return SecretRef.model_validate(given)


def private(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def refusal(ref: SecretRef, env: dict[str, str] | None = None, credentials: Path | None = None) -> str:
    with pytest.raises(SecretError) as caught:
        resolve(ref, env or {}, credentials)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_secret_comes_from_a_credential_a_file_or_the_environment(tmp_path: Path) -> None:
    """One newline at its end is not part of it; blanks and further lines are."""
    private(tmp_path / "token", f"{SECRET}\n".encode())
    assert resolve(ref(credential="token"), {}, tmp_path) == SECRET
    assert resolve(ref(file=str(tmp_path / "token")), {}, None) == SECRET
    assert resolve(ref(env="TOKEN"), {"TOKEN": f"{SECRET}\n"}, None) == SECRET
    private(tmp_path / "pem", b"a\r\nb \n\n")
    assert resolve(ref(file=str(tmp_path / "pem")), {}, None) == "a\r\nb \n"
    private(tmp_path / "dos", b"a\r\n")
    assert resolve(ref(file=str(tmp_path / "dos")), {}, None) == "a"


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o777])
def test_a_file_that_others_can_read_is_refused_but_not_a_credential(tmp_path: Path, mode: int) -> None:
    """systemd guards its credentials otherwise, and gives them modes of its own."""
    path = private(tmp_path / "token", SECRET.encode())
    path.chmod(mode)
    said = refusal(ref(file=str(path)))
    assert said.startswith(f"the file {path} is open to others (mode {mode:04o}): run `chmod 600 {path}`")
    assert resolve(ref(credential="token"), {}, tmp_path) == SECRET


def test_a_secret_that_is_not_to_be_had_says_which_one_and_why(tmp_path: Path) -> None:
    """Missing, empty, a folder, not text, too large: each is said as it is, and never what it holds."""
    path = tmp_path / "x"
    assert refusal(ref(file=str(path))) == f"the file {path} does not exist"
    assert refusal(ref(file=str(tmp_path))) == f"the file {tmp_path} is a folder"
    assert refusal(ref(env="TOKEN")) == "the environment variable TOKEN is not set"
    assert refusal(ref(env="TOKEN"), {"TOKEN": ""}) == "the environment variable TOKEN is empty"
    assert refusal(ref(file=str(private(path, b"\n")))) == f"the file {path} is empty"
    assert refusal(ref(file=str(private(path, SECRET.encode() + b"\xff")))) == f"the file {path} is not UTF-8 text"
    assert refusal(ref(file=str(private(path, SECRET.encode() + b"\0")))) == f"the file {path} is not text"
    assert refusal(ref(file=str(private(path, b"x" * 70_000)))) == f"the file {path} is larger than 64 KiB"
    assert refusal(ref(credential="none"), credentials=tmp_path) == "the credential none does not exist"
    assert refusal(ref(credential="../x"), credentials=tmp_path) == "`../x` cannot be the name of a credential"
    assert "LoadCredential=" in refusal(ref(credential="x"))
    assert refusal(ref()) == "a secret is given by exactly one of `credential`, `file` and `env`"
    assert refusal(ref(env="A", file="b")) == "a secret is given by exactly one of `credential`, `file` and `env`"


def test_a_secret_that_this_user_may_not_read_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words say that it is about the user."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(ref(file="/x")) == "the file /x cannot be read by this user"

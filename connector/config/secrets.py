"""Secrets, from where the configuration says they are. They are never logged and in no error's text."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from connector.config.model import SecretRef

MAX_BYTES = 64 * 1024


class SecretError(Exception):
    """A secret is not to be had. The text says which one, why, and what to do; it holds nothing of it."""


def resolve(ref: SecretRef, env: Mapping[str, str], credentials_dir: Path | None) -> str:
    """Return the secret, without one newline at its end.

    `credentials_dir` is where systemd put the service's credentials ($CREDENTIALS_DIRECTORY). Raises SecretError.
    """
    given = [name for name in ("credential", "file", "env") if getattr(ref, name) is not None]
    if len(given) != 1:
        raise SecretError("a secret is given by exactly one of `credential`, `file` and `env`")
    if ref.env is not None:
        text, origin = env.get(ref.env), f"the environment variable {ref.env}"
        if text is None:
            raise SecretError(f"{origin} is not set")
    elif ref.file is not None:
        origin = f"the file {ref.file}"
        text = _read(ref.file, origin, private=True)
    else:
        assert ref.credential is not None
        origin = f"the credential {ref.credential}"
        text = _read(_credential(ref.credential, credentials_dir), origin, private=False)
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise SecretError(f"{origin} is empty")
    if "\0" in text:
        raise SecretError(f"{origin} is not text")
    return text


def _credential(name: str, folder: Path | None) -> Path:
    if "/" in name or name in ("", ".", ".."):
        raise SecretError(f"`{name}` cannot be the name of a credential")
    if folder is None:
        raise SecretError(
            f"the credential {name} is given by systemd to the service only (LoadCredential=); "
            "elsewhere set CREDENTIALS_DIRECTORY to a folder that has it"
        )
    return folder / name


def _read(path: Path, origin: str, *, private: bool) -> str:
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SecretError(f"{origin} does not exist") from None
    except IsADirectoryError:
        raise SecretError(f"{origin} is a folder") from None
    except PermissionError:
        raise SecretError(f"{origin} cannot be read by this user") from None
    except (OSError, ValueError) as error:
        raise SecretError(f"{origin} cannot be read ({getattr(error, 'strerror', None) or 'bad name'})") from None
    if private and mode & 0o077:
        raise SecretError(
            f"{origin} is open to others (mode {mode:04o}): run `chmod 600 {path}`, "
            "and change the secret if others were on this machine"
        )
    if len(content) > MAX_BYTES:
        raise SecretError(f"{origin} is larger than {MAX_BYTES // 1024} KiB")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise SecretError(f"{origin} is not UTF-8 text") from None

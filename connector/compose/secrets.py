"""Where this process finds its secrets."""

from collections.abc import Callable, Mapping
from pathlib import Path

from connector.config.model import SecretRef
from connector.config.secrets import resolve


def secret_reader(env: Mapping[str, str], seen: list[str] | None = None) -> Callable[[SecretRef], str]:
    """Return what reads a secret. Every value that was read is added to `seen`, for the log to blacken."""
    folder = env.get("CREDENTIALS_DIRECTORY")

    def read(ref: SecretRef) -> str:
        value = resolve(ref, env, Path(folder) if folder else None)
        if seen is not None:
            seen.append(value)
        return value

    return read

"""The names that an operator can mean, to catch a mistyped one."""

from connector.config.model import Config
from connector.files.document import read
from connector.files.problem import ProblemsError


def subjects(config: Config) -> set[str] | None:
    """Return the names of destinations and mappings; None when a mapping file cannot be read, so that any may be.

    A pause or a hold has to work above all when the mappings are broken.
    """
    names = set(config.destinations)
    for path in sorted(config.mappings.glob("*")) if config.mappings.is_dir() else ():
        if path.suffix not in (".yaml", ".yml", ".toml"):
            continue
        try:
            name = read(path).data.get("name")
        except (ProblemsError, OSError):
            return None
        names.add(name if isinstance(name, str) else path.stem)
    return names

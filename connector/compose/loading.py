"""Reading everything that people wrote: configuration, sources, mappings, and the presets they refer to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from connector.config.load import load
from connector.config.model import Config, SecretRef
from connector.config.sources import sources
from connector.crm.presets.facts import facts_of
from connector.domain.source import Source
from connector.files.problem import ProblemsError
from connector.mapping.load import load_mappings
from connector.mapping.port import MappingSet


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is in force."""

    config: Config
    sources: Mapping[str, Source]
    mappings: MappingSet


def load_all(config_file: Path | None, env: Mapping[str, str], secret: Callable[[SecretRef], str]) -> Loaded:
    """Read it all. Raises ProblemsError."""
    config = load(config_file, env)
    return Loaded(config, sources(config, secret), _mappings(config))


def _mappings(config: Config) -> MappingSet:
    return load_mappings(config.mappings, crm_objects=facts_of(config), sources=config.sources)


def reload_mappings(loaded: Loaded) -> MappingSet | str:
    """Return the mappings as they are now, or what is wrong with them: all of them, or none."""
    try:
        return _mappings(loaded.config)
    except ProblemsError as error:
        return str(error)

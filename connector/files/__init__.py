"""TOML and YAML files that people write: read with the place of every key, so that an error can point at it."""

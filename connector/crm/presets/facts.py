"""What presets know of objects and fields, for the checks of mappings."""

from connector.config.model import Config
from connector.crm.presets.load import load_preset
from connector.crm.presets.model import Object, Preset
from connector.files.problem import ProblemsError
from connector.mapping.facts import CrmObjects, ObjectFacts, UnknownToCrmError

_TYPES = {"text": "string", "email": "string"} | {
    word: word for word in ("number", "integer", "boolean", "date", "datetime", "list", "object")
}


def facts_of(config: Config) -> CrmObjects:
    """Return what the presets of a configuration know of objects and fields."""
    presets: dict[str, Preset] = {}

    def look(destination: str, name: str) -> ObjectFacts | None:
        configured = config.destinations.get(destination)
        if configured is None:
            raise UnknownToCrmError("destination", destination, tuple(config.destinations))
        if destination not in presets:
            try:
                presets[destination] = load_preset(configured.preset, config.presets, configured.override)
            except ProblemsError:
                return None  # said where presets are checked
        objects = presets[destination].objects
        if name not in objects:
            raise UnknownToCrmError("object", name, tuple(objects))
        return object_facts(objects[name])

    return look


def _match(told: Object) -> frozenset[str] | None:
    """Return the fields by which a record can be found; None: any."""
    keys = [find.keys for find in told.find] + ([told.upsert.keys] if told.upsert else [])
    return frozenset(key for each in keys for key in each) if keys and all(keys) else None


def object_facts(told: Object) -> ObjectFacts:
    """Return what is known of one object of a preset."""
    fields = {name: _TYPES.get(facts.type) for name, facts in told.fields.items()}
    return ObjectFacts(
        fields=None if told.open else fields,
        required=frozenset(name for name, facts in told.fields.items() if facts.required),
        relations={relation: link.object for relation, link in told.links.items()},
        match=_match(told),
        needs_link=frozenset(told.needs_link),
        removals=frozenset(word for word in ("erase", "archive", "anonymise") if getattr(told, word)),
    )

"""`connector schema`: what editors need to help with mapping files and presets."""

import json

import click


@click.command("schema")
@click.argument("kind", type=click.Choice(["mapping", "defaults", "preset"]))
def schema(kind: str) -> None:
    """Write the JSON Schema of mapping files, of their _defaults.yaml, or of presets.

    An editor that knows YAML takes it from a file's first line: `# yaml-language-server: $schema=FILE`.
    """
    from connector.crm.presets.load import schema as preset_schema  # noqa: PLC0415 - only one of them is needed
    from connector.mapping.schema import defaults_schema, mapping_schema  # noqa: PLC0415

    made = {"mapping": mapping_schema, "defaults": defaults_schema, "preset": preset_schema}[kind]()
    click.echo(json.dumps(made, indent=2, ensure_ascii=False))

from tests.cli.conftest import installation, run

__all__ = ["installation", "run"]

"""What is wrong with mapping files beyond their form: in one file, between files, and against the CRM's presets."""

from collections.abc import Callable, Collection, Iterator, Sequence

from connector.files.problem import Problem
from connector.mapping.check_crm import check_crm
from connector.mapping.check_meaning import check_meaning, check_source
from connector.mapping.check_together import check_together
from connector.mapping.check_values import check_values
from connector.mapping.draft import Draft, Shared
from connector.mapping.facts import CrmObjects

_ALONE: Sequence[Callable[[Draft], Iterator[Problem]]] = (check_meaning, check_values)


def check_all(
    drafts: Sequence[Draft],
    shared: Shared,
    crm_objects: CrmObjects,
    sources: Collection[str] | None,
    *,
    whole: bool,
) -> list[Problem]:
    """Return every problem. `whole` is false when some file could not be read at all: a link may then lead to it."""
    found = [problem for draft in drafts for check in _ALONE for problem in check(draft)]
    found += [problem for draft in drafts for problem in check_crm(draft, crm_objects)]
    found += [problem for draft in drafts for problem in check_source(draft, sources)]
    found += check_together(drafts, shared, whole=whole)
    return found

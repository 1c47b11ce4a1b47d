"""What `connector doctor` asks of a CRM, harmlessly."""

from collections.abc import Iterator, Sequence

from connector.crm.port import Finding
from connector.crm.presets.model import Examine, Kind
from connector.crm.rest import template
from connector.crm.rest.object import CompiledObject
from connector.crm.rest.request import CompiledStep
from connector.crm.rest.sending import Reply, Requester, Sending, Special

_ADVICE = {
    Kind.UNAUTHORISED: "the credentials are not accepted: look at the secret, and whether it was withdrawn",
    Kind.FORBIDDEN: "the credentials may not do this: give them the permission (scope) in the CRM",
    Kind.NOT_FOUND: "there is nothing at that address: look at base_url",
    Kind.THROTTLED: "the CRM's limit is reached: try again later",
}


def examine(
    requester: Requester, objects: Sequence[CompiledObject], names: Sequence[str], sending: Sending
) -> Iterator[Finding]:
    """Yield one finding for each question; after the first that shows that nothing works, no more is asked."""
    known = {object_.name: object_ for object_ in objects}
    said_left = False
    asked: list[tuple[Examine, CompiledObject | None]] = [(each, None) for each in requester.preset.examine]
    for name in names:
        object_ = known.get(name)
        if object_ is None:
            yield Finding(name, ok=False, what=f"the preset has no object {name!r}; it has {', '.join(known)}")
        elif not object_.model.examine:
            yield Finding(name, ok=True, what="the preset has no harmless question for this object: not examined")
        else:
            asked.extend((each, object_) for each in object_.model.examine)
    for each, object_ in asked:
        fixed = object_.fixed if object_ is not None else (objects[0].fixed if objects else {})
        says = template.compile_text(each.says)(fixed)
        reply = requester.perform(CompiledStep(each, says), fixed, sending)
        ok = reply.kind in each.expect or (reply.is_success and Kind.OK in each.expect)
        yield Finding(says, ok=ok, what="yes" if ok else _why(reply))
        if not said_left and reply.answer is not None and (left := _left(requester, reply)):
            said_left = True
            yield Finding("limits left", ok=True, what=left)
        if reply.kind in (Special.UNREACHABLE, Special.STOPPED, Kind.UNAUTHORISED):
            return


def _why(reply: Reply) -> str:
    advice = _ADVICE.get(reply.kind, "") if isinstance(reply.kind, Kind) else ""
    return "; ".join(part for part in (reply.reason or f"answered {reply.status}", advice) if part)


def _left(requester: Requester, reply: Reply) -> str:
    assert reply.answer is not None
    found = []
    for each in requester.preset.left:
        value = reply.answer.headers.get(each.header.lower())
        if value is not None and len(value) <= 100 and value.isprintable():  # noqa: PLR2004 - a bound
            found.append(f"{each.says}: {value}")
    return ", ".join(found)

"""A configured CRM as the engine has it."""

from dataclasses import dataclass
from enum import StrEnum

from connector.crm.port import Crm


class Mode(StrEnum):
    """Whether anything is sent (S27)."""

    LIVE = "live"
    OBSERVE = "observe"


@dataclass(frozen=True, slots=True)
class Destination:
    """The CRM and how it is to be used."""

    name: str
    crm: Crm
    mode: Mode = Mode.OBSERVE

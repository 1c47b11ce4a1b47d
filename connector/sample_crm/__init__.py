"""A small, honest CRM over real HTTP, in memory: for the demo, for tests and benches, and to try a mapping against.

It keeps contacts, companies and deals with links between them, refuses what a real CRM refuses, breaks in the ways
that real ones break when it is told to, and writes down every request, so that others can count what was lost or done
twice.
"""

from connector.sample_crm.faults import Fault, FaultKind
from connector.sample_crm.server import Options, SampleCrm

__all__ = ["Fault", "FaultKind", "Options", "SampleCrm"]

"""The whole way on one machine: signed calls in, CRM records out, and a look whether both sides agree."""

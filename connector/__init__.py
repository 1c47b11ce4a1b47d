"""Keeps a CRM in step with Copernica."""

__version__ = "0.1.0"

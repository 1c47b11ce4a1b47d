"""Configuration in, objects out: the one place that knows every adapter."""

from connector.compose.desk import open_desk

__all__ = ["open_desk"]

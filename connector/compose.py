"""Configuration in, objects out: the one module that knows every adapter."""

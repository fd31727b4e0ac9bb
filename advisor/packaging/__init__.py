"""Packages: a new plugin from nothing, and a tuned network as one."""

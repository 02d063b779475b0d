"""Adapters for other tools; each is imported by name, for each needs its tool: ``prunepass.integrations.olive``."""

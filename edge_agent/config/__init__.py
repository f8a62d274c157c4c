"""The configuration: pydantic models of ``affect-edge.toml`` and its environment overrides.

Each section of the file has a module of its own; ``loading`` reads them. Every key has a default,
so that no file at all is a valid configuration.

Example:
    >>> from edge_agent.config.loading import load_settings
    >>> settings = load_settings(changes={"camera": {"source": "demo"}})
    >>> settings.camera.source, settings.camera.fps
    ('demo', 15.0)
"""

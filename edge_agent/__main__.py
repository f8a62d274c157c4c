"""``python -m edge_agent`` is ``affect-edge``."""

from edge_agent.cli import main

main()

"""``python -m edge_agent`` is ``affect-edge``."""

from affect_edge import main

main()

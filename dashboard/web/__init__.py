"""The web application: pages, routes, guards, and the server that listens."""

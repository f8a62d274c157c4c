"""Plotly figures as plain dictionaries, below every page that shows one."""

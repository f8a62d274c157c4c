"""The section ``[alerts]`` and its rules."""

from edge_agent.config.alerts.rule import AlertKind, RuleSettings
from edge_agent.config.alerts.section import AlertSettings

__all__ = ["AlertKind", "AlertSettings", "RuleSettings"]

"""The question of an analysis, and the sessions that it was asked of."""

from __future__ import annotations

from dashboard.analysis.results import AskedModel
from dashboard.analysis.steps.material import Material


def question_of(material: Material) -> AskedModel:
    """Return the question as it was asked, with its sessions."""
    return AskedModel(
        question=material.query,
        sample=material.sample,
        sessions=tuple(session.id for session in material.sessions),
    )

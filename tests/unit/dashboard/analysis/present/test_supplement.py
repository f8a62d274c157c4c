"""What programs get beside the comparisons."""

from dashboard.analysis.answer import variability_model
from dashboard.analysis.heart import StateVariability
from edge_agent.core.expression import Emotion


def test_variability_that_could_not_be_computed_is_given_with_its_reason_and_no_number() -> None:
    found = StateVariability(
        "P-01", Emotion.ANGER, None, "Too few intervals.", contact_lost=3, simulated=True
    )

    model = variability_model(found)

    assert (model.participant, model.state, model.reason) == ("P-01", "anger", "Too few intervals.")
    assert (model.rmssd_ms, model.ln_rmssd, model.sdnn_ms, model.beats, model.rejected) == (
        None,
    ) * 5
    assert (model.contact_lost, model.simulated) == (3, True)

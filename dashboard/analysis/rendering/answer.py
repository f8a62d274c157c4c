"""An analysis as the model that programs get: every number unrounded, each result in a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from dashboard.analysis import results
from dashboard.analysis.analyse import Analysis, StimuliCheck
from dashboard.analysis.conclusions import Conclusion
from dashboard.analysis.notices import cautions_of, warnings_of
from dashboard.analysis.preregistration import PreregisteredModel
from dashboard.analysis.question import AnalysisQuery
from dashboard.analysis.rendering.words import say, sentences
from dashboard.analysis.results import AnalysisModel
from dashboard.languages.names import translate

_State = TypeVar("_State", results.VariabilityModel, results.SkinModel)


def response_of(
    analysis: Analysis, preregistered: PreregisteredModel | None = None
) -> AnalysisModel:
    """Return the same numbers and sentences as the page, as a model with every number unrounded."""
    query = analysis.query
    mixed = analysis.mixture
    warnings = warnings_of(analysis)
    cautions = cautions_of(analysis)
    beside = beside_of(analysis)
    return AnalysisModel(
        question=query,
        sample=analysis.sample,
        sessions=tuple(session.id for session in analysis.sessions),
        participants=len(analysis.participants),
        readings=analysis.readings,
        simulated_readings=analysis.simulated_readings,
        estimated_readings=analysis.estimated_readings,
        estimated_left_out=analysis.estimated_left_out,
        flagged=analysis.flagged,
        flagged_left_out=analysis.flagged_left_out,
        left_out=analysis.left_out,
        settling=analysis.settling,
        other_states=dict(analysis.other_states),
        matching=analysis.matching,
        unreported=analysis.unreported,
        orders={"-".join(order): count for order, count in analysis.orders.items()},
        tests_computed=analysis.tests_computed,
        comparisons=tuple(
            _comparison(test, on) for test, on in zip(analysis.family, beside, strict=True)
        ),
        all_states=tuple(
            one.model_copy(update={"sentence": say("beside", "all_states", one, query)})
            for one in analysis.all_states
        ),
        states=analysis.summaries,
        means=tuple(results.MeanModel.model_validate(mean) for mean in analysis.means),
        agreements=tuple(
            one.model_copy(update={"sentence": say("beside", "agreement", one)})
            for one in analysis.agreements
        ),
        variability=tuple(map(_with_reason, analysis.variability)),
        heart_tests=tuple(
            one.model_copy(update={"sentence": _measure(one, query)})
            for one in analysis.heart_tests
        ),
        skin=tuple(map(_with_reason, analysis.skin)),
        skin_tests=tuple(
            one.model_copy(update={"sentence": _measure(one, query)}) for one in analysis.skin_tests
        ),
        own_neutral_sessions=analysis.own_neutral_sessions,
        without_own_neutral=tuple(
            one.model_copy(update={"sentence": say("beside", "without_own_neutral", one, test)})
            # Not strict: there are none where no session is calibrated.
            for one, test in zip(analysis.without_own_neutral, analysis.family, strict=False)
        ),
        families=tuple(
            results.FamilyModel(
                family=one.name,
                tests=sentences("method", "family_tests", one),
                computed=one.computed,
                sentence=say("method", "family", one),
            )
            for one in analysis.families
        ),
        groups=tuple(_groups(one, query) for one in analysis.groups),
        sensitivity=tuple(
            one.model_copy(
                update={"sentence": say("beside", "sensitivity", one, test.result, settling=False)}
            )
            # Not strict: there are no tables where the question did not ask for them.
            for one, test in zip(analysis.sensitivity, analysis.family, strict=False)
        ),
        settling_sensitivity=tuple(
            one.model_copy(
                update={"sentence": say("beside", "sensitivity", one, test.result, settling=True)}
            )
            for one, test in zip(analysis.settling_sensitivity, analysis.family, strict=False)
        ),
        drifts=tuple(
            one.model_copy(
                update={"reason": translate(one.reason), "sentence": say("beside", "drift", one)}
            )
            for one in analysis.drifts
        ),
        periods=tuple(
            on.period.model_copy(update={"sentence": say("beside", "period", test, on)})
            for test, on in zip(analysis.family, beside, strict=True)
            if on.period is not None
        ),
        preregistration=preregistered,
        mixed_windows=mixed.mixed / mixed.windows if mixed and mixed.windows else None,
        main=analysis.main.value,
        main_reason=say("beside", "main", analysis),
        models=tuple(
            one.model_copy(
                update={
                    "reason": translate(one.reason),
                    "sentence": say("beside", "model", one, analysis.sessions),
                }
            )
            for one in analysis.models
        ),
        flow=analysis.flow and _flow(analysis.flow, query),
        stimuli_check=analysis.stimuli_check and _stimuli_check(analysis.stimuli_check),
        warnings=sentences("notices", "texts", warnings, analysis),
        warning_codes=warnings,
        cautions=sentences("notices", "texts", cautions, analysis),
        caution_codes=cautions,
        assumptions=sentences("method", "assumptions", query),
        method=sentences("method", "method", analysis),
    )


def sensors_in_words(
    compared: Iterable[results.SensorComparison],
) -> tuple[results.SensorComparison, ...]:
    """Return comparisons of sources with their sentences."""
    return tuple(
        one.model_copy(
            update={
                "reasons": tuple(map(translate, one.reasons)),
                "in_short": say("beside", "estimate", one),
                "sentence": say("beside", "sensors", one),
            }
        )
        for one in compared
    )


@dataclass(frozen=True, slots=True)
class Beside:
    """Values that the texts about two states need beside their results.

    Attributes:
        query: the question.
        model: the mixed model of the vital; ``None`` where there is none of it.
        period: what time in the session has to do with them; ``None`` without a paired test.
    """

    query: AnalysisQuery
    model: results.VitalModelModel | None
    period: results.PeriodModel | None


def beside_of(analysis: Analysis | StimuliCheck) -> tuple[Beside, ...]:
    """Return what stands beside each comparison of the family, in its order."""
    models = {one.vital: one for one in analysis.models}
    periods = {(one.vital, one.first, one.second): one for one in analysis.periods}
    return tuple(
        Beside(
            analysis.query, models[test.vital], periods.get((test.vital, test.first, test.second))
        )
        for test in analysis.family
    )


def _stimuli_check(check: StimuliCheck) -> results.StimuliCheckModel:
    tests = tuple(
        _comparison(test, on) for test, on in zip(check.family, beside_of(check), strict=True)
    )
    conclusions = [test.result.conclusion for test in tests]
    shown = conclusions.count(Conclusion.HIGHER)
    computed = len(conclusions) - conclusions.count(Conclusion.NO_TEST)
    return results.StimuliCheckModel(
        comparisons=tests,
        main=check.main.value,
        shown=shown,
        computed=computed,
        sentence=say("beside", "stimuli_check", shown, computed),
        note=say("beside", "stimuli_check_note"),
    )


def _measure(test: results.MeasureTestModel, query: AnalysisQuery) -> str:
    return say("beside", "measure", test, Beside(query, None, test.period))


def _comparison(test: results.ComparisonModel, on: Beside) -> results.ComparisonModel:
    evidence = test.bayes_factor
    tested = test.by_model
    result = test.model_result
    return test.model_copy(
        update={
            "doubt": say("result", "why", test.doubt),
            "claim": say("result", "claim", test, on, test.result),
            "remarks": say("result", "remarks", test, on),
            "sentence": say("result", "sentence", test, on),
            "beside": tuple(filter(None, (say("result", "beside", test, on),))),
            "apa": say("result", "apa", test, on, test.result),
            "bayes_factor": evidence
            and evidence.model_copy(update={"sentence": say("beside", "evidence", test, on)}),
            "by_model": tested
            and tested.model_copy(
                update={
                    "claim": say("result", "claim", test, on, result),
                    "sentence": say("result", "by_model", test, on),
                    "apa": say("result", "apa", test, on, result),
                }
            ),
        }
    )


def _with_reason(state: _State) -> _State:
    reasons = tuple(map(translate, state.reasons))
    return state.model_copy(
        update={"reasons": reasons, "reason": "" if state.sessions else "; ".join(reasons)}
    )


def _groups(one: results.VitalGroupsModel, query: AnalysisQuery) -> results.VitalGroupsModel:
    return one.model_copy(
        update={
            "groups": one.groups and _f_test(one, one.groups, crossed=False),
            "interaction": one.interaction and _f_test(one, one.interaction, crossed=True),
            "contrasts": tuple(
                contrast.model_copy(
                    update={
                        "sentence": say("groups", "contrast", one, contrast, query),
                        "apa": say("groups", "contrast_apa", one, contrast, query),
                    }
                )
                for contrast in one.contrasts
            ),
            "reason": translate(one.reason),
            "left_out": say("groups", "left_out", one),
        }
    )


def _f_test(
    one: results.VitalGroupsModel, test: results.GroupTestModel, *, crossed: bool
) -> results.GroupTestModel:
    return test.model_copy(
        update={
            "sentence": say("groups", "f_test", one, test, crossed),
            "apa": say("groups", "f_test_apa", one, test, crossed),
        }
    )


def _flow(flow: results.FlowModel, query: AnalysisQuery) -> results.FlowModel:
    return flow.model_copy(
        update={
            "summary": say("flow", "summary", flow),
            "stages": tuple(_stage(stage, query) for stage in flow.stages),
            "excluded": tuple(
                one.model_copy(update={"sentence": say("flow", "excluded", one)})
                for one in flow.excluded
            ),
            "excluded_sentences": sentences("flow", "excluded_by_reason", flow.excluded),
            "missing": tuple(
                one.model_copy(update={"sentence": say("flow", "missing", one)})
                for one in flow.missing
            ),
        }
    )


def _stage(stage: results.StageModel, query: AnalysisQuery) -> results.StageModel:
    lost = tuple(
        one.model_copy(update={"sentence": say("flow", "loss", one, stage.lost)})
        for one in stage.lost
    )
    return stage.model_copy(update={"title": say("flow", "title", stage.step, query), "lost": lost})

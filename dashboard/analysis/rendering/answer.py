"""An analysis as the model that programs get: every number unrounded, each result in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dashboard.analysis import results
from dashboard.analysis.analyse import Analysis, Family
from dashboard.analysis.conclusions import Conclusion
from dashboard.analysis.notices import cautions_of, warnings_of
from dashboard.analysis.preregistration import PreregisteredModel
from dashboard.analysis.query import AnalysisQuery, Model
from dashboard.analysis.rendering.words import say, sentences
from dashboard.analysis.results import AnalysisModel, ComputedModel, SaidModel
from dashboard.analysis.steps.stimuli import StimuliCheck
from dashboard.languages.names import translate

_Model = TypeVar("_Model", bound=Model)
_Measured = TypeVar("_Measured", bound=results.MeasureTestModel)
_Refused = TypeVar("_Refused", results.DriftModel, results.VitalModelModel)
_State = TypeVar("_State", results.VariabilityModel, results.SkinModel)


def response_of(
    analysis: Analysis, preregistered: PreregisteredModel | None = None
) -> AnalysisModel:
    """Return the answer of an analysis with its sentences, those of the page."""
    computed = analysis.answer
    decided = preregistered.vital if preregistered else ()
    not_measured = tuple(kind for kind in computed.not_measured if kind not in decided)
    warnings, cautions = warnings_of(analysis), cautions_of(analysis)
    query = computed.question
    check = analysis.stimuli_check
    return AnalysisModel.of(
        _in_words(analysis).model_copy(update={"not_measured": not_measured}),
        SaidModel(
            not_measured_sentence=say("beside", "not_measured", not_measured)
            if not_measured
            else "",
            families=tuple(map(_family, analysis.families)),
            preregistration=preregistered,
            main_reason=say("beside", "main", analysis),
            stimuli_check=check and _stimuli_check(check),
            warnings=sentences("notices", "texts", warnings, analysis),
            warning_codes=warnings,
            cautions=sentences("notices", "texts", cautions, analysis),
            caution_codes=cautions,
            assumptions=sentences("method", "assumptions", query),
            method=sentences("method", "method", analysis),
        ),
    )


def _in_words(analysis: Analysis) -> ComputedModel:
    """Return the numbers of an analysis with a sentence beside each."""
    answer = analysis.answer
    query = answer.question
    family = answer.comparisons
    beside = beside_of(query, answer, family)
    # Not strict below: there are no tables where the question did not ask for them.
    in_words: dict[str, Iterable[object]] = {
        "comparisons": [_comparison(test, on) for test, on in zip(family, beside, strict=True)],
        "all_states": [_with_sentence(one, "all_states", one, query) for one in answer.all_states],
        "agreements": [_with_sentence(one, "agreement", one) for one in answer.agreements],
        "variability": map(_with_reason, answer.variability),
        "heart_tests": [_measure(one, query) for one in answer.heart_tests],
        "skin": map(_with_reason, answer.skin),
        "skin_tests": [_measure(one, query) for one in answer.skin_tests],
        "without_own_neutral": [
            _with_sentence(one, "without_own_neutral", one, test)
            for one, test in zip(answer.without_own_neutral, family, strict=False)
        ],
        "groups": [_groups(one, query) for one in answer.groups],
        "sensitivity": [
            _with_sentence(one, "sensitivity", one, settling=False) for one in answer.sensitivity
        ],
        "settling_sensitivity": [
            _with_sentence(one, "sensitivity", one, settling=True)
            for one in answer.settling_sensitivity
        ],
        "neighbours": [_with_sentence(one, "neighbours", one) for one in answer.neighbours],
        "drifts": [_with_sentence(_with_own_reason(one), "drift", one) for one in answer.drifts],
        "periods": [
            _with_sentence(on.period, "period", test, on)
            for test, on in zip(family, beside, strict=True)
            if on.period is not None
        ],
        "models": [
            _with_sentence(_with_own_reason(one), "model", one, analysis.sessions)
            for one in answer.models
        ],
    }
    texts = {name: tuple(models) for name, models in in_words.items()}
    return answer.model_copy(update={**texts, "flow": answer.flow and _flow(answer.flow, query)})


def _with_sentence(model: _Model, macro: str, *values: object, **named: object) -> _Model:
    """Return a model with the sentence of a macro of ``beside``."""
    return model.model_copy(update={"sentence": say("beside", macro, *values, **named)})


def _with_own_reason(model: _Refused) -> _Refused:
    """Return a model with its reason in the language in use."""
    return model.model_copy(update={"reason": translate(model.reason)})


def _family(one: Family) -> results.FamilyModel:
    return results.FamilyModel(
        family=one.name,
        tests=sentences("method", "family_tests", one),
        computed=one.computed,
        sentence=say("method", "family", one),
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
class BesideResults:
    """Values that the texts about two states need beside their results.

    Attributes:
        query: the question.
        model: the mixed model of the vital; ``None`` where there is none of it.
        period: what time in the session has to do with them; ``None`` without a paired test.
    """

    query: AnalysisQuery
    model: results.VitalModelModel | None
    period: results.PeriodModel | None


def beside_of(
    query: AnalysisQuery,
    tested: ComputedModel | StimuliCheck,
    family: Sequence[results.ComparisonModel],
) -> tuple[BesideResults, ...]:
    """Return what stands beside each comparison of a family, in its order."""
    models = {one.vital: one for one in tested.models}
    periods = {(one.vital, one.first, one.second): one for one in tested.periods}
    return tuple(
        BesideResults(query, models[test.vital], periods.get((test.vital, test.first, test.second)))
        for test in family
    )


def _stimuli_check(check: StimuliCheck) -> results.StimuliCheckModel:
    beside = beside_of(check.query, check, check.family)
    tests = tuple(_comparison(test, on) for test, on in zip(check.family, beside, strict=True))
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


def _measure(test: _Measured, query: AnalysisQuery) -> _Measured:
    return _with_sentence(test, "measure", test, BesideResults(query, None, test.period))


def _comparison(test: results.ComparisonModel, on: BesideResults) -> results.ComparisonModel:
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

"""An analysis as the model that programs get: every number unrounded, each result in a sentence."""

from __future__ import annotations

import math

from dashboard.analysis import results
from dashboard.analysis.analyse import Analysis, VitalComparison
from dashboard.analysis.inference.comparison import Tests
from dashboard.analysis.inference.family import InFamily
from dashboard.analysis.notices import cautions_of, warnings_of
from dashboard.analysis.planning import PreregisteredModel
from dashboard.analysis.question import AnalysisQuery
from dashboard.analysis.rendering.words import say, sentences
from dashboard.analysis.results import AnalysisModel
from dashboard.languages.names import said
from dashboard.statistics.planning import RequiredSample


def response_of(
    analysis: Analysis, preregistered: PreregisteredModel | None = None
) -> AnalysisModel:
    """Return the same numbers and sentences as the page, as a model with every number unrounded."""
    query = analysis.query
    mixed = analysis.mixture
    warnings = warnings_of(analysis)
    cautions = cautions_of(analysis)
    by_vital = {one.vital: one for one in analysis.models}
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
        comparisons=tuple(_comparison(test, by_vital[test.kind]) for test in analysis.family),
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
        variability=tuple(map(_variability, analysis.variability)),
        heart_tests=tuple(
            one.model_copy(update={"sentence": say("beside", "heart", one, query)})
            for one in analysis.heart_tests
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
                update={"reason": said(one.reason), "sentence": say("beside", "drift", one)}
            )
            for one in analysis.drifts
        ),
        periods=tuple(
            test.period.model_copy(update={"sentence": say("beside", "period", test)})
            for test in analysis.family
            if test.period is not None
        ),
        preregistration=preregistered,
        mixed_windows=mixed.mixed / mixed.windows if mixed and mixed.windows else None,
        main=analysis.main.value,
        main_reason=say("beside", "main", analysis),
        models=tuple(
            one.model_copy(
                update={
                    "reason": said(one.reason),
                    "sentence": say("beside", "model", one, analysis.sessions),
                }
            )
            for one in analysis.models
        ),
        flow=analysis.flow and _flow(analysis.flow, query),
        warnings=sentences("notices", "texts", warnings, analysis),
        warning_codes=warnings,
        cautions=sentences("notices", "texts", cautions, analysis),
        caution_codes=cautions,
        assumptions=sentences("method", "assumptions", query),
        method=sentences("method", "method", analysis),
    )


def _comparison(test: VitalComparison, model: results.VitalModelModel) -> results.ComparisonModel:
    c = test.comparison
    numbers = c.tests
    t = numbers and numbers.t
    own = test.in_family
    lost = test.misreading and test.misreading.attenuation
    needed = own and own.required_sample
    return results.ComparisonModel(
        vital=test.kind,
        unit=test.kind.unit,
        first=test.first,
        second=test.second,
        result=test.result,
        method=c.method,
        n_first=len(c.first),
        n_second=len(c.second),
        n_both=c.n_both,
        n_apart=c.n_apart,
        n_first_only=c.n_first_only,
        n_second_only=c.n_second_only,
        left_out=c.left_out,
        difference=c.difference,
        interval=t and t.interval,
        t=t and t.t,
        df=t and t.df,
        p=t and t.p,
        holm_p=numbers and numbers.holm_p,
        bh_p=numbers and numbers.bh_p,
        adjusted_p=test.adjusted_p,
        at_equal_times=bool(test.period and test.period.at_equal_times),
        g=numbers and numbers.effect.g,
        g_interval=numbers and numbers.effect.interval,
        shapiro=_shapiro(test, numbers) if numbers else (),
        rank=numbers and numbers.rank,
        equivalence=test.equivalence,
        needed=test.required_sample,
        rank_adjusted_p=own and own.rank_p,
        equivalence_adjusted_p=own and own.equivalence_p,
        equivalent=own and own.equivalent,
        attenuation=lost and lost.factor,
        attenuation_interval=lost and lost.interval,
        needed_in_family=own and needed and _needed_in_family(own, needed),
        obstacle=c.obstacle,
        with_all=test.with_all,
        claim=say("result", "claim", test, test.result),
        remarks=say("result", "remarks", test),
        sentence=say("result", "sentence", test),
        beside=tuple(filter(None, (say("result", "beside", test, model),))),
        apa=say("result", "apa", test, test.result, model),
        bayes_factor=_bayes_factor(test),
        by_model=_model_test(test, model),
    )


def _needed_in_family(own: InFamily, needed: RequiredSample) -> results.NeededInFamilyModel:
    return results.NeededInFamilyModel(
        difference=needed.difference,
        sd=needed.sd,
        n=needed.size.n,
        power=needed.size.power,
        more_first=needed.more_first,
        more_second=needed.more_second,
        level=own.level,
        tests=own.tests,
    )


def _shapiro(test: VitalComparison, numbers: Tests) -> list[results.ShapiroModel]:
    # Two tests of normality belong to two groups; a paired test has one, of the differences.
    names = (test.first, test.second) if len(numbers.normality) == 2 else ("differences",)
    return [
        results.ShapiroModel(of=name, w=normality.w, p=normality.p)
        for name, normality in zip(names, numbers.normality, strict=True)
        if normality
    ]


def _bayes_factor(test: VitalComparison) -> results.BayesFactorModel | None:
    factor = test.evidence
    if factor is None:
        return None
    return results.BayesFactorModel(
        # JSON has no infinity; the logarithm beside it is always finite.
        for_difference=None if math.isinf(factor.for_difference) else factor.for_difference,
        for_none=factor.for_none,
        log_for_difference=factor.log_factor,
        scale=factor.scale,
        sentence=say("beside", "evidence", test, factor),
    )


def _model_test(
    test: VitalComparison, model: results.VitalModelModel
) -> results.ModelTestModel | None:
    """Return two states by the mixed model; ``None`` where there is none."""
    tested = test.by_model
    result = test.model_result
    if tested is None or result is None:
        return None
    return tested.model_copy(
        update={
            "claim": say("result", "claim", test, result),
            "sentence": say("result", "by_model", test, model),
            "apa": say("result", "apa", test, result, model),
        }
    )


def _variability(state: results.VariabilityModel) -> results.VariabilityModel:
    reasons = tuple(map(said, state.reasons))
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
            "reason": said(one.reason),
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

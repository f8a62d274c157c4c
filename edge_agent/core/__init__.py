"""Types that every room uses: values, errors, clocks, threads, and the registry of vitals.

Example:
    >>> from edge_agent.core.expression import EMOTIONS, Expression
    >>> Expression((0.1, 0.65, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025)).dominant.value
    'happiness'
    >>> EMOTIONS[0].value
    'neutral'
"""

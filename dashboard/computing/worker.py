"""``python -m dashboard.computing.worker``: the process that computes statistics.

It takes tasks and answers each. When the dashboard stops, or asks nothing for a while, it ends, and
its memory is free again: SciPy and what a large study needs would otherwise stay in the dashboard
until that ends. Seconds after an answer it gives back what only the answer needed: 45 of 145 MB,
most of it code of SciPy, which the next answer has again at once.
"""

from __future__ import annotations

from dashboard.computing.tasks import answer_task
from edge_agent.core.helper.answering import answer_questions
from edge_agent.core.process import give_back

if __name__ == "__main__":
    answer_questions(answer_task, nice=5, when_idle=give_back)

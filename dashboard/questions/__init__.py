"""Questions that the study answers, a folder each; ``register`` lists them.

A folder holds the question and its answer (``answer``), what reads and computes it (``computing``),
its words and pictures (``words``), its text for a terminal (``report``), and its entry
(``question``). Page, API, command and bundle walk the register.
"""

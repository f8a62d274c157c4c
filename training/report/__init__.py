"""Measurements of finished models, and the reports and cards that show them.

Example::

    logits = run_model(load_model(Path("NAME.json"), kind="expression"), faces.pictures)
    evaluation = evaluate_logits(logits, faces)
    evaluation.headline()  # {"ferplus_accuracy": …, "ferplus_macro_f1": …, "ferplus_n": …}
"""

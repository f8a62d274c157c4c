"""Measurements of finished models, and the reports and cards that show them.

Example::

    evaluation = evaluate_file(Path("NAME.tflite"), faces.of_usage("PublicTest"))
    evaluation.headline()  # {"ferplus_accuracy": …, "ferplus_macro_f1": …, "ferplus_n": …}
"""

"""What is measured of finished models.

Example::

    evaluation = evaluate_file(Path("NAME.tflite"), faces.of_usage("PublicTest"))
    evaluation.headline()  # {"ferplus_accuracy": …, "ferplus_macro_f1": …, "ferplus_n": …}
"""

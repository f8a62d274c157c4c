"""Training of the expression classifier.

Example::

    network, recipe = load_run(Path("runs/expression-fast"))
    expression, fer2013 = predict(network, faces.pictures, recipe)
"""

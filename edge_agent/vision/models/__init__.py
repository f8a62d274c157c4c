"""Models: the card beside each file, the checks of both, and the runtime that executes them.

Example:
    Load a shipped model, and run it on a gray crop of 48 × 48 pixels::

        model = load_model(find_model("expression-fast"), kind="expression")
        outputs = model.run(crop)
"""

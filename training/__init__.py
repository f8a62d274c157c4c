"""Training of the appliance's models: data, recipes, one loop, int8 export, evaluation.

From labelled faces to a model that the agent loads::

    python -m training fit --recipe training/recipes/own-faces.toml --data FACES
    python -m training evaluate runs/own-faces/own-faces.tflite --data OTHER_FACES
"""

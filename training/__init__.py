"""Training of the models that the appliance runs: data, recipes, one training loop, int8 export and
evaluation.
"""

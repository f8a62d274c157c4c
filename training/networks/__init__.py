"""The networks, and what every network needs: costs, evidence, int8 export.

Example::

    network = load_recipe(recipe, ExpressionRecipe).build_network()
    parameters(network)
    multiply_adds(network, torch.zeros(1, 1, 48, 48))
"""

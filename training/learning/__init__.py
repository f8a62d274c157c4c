"""The one training loop and all that it needs, whatever is learned.

Example::

    request = FitRequest(recipe, data, votes, out=Path("runs/mine"), cache=Path("runs/cache"))
    card = train(request)  # runs/mine/NAME.json, with NAME.tflite beside it
"""

"""Own models on an appliance: installed after every check, and listed.

Example::

    place = ModelPlace(Path("/etc/affect-edge/affect-edge.toml"), Path("/var/lib/affect-edge"))
    change = install_model(place, ["my-faces.tflite"])
    install_model(place, [change.before])  # the model of before is configured again
"""

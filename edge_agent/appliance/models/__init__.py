"""Own models on an appliance: installed after every check, listed, and taken back.

Example::

    place = ModelPlace(Path("/etc/affect-edge/affect-edge.toml"), Path("/var/lib/affect-edge"))
    change = install_model(place, ["my-faces.tflite"])
    go_back(place)  # what was configured before is configured again
"""

"""The connection to an MQTT broker: what is published, subscribed to, and kept until it arrives.

``topics`` names the topics, ``payloads`` holds the models of the messages, ``client`` the thread
that publishes them, and ``connection`` is the only module that knows the library paho.

Example:
    >>> from edge_agent.mqtt.payloads import Topics
    >>> Topics("affect-edge", "lab").full(Topics.STATUS)
    'affect-edge/lab/status'
"""

"""The connection to an MQTT broker: what is published, subscribed to, and kept until it arrives.

``payloads`` names the topics and holds the models of the messages, ``client`` is the life of the
connection, and ``connection`` is the only module that knows the library paho.

Example:
    >>> from edge_agent.mqtt.payloads import Topics
    >>> Topics("affect-edge", "lab").full(Topics.STATUS)
    'affect-edge/lab/status'
"""

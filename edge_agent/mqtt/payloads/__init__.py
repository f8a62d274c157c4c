"""What the appliance publishes and accepts over MQTT, as pydantic models.

A model is the contract of one topic. The AsyncAPI document is generated from the models and their
examples (``edge_agent.mqtt.asyncapi``).

Example:
    >>> from edge_agent.mqtt.payloads.events import status_payload
    >>> status_payload("offline", None).encode()
    b'{"schema":1,"state":"offline","at":null}'
"""

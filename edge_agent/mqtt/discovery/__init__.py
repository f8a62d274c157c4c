"""Home Assistant's discovery: what the appliance tells of itself, and when.

Home Assistant reads one retained message and makes a device with all its entities of it. Their
values come from the topic ``state``, which says ``null`` where nothing is known now.

Example:
    >>> from edge_agent.mqtt.discovery.device import Device, discovery_payload
    >>> device = Device("lab", root="affect-edge", prefix="homeassistant", version="0.1.0")
    >>> device.topic
    'homeassistant/device/affect-edge-lab/config'
    >>> discovery_payload(device).components["heart_rate"].unit_of_measurement
    '/min'
"""

"""The commands about the MQTT broker of this machine."""

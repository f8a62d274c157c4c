"""Names for people of the settings that may be changed in a browser, and of their sections.

A form shows the key of the configuration beside each name, so that the file can be found from it.
"""

from __future__ import annotations

from edge_agent.core.texts import N_

SECTIONS = {
    "camera": N_("Camera"),
    "vision": N_("Reading faces"),
    "record": N_("Recording"),
    "vitals": N_("Vital signs"),
    "summary": N_("Summaries"),
    "mqtt": N_("Messages (MQTT)"),
    "dashboard": N_("Dashboard"),
    "alerts": N_("Alerts"),
}
LABELS = {
    "camera.source": N_("Kind of camera"),
    "camera.width": N_("Width of the picture, pixels"),
    "camera.height": N_("Height of the picture, pixels"),
    "camera.fps": N_("Pictures per second"),
    "camera.loop": N_("Start files again at their end"),
    "camera.rotate": N_("Turn the picture, degrees"),
    "camera.stall_seconds": N_("Reopen a silent camera after, seconds"),
    "camera.snapshot_seconds": N_("Time between snapshots, seconds"),
    "vision.threads": N_("Threads"),
    "vision.cpu_budget": N_("Processor cores it may use"),
    "vision.face_score": N_("Lowest score of a face"),
    "vision.min_face": N_("Smallest face, pixels"),
    "vision.max_faces": N_("Most faces in a picture"),
    "vision.uncertain_below": N_("Uncertain below this probability"),
    "vision.prior": N_("How common the expressions are"),
    "vision.smoothing_seconds": N_("Smoothing, seconds"),
    "vision.hysteresis": N_("Lead that a new emotion needs"),
    "vision.dwell_seconds": N_("Shortest time of an emotion, seconds"),
    "vision.confirm_frames": N_("Pictures that a new face needs"),
    "vision.memory_seconds": N_("Remember a hidden face for, seconds"),
    "vision.gate": N_("Count unfit faces, do not read them"),
    "vision.own_neutral": N_("Each person’s own neutral"),
    "vision.movements": N_("Read movements of the face"),
    "record.interval": N_("Length of a recorded row, seconds"),
    "record.batch_rows": N_("Most rows written at once"),
    "record.batch_seconds": N_("Longest time between writes, seconds"),
    "vitals.simulated.enabled": N_("Simulated readings"),
    "vitals.simulated.seed": N_("Seed of the simulated person"),
    "vitals.simulated.heart_rate_seconds": N_("Time between simulated heart rates, seconds"),
    "vitals.simulated.pressure_seconds": N_("Time between simulated pressures, seconds"),
    "vitals.camera_pulse.enabled": N_("Estimate the pulse from the picture"),
    "vitals.prefer_sources": N_("Preferred sources, the best first"),
    "summary.window": N_("Length of a summary, seconds"),
    "mqtt.enabled": N_("Send messages"),
    "mqtt.keepalive": N_("Longest silence, seconds"),
    "mqtt.movements": N_("Send movements of the face"),
    "mqtt.home_assistant": N_("Announce to Home Assistant"),
    "dashboard.purposes": N_("Purposes of sessions"),
    "alerts.enabled": N_("Watch and alert"),
    "alerts.sound": N_("Sound in open pages"),
    "alerts.quiet_from": N_("Quiet from"),
    "alerts.quiet_until": N_("Quiet until"),
    "alerts.time_zone": N_("Time zone of the quiet hours"),
    "alerts.notify_after": N_("Send after, seconds"),
}

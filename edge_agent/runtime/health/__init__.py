"""The health of the appliance: figures, alarms, the report, and what the watchdog is told."""

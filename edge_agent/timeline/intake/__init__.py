"""All that is brought and was not recorded here: studies, readings of devices, faces of videos, and
readings that are entered or corrected by hand.
"""

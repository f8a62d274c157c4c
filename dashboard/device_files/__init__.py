"""Reads the own files of devices and health apps in a process of its own, and keeps none."""

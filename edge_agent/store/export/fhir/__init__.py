"""FHIR R4 resources made from exported rows; ``formats/fhir.py`` puts them into one bundle."""

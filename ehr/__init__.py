"""HL7 v2 and FHIR: an empty room, named so that the house is complete."""
